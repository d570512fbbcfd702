"""The sentences of a page that a quote touches: what is quoted, as the page has it and whole."""

from __future__ import annotations

import re
from typing import Final

_BORDER: Final = re.compile(
    r"[.!?][\"'”’»)\]]*(?=\s+[^\sa-z])|[.!?][\"'”’»)\]]*\s*\Z|[。！？]|\n[ \t]*\n"
)
_MOST_AROUND: Final = 300
"""Characters shown before and after a quote that no sentence ends in sooner."""
_WORDS: Final = re.compile(r"\w+")


def whole_sentences(page: str, start: int, end: int) -> str:
    """Give the sentences of a page's text around what stands from `start` to `end` in it.

    In one line; "…" where more is left out than whole sentences.
    """
    first, last = max(0, start - _MOST_AROUND), min(len(page), end + _MOST_AROUND)
    begins = [found.end() for found in _BORDER.finditer(page, first, start)]
    ends = _BORDER.search(page, max(start, end - 1), last)
    shown = " ".join(page[begins[-1] if begins else first : ends.end() if ends else last].split())
    cut_before, cut_after = first > 0 and not begins, last < len(page) and not ends
    return ("… " if cut_before else "") + shown + (" …" if cut_after else "")


def says_the_same(passage: str, quote: str) -> bool:
    """Whether there is no other word in a passage than in the quote."""
    return _WORDS.findall(passage.casefold()) == _WORDS.findall(quote.casefold())
