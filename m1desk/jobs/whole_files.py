"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from m1desk.errors import BadInput, StorageError


def write_whole(path: Path, data: bytes) -> None:
    """Write a file beside its place, then move it there: nobody ever sees half of it.

    What was there before is replaced, and stays as it was when this fails.

    Raises:
        BadInput: there is no such folder, or the path is a folder itself.
        StorageError: the disk is full, or the folder can't be written.
    """
    if path.is_dir():
        raise BadInput(f"{path} is a folder.", "", "Give the name of a file.")
    if not path.parent.is_dir():
        raise BadInput(f"There is no folder {path.parent}.", "", "Choose one that there is.")
    part = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with part.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise StorageError(
            f"The file {path} can't be written.",
            f"The system says: {error.strerror or error}.",
            "Make room on the disk, or choose a folder that you may write to.",
        ) from error
    finally:
        part.unlink(missing_ok=True)
