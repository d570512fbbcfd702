"""The processes that fetch files for this one."""

from __future__ import annotations

from contextlib import suppress

import psutil


def running_transfers() -> list[psutil.Process]:
    """Our children that fetch; those that have ended, waited for or not, don't count."""
    found = []
    for child in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):  # ZombieProcess is one of these
            if any(part.endswith(".downloads.transfer") for part in child.cmdline()):
                found.append(child)
    return found
