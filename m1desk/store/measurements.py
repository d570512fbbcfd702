"""What was measured on this machine, remembered under a key that says what for."""

from __future__ import annotations

import json
import logging
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from m1desk.store.database import Database

_log = logging.getLogger(__name__)


class Measurements:
    """Results by key, such as the engine's calibration for one machine and one build."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, key: str) -> dict[str, object] | None:
        """Values measured, or None when nothing was or it can't be read; raises StorageError."""
        row = self._database.query_one("SELECT value FROM measurements WHERE key = ?", (key,))
        if row is None:
            return None
        try:
            value = json.loads(row["value"])
        except ValueError:
            value = None
        if not isinstance(value, dict):
            _log.warning("measurement %s is unreadable and will be taken again", key)
            return None
        return value

    def put(self, key: str, value: Mapping[str, object]) -> None:
        """Remember `value` (JSON types), replacing what was there; raises StorageError."""
        self._database.execute(
            "INSERT INTO measurements(key, value, measured) VALUES (?, ?, ?)"
            " ON CONFLICT(key) DO UPDATE SET value = excluded.value, measured = excluded.measured",
            (key, json.dumps(dict(value)), time.time()),
        )

    def forget(self, key: str) -> None:
        """Drop what was measured, so that it is taken again; raises StorageError."""
        self._database.execute("DELETE FROM measurements WHERE key = ?", (key,))
