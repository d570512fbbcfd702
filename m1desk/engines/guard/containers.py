"""The container of a run: it may be nobody's child, so what runs it must end it."""

from __future__ import annotations

import shutil
import subprocess
from typing import Final

CONTAINER_TOOLS: Final = ("podman", "docker")
"""The programs that are asked to run containers, the preferred one first."""

_REMOVE: Final = {
    "podman": ("rm", "--force", "--ignore", "--time", "0"),
    "docker": ("rm", "--force"),
}
_GONE: Final = "No such container"
_SECONDS: Final = 30.0  # giving hundreds of gigabytes back takes the system a while


def remove_container(tool: str, name: str) -> bool:
    """Kill and remove a container at once; whether it is gone, also when it never was.

    Blocks until it is; a tool that gives no answer is left after half a minute.
    """
    program = shutil.which(tool)
    if program is None:
        return False
    try:
        end = subprocess.run(
            (program, *_REMOVE[tool], name),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return end.returncode == 0 or _GONE in end.stderr
