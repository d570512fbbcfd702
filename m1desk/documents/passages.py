"""The sentences of a page that a quote touches: what is quoted, as the page has it and whole."""

from __future__ import annotations

import re
from typing import Final

_BORDER: Final = re.compile(r"[.!?][\"'”’»)\]]*(?=\s+[^\sa-z])|[。！？]|\n[ \t]*\n")
_MOST_AROUND: Final = 300
"""Characters shown before and after a quote that no sentence ends in sooner."""
_WORDS: Final = re.compile(r"\w+")


def whole_sentences(text: str, start: int, end: int, page: tuple[int, int]) -> str:
    """Give the sentences around what stands from `start` to `end`, within their page.

    In one line; "…" where more is left out than whole sentences. `page` is where it begins and
    ends; all are characters of the text.
    """
    first, last = max(page[0], start - _MOST_AROUND), min(page[1], end + _MOST_AROUND)
    found = (border.end() for border in _BORDER.finditer(text, first, start + 1))
    begins = [border for border in found if border <= start]
    ends = _BORDER.search(text, max(start, end - 1), last)
    shown = " ".join(text[begins[-1] if begins else first : ends.end() if ends else last].split())
    cut_before, cut_after = first > page[0] and not begins, last < page[1] and not ends
    return ("… " if cut_before else "") + shown + (" …" if cut_after else "")


def says_the_same(passage: str, quote: str) -> bool:
    """Whether there is no other word in a passage than in the quote."""
    return _WORDS.findall(passage.casefold()) == _WORDS.findall(quote.casefold())
