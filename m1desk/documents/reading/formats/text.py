"""Plain text of every kind: lines stay as they are; pages are form feeds or runs of lines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from m1desk.documents.reading.cleaning import clean_lines
from m1desk.documents.reading.decoding import decode
from m1desk.documents.reading.formats.passages import split_long

if TYPE_CHECKING:
    from m1desk.documents.reading.sink import Sink
    from m1desk.documents.reading.source import Source

LINES: Final = 60
_CHARACTERS: Final = 12_000
_LONGEST_PAGE: Final = 20_000


def read(source: Source, out: Sink) -> None:
    """Read text; raises ReadingError when it is none."""
    decoded = decode(source.data)
    if decoded.note:
        out.note(decoded.note)
    parts = decoded.text.split("\f")
    if len(parts) > 1 and max(map(len, parts)) <= _LONGEST_PAGE:
        out.total(len(parts))
        for number, part in enumerate(parts, 1):
            out.page(number, "page", clean_lines(part).strip("\n"))
        return
    for number, (label, text) in enumerate(_runs(clean_lines(decoded.text)), 1):
        out.page(number, "lines", text, label)


def _runs(text: str) -> Iterator[tuple[str, str]]:
    """Runs of lines with their names; a very long line is a run, or several, of its own."""
    kept: list[str] = []
    first = 1
    length = 0
    for number, line in enumerate(text.split("\n"), 1):
        if kept and (len(kept) >= LINES or length + len(line) > _CHARACTERS):
            yield _label(first, number - 1), "\n".join(kept)
            kept, length = [], 0
        if not kept:
            first = number
        if len(line) > _CHARACTERS:
            parts = list(split_long(line, _CHARACTERS))
            for index, part in enumerate(parts, 1):
                yield f"line {number}, part {index} of {len(parts)}", part
            continue
        kept.append(line)
        length += len(line) + 1
    if any(kept):
        yield _label(first, first + len(kept) - 1), "\n".join(kept).rstrip("\n")


def _label(first: int, last: int) -> str:
    return f"line {first}" if first == last else f"lines {first}–{last}"
