#!/usr/bin/env python3
"""The one door of a source checkout: sets up what is missing, then runs M1 Desk or its tests.

    python3 start.py              set up; open the window, or, without a display, do the same job
                                  in the terminal
    python3 start.py test [ARG]   set up; run every check, then pytest (with ARG ...)
    python3 start.py setup        set up and stop
    python3 start.py ARG ...      set up; run `m1desk ARG ...`: python3 start.py doctor --json

Options, before all other words:
    --backend NAME   build the engine for cpu, cuda, hip, vulkan or metal; without it: as it was
                     built before, else for the GPU whose compiler is here, else for the CPU
    --no-apt         never install Debian packages; only say which are missing
    -h, --help       this text; the program's own is: python3 start.py -- --help

All that is installed lies in .venv and .cache beside this file, but for Debian packages.
Progress goes to standard error. CMAKE_ARGS and pip's own settings are honoured.
"""

# This file is kept readable for old Pythons, so that they can say what is wrong.
from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

OLDEST = (3, 11)
NEWEST = (3, 14)


def find_supported() -> str:
    """Path of a Python on PATH that M1 Desk supports, or "" when there is none."""
    names = [f"python3.{minor}" for minor in range(OLDEST[1], NEWEST[1] + 1)]
    return next(filter(None, map(shutil.which, names)), "")


def main() -> int:
    """Run with a supported Python, this one or another; returns the exit status."""
    if OLDEST <= sys.version_info[:2] <= NEWEST:
        root = Path(__file__).resolve().parent
        sys.path.insert(0, str(root / "installers"))
        from bootstrap.main import main as bootstrap  # noqa: PLC0415 - unreadable for old Pythons

        return bootstrap(root, sys.argv[1:], __doc__)
    other = find_supported()
    if other:
        os.execv(other, [other, *sys.argv])
    sys.stderr.write(
        f"M1 Desk needs Python {OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]}; this is "
        f"{sys.version.split()[0]}. Install one of them, then run it: python3.12 start.py\n"
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
