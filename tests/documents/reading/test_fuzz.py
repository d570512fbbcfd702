"""Damaged files of every format: always a report, never a fault of the owner's."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from file_making import every_format, locked_pdf, scanned_pdf

from m1desk.documents.values import ReadLimits, ReadOptions

if TYPE_CHECKING:
    from conftest import Read

CASES = 18
CRASHES = {"crashed", "too_slow", "too_much_memory"}


def damage(data: bytes, chance: random.Random) -> bytes:
    """One to eight changes: bytes flipped, cut, doubled, moved, or replaced by telling ones."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 8)):
        at, length = chance.randrange(len(changed) + 1), chance.choice([1, 4, 64, 1000])
        match chance.randrange(6):
            case 0 if at < len(changed):
                changed[at] ^= 1 << chance.randrange(8)
            case 1:
                del changed[at : at + length]
            case 2:
                changed[at:at] = changed[at : at + length]
            case 3:
                changed[at : at + length] = chance.randbytes(length)
            case 4:
                changed[at : at + 4] = chance.choice([b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff"])
            case _:
                changed = changed[: max(at, 1)]
    return bytes(changed)


def test_damaged_files_of_every_format(read: Read) -> None:
    chance = random.Random(5)
    whole = {**every_format(), "scanned.pdf": scanned_pdf(), "locked.pdf": locked_pdf()}
    files = {
        f"{number}-{name}": damage(data, chance)
        for name, data in whole.items()
        for number in range(CASES)
    }
    options = ReadOptions(ReadLimits(stall_seconds=60, pages=1000), ocr=False)
    results = read(files, options)
    assert files.keys() <= results.keys()
    for name, result in results.items():
        report = result.report
        assert (result.document is not None) == (report.outcome in {"read", "partly_read"}) or (
            report.kind in {"archive", "folder"}
        ), report
        if report.outcome in {"unreadable", "partly_read", "scanned"}:
            assert report.problem is not None, report
        assert getattr(report.problem, "code", "") not in CRASHES, (name, report)
