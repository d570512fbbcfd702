"""A long text in slices for a text widget, and where each character of it ends up there.

The widget counts in UTF-16 units, and lays out a line as a whole: so lines of many thousand
characters are broken here, and positions are counted anew.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

SLICE: Final = 1 << 16
"""Characters handed over at once."""
LONGEST_LINE: Final = 2000

_LARGEST_SINGLE: Final = "\uffff"


@dataclass(frozen=True, slots=True)
class _Slice:
    """A stretch of the text as it was handed over.

    Attributes:
        start, end: in characters of the text.
        shown: where it begins in the widget (UTF-16 units).
        breaks: positions before which a line break was put in.
        is_plain: every character is one UTF-16 unit.
    """

    start: int
    end: int
    shown: int
    breaks: tuple[int, ...]
    is_plain: bool


class TextSlices:
    """Gives a text away from its beginning, and translates positions in what was given away."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._slices: list[_Slice] = []
        self._shown = 0

    @property
    def done(self) -> int:
        """Characters given away so far."""
        return self._slices[-1].end if self._slices else 0

    @property
    def is_complete(self) -> bool:
        """Whether all was given away."""
        return self.done >= len(self.text)

    def take(self) -> str:
        """Return the next slice as it is to be shown."""
        start = self.done
        end = min(len(self.text), start + SLICE)
        if end < len(self.text):
            line_end = self.text.rfind("\n", start + SLICE // 2, end) + 1
            end = line_end or end
        piece = self.text[start:end]
        breaks = tuple(_breaks(piece, start))
        is_cut = end < len(self.text) and piece[-1:] != "\n"
        if is_cut:  # a line that goes on in the next slice would grow without end
            breaks = (*breaks, end)
        shown = _with_breaks(piece, start, breaks)
        is_plain = piece.isascii() or max(piece) <= _LARGEST_SINGLE
        self._slices.append(_Slice(start, end, self._shown, breaks, is_plain))
        self._shown += len(shown) if is_plain else _units(shown)
        return shown

    def to_shown(self, position: int) -> int:
        """Where a character of the text is in the widget."""
        if not self._slices:
            return 0
        index = bisect_right(self._slices, position, key=lambda one: one.start) - 1
        found = self._slices[max(0, index)]
        position = min(position, found.end)
        before = self.text[found.start : position]
        units = len(before) if found.is_plain else _units(before)
        return found.shown + units + bisect_right(found.breaks, position)

    def to_text(self, shown: int) -> int:
        """Which character of the text is at a place of the widget."""
        if not self._slices:
            return 0
        index = bisect_right(self._slices, shown, key=lambda one: one.shown) - 1
        found = self._slices[max(0, index)]
        places = range(found.start, found.end)
        return found.start + max(0, bisect_right(places, shown, key=self.to_shown) - 1)


def _breaks(piece: str, start: int) -> list[int]:
    """Find where lines that are too long are broken."""
    found: list[int] = []
    line = 0
    while line < len(piece):
        end = piece.find("\n", line)
        end = len(piece) if end < 0 else end
        while end - line > LONGEST_LINE:
            blank = piece.rfind(" ", line + LONGEST_LINE // 2, line + LONGEST_LINE) + 1
            line = blank or line + LONGEST_LINE
            found.append(start + line)
        line = end + 1
    return found


def _with_breaks(piece: str, start: int, breaks: tuple[int, ...]) -> str:
    if not breaks:
        return piece
    places = [0, *(place - start for place in breaks), len(piece)]
    return "\n".join(piece[a:b] for a, b in pairwise(places))


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
