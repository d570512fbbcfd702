"""uv: its command lines, and what its output tells. It reads its own configuration, not pip's."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from m1desk.engines.environments.values import InstallProgress, InstallRequest, Stage

_COUNT: Final = re.compile(r"(Resolved|Prepared|Installed) (\d+) packages?")
_FETCHING: Final = re.compile(r"\s*Downloading (\S+)(?: \(([\d.]+)(B|KiB|MiB|GiB)\))?")
_UNITS: Final = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def create_command(uv: str, folder: Path, python: Path | None) -> tuple[str, ...]:
    """Make a virtual environment, with the given interpreter or one of uv's choice."""
    chosen = ("--python", str(python)) if python else ()
    return (uv, "venv", "--no-project", *chosen, str(folder))


def install_command(uv: str, python: Path, request: InstallRequest) -> tuple[str, ...]:
    """Install what is wished for into the interpreter's environment."""
    index = ("--default-index", request.index) if request.index else ()
    alone = ("--no-deps", "--only-binary", request.package) if request.alone else ()
    return (uv, "pip", "install", "--python", str(python), *index, *alone, request.requirement)


def uninstall_command(uv: str, python: Path, packages: Sequence[str]) -> tuple[str, ...]:
    """Take packages out."""
    return (uv, "pip", "uninstall", "--python", str(python), *packages)


def read_line(before: InstallProgress, line: str) -> InstallProgress:
    """How far it is after one more line."""
    now = replace(before, line=line.strip())
    if found := _FETCHING.match(line):
        size = round(float(found[2]) * _UNITS[found[3]]) if found[2] else None
        return replace(now, stage="downloading", package=found[1], total_bytes=size)
    if found := _COUNT.match(line):
        stage: Stage = "downloading" if found[1] == "Resolved" else "installing"
        return replace(now, stage=stage, package="", packages=int(found[2]), total_bytes=None)
    return now
