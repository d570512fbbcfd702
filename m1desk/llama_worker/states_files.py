"""Files of saved states: reading them with distrust, putting them on disk for good."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from m1desk.llama_worker.states_digest import bytes_digest
from m1desk.llama_worker.states_manifest import Manifest, StateRefused

TOKENS_OFFSET: Final = 12
"""Before its tokens a state file of llama.cpp has three numbers: magic, version, their count."""


def read_regular(path: Path, start: int, count: int) -> bytes:
    """Bytes of a plain file; a link is none, wherever it leads.

    Raises:
        OSError: it can't be read, or is no plain file.
    """
    if not stat.S_ISREG(path.lstat().st_mode):
        raise OSError(errno.EINVAL, "not a plain file")
    with path.open("rb") as file:
        file.seek(start)
        return file.read(count)


def read_tokens(path: Path, manifest: Manifest) -> npt.NDArray[np.int32]:
    """The tokens in a state file, checked; so are its presence and its size.

    Raises:
        StateRefused: the file is missing, cut, or not what was written.
    """
    try:
        size = path.lstat().st_size
        raw = read_regular(path, TOKENS_OFFSET, 4 * manifest.tokens)
    except OSError as error:
        raise unreadable(error) from error
    if size != manifest.size:
        raise StateRefused(
            "truncated", f"Its state file has {size:,} bytes instead of {manifest.size:,}."
        )
    if bytes_digest(raw) != manifest.tokens_digest:
        raise StateRefused("damaged", "The tokens in its state file are damaged.")
    return np.frombuffer(raw, dtype="<i4").astype(np.int32)


def unreadable(error: OSError) -> StateRefused:
    """The system's refusal, as ours."""
    return StateRefused("unreadable", f"It can't be read: {error.strerror or error}.")


def flush(path: Path) -> None:
    """Put a file's bytes on the disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def flush_folder(folder: Path) -> None:
    """Make a replacement last through a power cut; Windows has no way to ask for that."""
    if os.name == "nt":
        return
    with contextlib.suppress(OSError):  # some file systems refuse; the replacement is made
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def try_to_remove(path: Path) -> None:
    """Remove a file, now or at the next sweep."""
    try:
        path.unlink(missing_ok=True)
    except OSError:  # Windows: somebody reads it. The next sweep tries again.
        return
