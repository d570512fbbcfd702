"""Finding a quote in a text: as it stands, then without regard to typography, then nearly."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from typing import Final, Literal

from rapidfuzz import fuzz

APPROXIMATE_FROM: Final = 0.85
"""Similarity (0.0 to 1.0, rapidfuzz's partial ratio) from which a quote counts as nearly there."""

_SHORTEST_FUZZY: Final = 12
"""Characters of a quote below which likeness means nothing."""

# One character for one character, so that positions stay.
_PLAIN: Final = str.maketrans(
    {
        **dict.fromkeys("“”„‟«»″＂", '"'),
        **dict.fromkeys("‘’‚‛‹›′`´", "'"),
        **dict.fromkeys("‐‑‒–—―−", "-"),
        "İ": "i",  # the one letter whose lower case is two characters
    }
)
# What changes the length: white space in any amount, ligatures, and what is never seen.
_CHANGING: Final = re.compile("\\s+|[ﬀﬁﬂﬃﬄ…]|[\u00ad\u200b\u200c\u200d\u2060\ufeff]+")
_CHANGED: Final = {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "…": "..."}

How = Literal["exact", "normalised", "fuzzy"]


@dataclass(frozen=True, slots=True)
class Match:
    """Where a quote was found: characters of the searched text.

    Attributes:
        score: 1.0, or the likeness of a fuzzy match.
    """

    start: int
    end: int
    how: How
    score: float = 1.0


class SearchableText:
    """A text that can be searched for quotes; reading 4 MB in takes a fraction of a second."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.plain, self._new, self._old = _normalised(text)

    def find(self, quote: str, start: int = 0, end: int | None = None) -> Match | None:
        """Find a quote between two positions: as it stands, or without regard to typography."""
        quote = quote.strip()
        if not quote:
            return None
        end = len(self.text) if end is None else end
        exact = self.text.find(quote, start, end)
        if exact >= 0:
            return Match(exact, exact + len(quote), "exact")
        wanted = normalised(quote)
        first, last = self._to_plain(start), self._to_plain(end)
        found = self.plain.find(wanted, first, last) if wanted else -1
        if found < 0:
            return None
        return Match(*self._span(found, found + len(wanted)), "normalised")

    def find_like(self, quote: str, start: int, end: int) -> Match | None:
        """Find the passage between two positions that is most like a quote."""
        wanted = normalised(quote)
        if len(wanted) < _SHORTEST_FUZZY:
            return None
        first, last = self._to_plain(start), self._to_plain(end)
        here = self.plain[first:last]
        if len(here) < len(wanted) * APPROXIMATE_FROM:
            return None  # the ratio would be that of the page within the quote
        found = fuzz.partial_ratio_alignment(wanted, here, score_cutoff=100 * APPROXIMATE_FROM)
        if found is None or found.dest_end <= found.dest_start:
            return None
        span = self._span(first + found.dest_start, first + found.dest_end)
        return Match(*span, "fuzzy", round(found.score / 100, 3))

    def _span(self, start: int, end: int) -> tuple[int, int]:
        """Bring positions in the plain text, the last one excluded, back to the real one."""
        return self._to_old(start), self._to_old(end - 1) + 1

    def _to_old(self, position: int) -> int:
        index = bisect_right(self._new, position) - 1
        here = self._old[index] + position - self._new[index]
        return min(here, self._old[index + 1] - 1) if index + 1 < len(self._old) else here

    def _to_plain(self, position: int) -> int:
        index = bisect_right(self._old, position) - 1
        here = self._new[index] + position - self._old[index]
        return min(here, self._new[index + 1] if index + 1 < len(self._new) else len(self.plain))


def normalised(text: str) -> str:
    """Write a text without what typography and line breaks add: plain quotes, one blank, small."""
    return _normalised(text)[0].strip()


def _normalised(text: str) -> tuple[str, list[int], list[int]]:
    """Return the plain text, and where in both texts the stretches of equal length begin."""
    plain = text.translate(_PLAIN).lower()
    parts: list[str] = []
    new, old = [0], [0]
    length = done = 0
    for found in _CHANGING.finditer(plain):
        start, end = found.span()
        replaced = _replacement(found[0])
        if len(replaced) == end - start:
            continue  # a single blank, mostly; what it is doesn't matter for positions
        parts += (plain[done:start], replaced)
        length += start - done + len(replaced)
        done = end
        new.append(length)
        old.append(end)
    parts.append(plain[done:])
    return _BLANK.sub(" ", "".join(parts)), new, old


_BLANK: Final = re.compile(r"[^\S ]")
"""A single white space other than the blank."""


def _replacement(found: str) -> str:
    return " " if found[0].isspace() else _CHANGED.get(found, "")
