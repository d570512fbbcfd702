"""The record of a run: which processes belong to it, for whoever must clean up after a crash."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from m1desk.engines.guard.belongings import Belongings, Segment, is_scratch
from m1desk.engines.guard.containers import CONTAINER_TOOLS

RUN_VARIABLE: Final = "M1DESK_RUN"
"""The environment variable that marks every process of a run with the run's id."""


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process that can't be mistaken for a later one with the same number.

    Attributes:
        birth: what `Platform.birth` says of it.
    """

    pid: int
    birth: str


@dataclass(frozen=True, slots=True)
class RunRecord:
    """Who started what; `engine` is None until it is started."""

    run: str
    owner: ProcessIdentity
    guard: ProcessIdentity
    engine: ProcessIdentity | None
    argv: tuple[str, ...]
    belongings: Belongings = field(default_factory=Belongings)

    def to_json(self) -> str:
        """Write the record as one JSON object."""
        return json.dumps(asdict(self), default=_plain)


def parse_record(text: str) -> RunRecord:
    """Read back what `to_json` wrote.

    Raises:
        ValueError: it is something else, or only a part of it.
    """
    try:
        fields = json.loads(text)
        engine = fields["engine"]
        return RunRecord(
            run=_text(fields["run"]),
            owner=_identity(fields["owner"]),
            guard=_identity(fields["guard"]),
            engine=None if engine is None else _identity(engine),
            argv=tuple(map(_text, fields["argv"])),
            belongings=_belongings(fields.get("belongings", {})),
        )
    except (AttributeError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"not a run record: {error}") from error


def write_record(path: Path, record: RunRecord) -> None:
    """Write the record so that a reader sees all of it or none.

    Raises:
        OSError: the folder is not writable.
    """
    draft = path.with_suffix(f".{os.getpid()}.part")
    draft.write_text(record.to_json(), encoding="utf-8")
    draft.replace(path)


def remove_record(path: Path) -> None:
    """Remove the record; one that is gone already is no error."""
    with contextlib.suppress(OSError):
        path.unlink()


def _belongings(fields: dict[str, Any]) -> Belongings:
    """Read them; records of earlier versions have none."""
    scratch = fields.get("scratch")
    folder = None if scratch is None else Path(_text(scratch))
    if folder is not None and not is_scratch(folder):
        raise TypeError("scratch")
    container = fields.get("container", "")
    if container and (container not in CONTAINER_TOOLS or folder is None):
        raise TypeError("container")
    return Belongings(frozenset(map(_segment, fields.get("segments", ()))), folder, container)


def _segment(fields: dict[str, object]) -> Segment:
    name, inode = _text(fields["name"]), fields["inode"]
    if not isinstance(inode, int) or "/" in name:
        raise TypeError("segment")
    return Segment(name, inode)


def _plain(value: object) -> object:
    """What JSON has no form for."""
    return sorted(map(asdict, value), key=str) if isinstance(value, frozenset) else str(value)


def _identity(fields: dict[str, object]) -> ProcessIdentity:
    pid = fields["pid"]
    if not isinstance(pid, int) or pid <= 0:
        raise TypeError("pid")
    return ProcessIdentity(pid, _text(fields["birth"]))


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError("text expected")
    return value
