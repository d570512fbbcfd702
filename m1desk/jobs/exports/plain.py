"""Texts of models made harmless: for XML, for cells of a spreadsheet, and short enough for both."""

from __future__ import annotations

import re
from typing import Final

CELL_CHARACTERS: Final = 32_767
"""What Excel takes into a cell, counted in UTF-16."""

_UNSTORABLE: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]"  # what XML 1.0 can't hold
)
_FORMULA: Final = tuple("=+-@\t\r＝＋－＠")
_REPLACED: Final = "\N{REPLACEMENT CHARACTER}"


def storable(text: str) -> str:
    """Put a replacement character for each that a file of text or XML can't hold."""
    return _UNSTORABLE.sub(_REPLACED, text)


def is_formula(text: str) -> bool:
    """Whether a spreadsheet might compute this text instead of showing it."""
    return text.lstrip(" \n").startswith(_FORMULA)


def parts_of(text: str, most: int = CELL_CHARACTERS) -> list[str]:
    """Part a text so that each part fits into a cell; at least one, no character is lost."""
    parts, start = [], 0
    while start < len(text):
        end = start + most
        while _utf16_length(text[start:end]) > most:
            end -= 1 + (_utf16_length(text[start:end]) - most) // 2
        parts.append(text[start:end])
        start = end
    return parts or [""]


def fitting(text: str, elsewhere: str, most: int = CELL_CHARACTERS) -> str:
    """Give a text that fits into a cell; what is left out is said, with where all of it is."""
    if _utf16_length(text) <= most:
        return text
    note = f" … [{len(text):,} characters do not fit here: {elsewhere}]"
    return parts_of(text, most - len(note))[0] + note


def _utf16_length(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
