"""Fetching models: several at once, in processes that may be killed at any moment."""

from __future__ import annotations

from m1desk.models.downloads.manager import DownloadManager
from m1desk.models.downloads.values import (
    Download,
    DownloadFailure,
    DownloadFile,
    DownloadState,
)

__all__ = ["Download", "DownloadFailure", "DownloadFile", "DownloadManager", "DownloadState"]
