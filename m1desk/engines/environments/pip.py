"""pip: its command lines, and what its output tells."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from m1desk.engines.environments.values import InstallProgress, InstallRequest

_UNITS: Final = {"bytes": 1, "kB": 1000, "MB": 1000**2, "GB": 1000**3}
_COLLECTING: Final = re.compile(r"Collecting ([\w.-]+)|Processing \S*[/\\]([\w.]+)")
_DOWNLOADING: Final = re.compile(
    r"\s*Downloading (?:\S*/)?([^\s/]+)(?: \(([\d.]+) (bytes|kB|MB|GB)\))?"
)
_RAW: Final = re.compile(r"Progress (\d+) of (\d+)")
_INSTALLING: Final = re.compile(r"(?:Installing collected packages|Building wheels?)[^:]*: (.+)")
_VERSIONS: Final = re.compile(r"Available versions: (.+)")
_ASIDE: Final = ("WARNING:", "DEPRECATION:", "[notice]")
_RAW_SINCE: Final = (24, 1)


def pip_of(python: Path) -> tuple[str, ...]:
    """The pip of an interpreter, which sees none of our own modules (-I)."""
    return (str(python), "-I", "-X", "utf8", "-m", "pip", "--disable-pip-version-check")


def install_command(python: Path, request: InstallRequest, pip_version: str) -> tuple[str, ...]:
    """Install what is wished for into the interpreter's environment.

    Indexes, proxies and certificates are pip's own affair: its files and variables are the user's.
    """
    numbers = tuple(int(part) for part in re.findall(r"\d+", pip_version)[:2])
    bar = "raw" if numbers >= _RAW_SINCE else "off"
    index = ("--index-url", request.index) if request.index else ()
    alone = ("--no-deps", "--only-binary", request.package) if request.alone else ()
    return (
        *(*pip_of(python), "install", "--no-input", "--progress-bar", bar),
        *(*index, *alone, request.requirement),
    )


def uninstall_command(python: Path, packages: Sequence[str]) -> tuple[str, ...]:
    """Take packages out."""
    return (*pip_of(python), "uninstall", "--yes", *packages)


def versions_command(python: Path, package: str) -> tuple[str, ...]:
    """Ask the user's index which versions there are for this interpreter and machine."""
    return (*pip_of(python), "index", "versions", package)


def parse_versions(lines: Sequence[str]) -> tuple[str, ...]:
    """The versions in the answer to `versions_command`, the newest first; () when it has none."""
    for line in lines:
        if found := _VERSIONS.match(line):
            return tuple(part.strip() for part in found[1].split(","))
    return ()


def read_line(before: InstallProgress, line: str) -> InstallProgress:
    """How far it is after one more line."""
    if found := _RAW.fullmatch(line):
        done, total = int(found[1]), int(found[2])
        return replace(before, done_bytes=done, total_bytes=total or None)
    if line.startswith(_ASIDE):
        return before
    now = replace(before, line=line.strip())
    if found := _COLLECTING.match(line):
        return replace(
            now,
            stage="resolving",
            package=found[1] or found[2],
            packages=before.packages + 1,
            done_bytes=None,
            total_bytes=None,
        )
    if found := _DOWNLOADING.match(line):
        if found[1].endswith(".metadata"):
            return now
        size = round(float(found[2]) * _UNITS[found[3]]) if found[2] else None
        package = found[1].split("-")[0]
        return replace(now, stage="downloading", package=package, done_bytes=None, total_bytes=size)
    if found := _INSTALLING.match(line):
        count = len(found[1].split(","))
        return replace(
            now,
            stage="installing",
            package="",
            packages=max(count, before.packages),
            done_bytes=None,
            total_bytes=None,
        )
    return now
