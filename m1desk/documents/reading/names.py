"""Names for documents: short, and each once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def distinct_names(paths: Sequence[Path]) -> list[str]:
    """A name for each path: its last part, and as many folders before it as tell it from others.

    Args:
        paths: absolute, and each once.
    """
    names = []
    for path in paths:
        others = [other for other in paths if other != path and other.name == path.name]
        depth = 1
        while any(_tail(path, depth) == _tail(other, depth) for other in others):
            depth += 1
        names.append(_tail(path, depth))
    return names


def unique_name(wished: str, taken: set[str]) -> str:
    """`wished`, or with a number before its ending; it is added to `taken`."""
    name, number = wished, 2
    while name in taken:
        folder, slash, last = wished.rpartition("/")
        stem, dot, ending = last.rpartition(".")
        numbered = f"{stem} ({number}){dot}{ending}" if stem else f"{last} ({number})"
        name, number = f"{folder}{slash}{numbered}", number + 1
    taken.add(name)
    return name


def _tail(path: Path, depth: int) -> str:
    parts = [part for part in path.parts if part != path.anchor]
    return "/".join(parts[-depth:]) or path.anchor
