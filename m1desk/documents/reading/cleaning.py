"""Text as it should stand in a page: one kind of line end, nothing invisible, no broken letters."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_INVISIBLE: Final = dict.fromkeys(
    [
        *(code for code in range(0x20) if code not in {0x09, 0x0A}),
        *range(0x7F, 0xA0),
        0x00AD,  # soft hyphen
        0x200B,  # zero width space
        0x2060,
        *range(0x200E, 0x2010),  # direction marks and overrides, which can hide what text says
        *range(0x202A, 0x202F),
        *range(0x2066, 0x206A),
        0xFEFF,
        *range(0xFFF9, 0xFFFC),
        *range(0xE0000, 0xE0080),  # tags: letters nobody sees
    ]
)
_SPACES: Final = dict.fromkeys([0x00A0, 0x2007, 0x202F], " ")
_LIGATURES: Final = {
    0xFB00: "ff",
    0xFB01: "fi",
    0xFB02: "fl",
    0xFB03: "ffi",
    0xFB04: "ffl",
    0xFB05: "st",
    0xFB06: "st",
}
_TABLE: Final[dict[int, str | None]] = {**_INVISIBLE, **_SPACES, **_LIGATURES}
_LINE_ENDS: Final = re.compile("\r\n|[\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_SURROGATES: Final = re.compile("[\ud800-\udfff]")
_TRAILING: Final = re.compile(r"[ \t]+$", re.MULTILINE)
_MANY_LINES: Final = re.compile(r"\n{3,}")


def clean_lines(text: str) -> str:
    """`text` with its lines as they are, in NFC, without control and invisible characters."""
    text = _LINE_ENDS.sub("\n", text)
    text = _SURROGATES.sub("\ufffd", text).translate(_TABLE)
    return _TRAILING.sub("", unicodedata.normalize("NFC", text))


def clean_prose(text: str) -> str:
    """As `clean_lines`, with at most one empty line at a time and none at the ends."""
    return _MANY_LINES.sub("\n\n", clean_lines(text)).strip()


def one_line(text: str, limit: int = 120) -> str:
    """`text` as a label: on one line, and not longer than `limit` characters."""
    words = " ".join(clean_lines(text).split())
    return words if len(words) <= limit else words[: limit - 1].rstrip() + "…"
