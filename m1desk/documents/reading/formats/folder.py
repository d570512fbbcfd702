"""Folders: the files below, in order, without what .gitignore leaves out and behind links."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pathspec import GitIgnoreSpec

from m1desk.documents.reading import faults

if TYPE_CHECKING:
    from m1desk.documents.reading.messages import Order
    from m1desk.documents.reading.sink import Sink

_VERSION_CONTROL: Final = frozenset({".git", ".hg", ".svn", ".jj"})
_IGNORE_FILE: Final = ".gitignore"
_LONGEST_IGNORE_FILE: Final = 1 << 20
_DEEPEST: Final = 200


@dataclass(frozen=True, slots=True)
class _Rules:
    """What one .gitignore says, for what lies below its folder."""

    folder: Path
    spec: GitIgnoreSpec

    def verdict(self, path: Path, *, is_folder: bool) -> bool | None:
        """Whether `path` is left out; None when the rules don't speak of it."""
        name = path.relative_to(self.folder).as_posix() + "/" * is_folder
        return self.spec.check_file(name).include


def read(order: Order, out: Sink) -> None:
    """Name every file below the folder that is to be read; raises ReadingError for the folder."""
    root = Path(order.path).absolute()
    walk = _Walk(out, root)
    try:
        walk.visit(root, _rules_above(root))
    except OSError as error:
        raise faults.file_fault(error) from error
    finally:
        walk.note_what_was_left()


class _Walk:
    """One walk through a folder, and the count of what was left out."""

    def __init__(self, out: Sink, root: Path) -> None:
        self._out = out
        self._root = root
        self._left: Counter[str] = Counter()
        self._closed: list[str] = []

    def visit(self, folder: Path, rules: tuple[_Rules, ...], depth: int = 0) -> None:
        """Name the files of a folder, then go through the folders in it."""
        rules = (*_rules_of(folder), *rules)
        self._out.tick()
        folders = []
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            if entry.is_symlink():
                self._left["links"] += 1
            elif entry.is_dir(follow_symlinks=False):
                folders.append(entry)
            elif not entry.is_file(follow_symlinks=False):
                self._left["devices"] += 1
            elif _is_ignored(Path(entry.path), rules, is_folder=False):
                self._left["ignored"] += 1
            else:
                self._name(entry)
        for entry in folders:
            self._enter(entry, rules, depth)

    def _enter(self, entry: os.DirEntry[str], rules: tuple[_Rules, ...], depth: int) -> None:
        path = Path(entry.path)
        if entry.name in _VERSION_CONTROL:
            return
        if _is_ignored(path, rules, is_folder=True):
            self._left["ignored folders"] += 1
        elif depth >= _DEEPEST:
            self._closed.append(self._relative(path))
        else:
            try:
                self.visit(path, rules, depth + 1)
            except OSError:
                self._closed.append(self._relative(path))

    def _name(self, entry: os.DirEntry[str]) -> None:
        try:
            size = entry.stat(follow_symlinks=False).st_size
        except OSError:
            size = 0
        self._out.found(entry.path, self._relative(Path(entry.path)), size)

    def _relative(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()

    def note_what_was_left(self) -> None:
        words = {
            "ignored": "Files left out by .gitignore: {}.",
            "ignored folders": "Folders left out by .gitignore: {}.",
            "links": "Links that were not followed: {}.",
            "devices": "Pipes, sockets and devices left out: {}.",
        }
        for key, text in words.items():
            if self._left[key]:
                self._out.note(text.format(self._left[key]))
        if self._closed:
            shown = ", ".join(self._closed[:5]) + (" ..." if len(self._closed) > 5 else "")
            self._out.note(f"Folders that could not be opened: {len(self._closed)} ({shown}).")


def _is_ignored(path: Path, rules: tuple[_Rules, ...], *, is_folder: bool) -> bool:
    """As git decides: the nearest .gitignore that speaks of a path has the say."""
    for rule in rules:
        verdict = rule.verdict(path, is_folder=is_folder)
        if verdict is not None:
            return verdict
    return False


def _rules_of(folder: Path) -> Iterator[_Rules]:
    file = folder / _IGNORE_FILE
    try:
        status = file.lstat()
        if stat.S_ISREG(status.st_mode) and status.st_size <= _LONGEST_IGNORE_FILE:
            lines = file.read_text("utf-8", "replace").splitlines()
            yield _Rules(folder, GitIgnoreSpec.from_lines(lines))
    except (OSError, ValueError):
        return


def _rules_above(root: Path) -> tuple[_Rules, ...]:
    """The rules of the folders above, up to the repository's own, when `root` lies in one."""
    if (root / ".git").exists():
        return ()
    rules: list[_Rules] = []
    for folder in root.absolute().parents:
        rules += _rules_of(folder)
        if (folder / ".git").exists():
            return tuple(rules)
    return ()
