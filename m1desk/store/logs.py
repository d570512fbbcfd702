"""The app's log: a rotating file in the logs folder that never holds a secret."""

from __future__ import annotations

import logging
import re
from logging.handlers import RotatingFileHandler
from typing import TYPE_CHECKING, Final

from m1desk.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path

    from m1desk.store.folders import Folders

_HANDLER_NAME: Final = "m1desk-file"
_FILE_BYTES: Final = 2 * 1024 * 1024
_OLD_FILES: Final = 3
_FORMAT: Final = "%(asctime)s %(levelname)s %(process)d %(name)s: %(message)s"

_SECRETS: Final = re.compile(
    r"""(?P<before>
          \bbearer\s+
        | (?:api[_-]?key|token|secret|password|authorization)["']?\s*[=:]\s*["']?(?:bearer\s+)?
        )(?P<word>[^\s"',;)}]{6,})
      | \b(?:hf_|sk-)[A-Za-z0-9_-]{16,}
    """,
    re.IGNORECASE | re.VERBOSE,
)


def setup_logging(folders: Folders, *, program: str = "m1desk", level: int = logging.INFO) -> Path:
    """Log to `<logs>/<program>.log` from now on and return that file; a second call replaces it.

    The app's own loggers speak from `level` up, libraries from WARNING up. Raises StorageError.
    """
    close_logging()
    path = folders.logs / f"{program}.log"
    try:
        handler = RotatingFileHandler(
            path, maxBytes=_FILE_BYTES, backupCount=_OLD_FILES, encoding="utf-8"
        )
    except OSError as error:
        raise StorageError(
            f"The log {path} can't be written.",
            f"The system says: {error.strerror or error}.",
            "Check the permissions of the file and of its folder.",
        ) from error
    handler.name = _HANDLER_NAME
    handler.setFormatter(_RedactingFormatter(_FORMAT))
    logging.getLogger().addHandler(handler)
    logging.getLogger("m1desk").setLevel(level)
    return path


def close_logging() -> None:
    """Stop logging to the file and close it."""
    root = logging.getLogger()
    for handler in [entry for entry in root.handlers if entry.name == _HANDLER_NAME]:
        root.removeHandler(handler)
        handler.close()


class _RedactingFormatter(logging.Formatter):
    """Blots out what looks like a key or a token, in tracebacks too."""

    def format(self, record: logging.LogRecord) -> str:
        return _SECRETS.sub(_blot, super().format(record))


def _blot(match: re.Match[str]) -> str:
    return f"{match['before'] or ''}[removed]"
