"""What the app keeps: folders, database, settings, measurements, secrets, logs, locks."""

from __future__ import annotations

from m1desk.store.database import Database, DatabaseDamagedError, DatabaseTooNewError, set_aside
from m1desk.store.file_lock import FileLock
from m1desk.store.folders import HOME_VARIABLE, Folders
from m1desk.store.instance import InstanceLock
from m1desk.store.keychain import (
    KeyringStatus,
    delete_secret,
    get_secret,
    keyring_status,
    set_secret,
)
from m1desk.store.logs import close_logging, setup_logging
from m1desk.store.measurements import Measurements
from m1desk.store.resources import resource_folder
from m1desk.store.settings import AppSettings, CloseBehaviour, SettingsStore, Theme

__all__ = [
    "HOME_VARIABLE",
    "AppSettings",
    "CloseBehaviour",
    "Database",
    "DatabaseDamagedError",
    "DatabaseTooNewError",
    "FileLock",
    "Folders",
    "InstanceLock",
    "KeyringStatus",
    "Measurements",
    "SettingsStore",
    "Theme",
    "close_logging",
    "delete_secret",
    "get_secret",
    "keyring_status",
    "resource_folder",
    "set_aside",
    "set_secret",
    "setup_logging",
]
