"""A slow disk, on purpose: found on PYTHONPATH, it is imported by every Python that starts."""

import os
import time

SECONDS = 0.4
"""How long a file takes to be on the disk: most of a tiny model's reading."""

_fsync = os.fsync


def _fsync_slowly(file: int) -> None:
    time.sleep(SECONDS)
    _fsync(file)


os.fsync = _fsync_slowly
