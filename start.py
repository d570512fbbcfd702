#!/usr/bin/env python3
"""The one door of a source checkout: sets up what is missing, then runs M1 Desk or its tests.

    python3 start.py                  set up; open the window, or, without a display, answer in the terminal
    python3 start.py test [ARG ...]   set up; run every check, then pytest (with ARG ...)
    python3 start.py setup            set up and stop
    python3 start.py ARG ...          set up; run `m1desk ARG ...`, for example: python3 start.py doctor --json

Options, before all other words:
    --backend NAME   build the engine for cpu, cuda, hip, vulkan or metal (else: what was built before, or what is found)
    --no-apt         never install Debian packages; say which are missing
    -h, --help       this text; `python3 start.py -- --help` is the program's own

All that is installed lies in .venv and .cache beside this file; Debian packages are the one exception. Progress goes to
standard error. CMAKE_ARGS and pip's own settings are honoured.
"""

# Kept readable for old Pythons, so that they can say what is wrong: the rest is in installers/bootstrap.
import os
import shutil
import sys

OLDEST = (3, 11)
NEWEST = (3, 14)


def find_supported():
    # type: () -> str
    """Path of a Python on PATH that M1 Desk supports, or "" when there is none."""
    for minor in range(OLDEST[1], NEWEST[1] + 1):
        path = shutil.which("python3.%d" % minor)
        if path:
            return path
    return ""


def main():
    # type: () -> int
    """Run with a supported Python, this one or another."""
    if OLDEST <= sys.version_info[:2] <= NEWEST:
        root = os.path.dirname(os.path.abspath(__file__))
        sys.path.insert(0, os.path.join(root, "installers"))
        from bootstrap.main import main as bootstrap

        return bootstrap(root, sys.argv[1:], __doc__ or "")
    other = find_supported()
    if other:
        os.execv(other, [other, *sys.argv])
    wanted = "%d.%d to %d.%d" % (OLDEST + NEWEST)
    sys.stderr.write(
        "M1 Desk needs Python %s; this is %s. Install one of them, "
        "then run it: python3.12 start.py\n" % (wanted, sys.version.split()[0])
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
