"""Finding a quote in a text: without regard to typography, with parts left out, or nearly."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from rapidfuzz import fuzz
from rapidfuzz.distance import Indel

APPROXIMATE_FROM: Final = 0.85
"""Similarity (0.0 to 1.0, rapidfuzz's ratio) from which a quote counts as nearly there."""

_SHORTEST_FUZZY: Final = 12
"""Characters of a quote below which likeness means nothing."""
_FUZZY_HEAD: Final = 400
"""Characters by which a long quote is looked for before all of it is compared.

The search for the best place takes milliseconds up to here, and seconds for some thousands.
"""
_FIRM: Final = 3
"""Characters in a row, equal on both sides, at which a passage that is nearly there begins."""

_LONGEST_WORD: Final = 60
"""Characters of a word at the end of such a passage that are taken in with it."""

_SHORTEST_PART: Final = 12
"""Characters that a part of a quote needs when other parts are left out, or three words."""
_FEWEST_PART_WORDS: Final = 3
_PARTS_REACH: Final = 4000
"""Characters within which all parts of a quote must stand."""

_MOST_HITS: Final = 2000
"""Places looked at for one quote; what stands in more is a word or a letter, not a quote."""

# One character for one character, so that positions stay.
_PLAIN: Final = str.maketrans(
    {
        **dict.fromkeys("“”„‟«»″＂", '"'),
        **dict.fromkeys("‘’‚‛‹›′`´", "'"),
        **dict.fromkeys("‐‑‒–—―−", "-"),
        "İ": "i",  # the one letter whose lower case is two characters
    }
)
_CHUNK: Final = 1 << 16
"""Characters translated in one call, during which no other thread runs."""

# What changes: white space in any amount, Markdown's emphasis, ligatures, and what is never seen.
_UNSEEN: Final = "\u00ad\u200b\u200c\u200d\u2060\ufeff"
_CHANGING: Final = re.compile(rf"[\s*_{_UNSEEN}]{{2,}}|[^\S ]|[*_{_UNSEEN}]|[ﬀﬁﬂﬃﬄ…]")
_CHANGED: Final = {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "…": "..."}

_LEFT_OUT: Final = re.compile(r"\s*(?:\[ ?\.{3} ?\]|\( ?\.{3} ?\)|\.{3,}|\. \. \.)\s*")
_DIGITS: Final = re.compile(r"\d+")
_CJK: Final = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff"
_UNPARTED: Final = re.compile(f"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff{_CJK}]")
"""Letters of scripts that put no blanks between words, or join endings to them."""

_AROUND_CUT: Final = 5
"""Characters looked at on each side of a cut: a group of thousands, a blank, and one more."""
# Characters before a cut, a line feed for the cut, characters behind it. A hyphen is "-", a dash
# "–"; a blank is " " where a number may run on over it, else a tab.
_WITHIN_RUN: Final = re.compile(
    r"[^\W_]\n[^\W_]"  # a word or a number
    r"|[^\W_]-\n[^\W_]|[^\W_]\n-[^\W_]|[^\W\d_]\n'[^\W\d_]"  # non-refundable, can't
    r"|\d[.,:/'–]\n\d|\d\n[.,:/'–]\d"  # 250,000, 1.5, 2026/27, 10–20
    r"|(?:^|[\s(])[-–]\n\d"  # -20
    r"|(?<!\d)\d{1,3}(?: \n|\n )\d{3}(?!\d)"  # 250 000
)

How = Literal["whole", "parts", "fuzzy"]
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Match:
    """Where a quote was found: characters of the searched text.

    Attributes:
        how: "parts" when the quote leaves something out between them.
        score: 1.0 for a whole quote, the share of the passage that is quoted for parts, the
            likeness of a fuzzy match.
    """

    start: int
    end: int
    how: How
    score: float = 1.0


class SearchableText:
    """A text that can be searched for quotes; reading 4 MB in takes a fraction of a second.

    `documents` says where the pages of each document stand in the text, in order; what stands
    between them is not searched. A quote may run over the end of a page, not of a document. None
    is a single document of one page.
    """

    def __init__(self, text: str, documents: Sequence[Sequence[Span]] | None = None) -> None:
        self.text = text
        self._new, self._old = [0], [0]
        self._page_ends: list[int] = []
        self.plain = ""
        parts: list[str] = []
        for pages in [[(0, len(text))]] if documents is None else documents:
            self._read(pages, parts)
        self.plain = "".join(parts[:-1])

    def _read(self, pages: Sequence[Span], parts: list[str]) -> None:
        """Add the pages of a document to `parts`: a blank between them, a line feed at the end."""
        length = self._page_ends[-1] + 1 if self._page_ends else 0
        for start, end in pages:
            page = self.text[start:end]
            begin = start + len(page) - len(page.lstrip())
            plain, new, old = _normalised(page.strip())
            blank = len(plain) - len(plain.lstrip())  # a bullet's
            plain = plain.strip()
            if not plain:
                continue
            self._new += [length + max(0, position - blank) for position in new]
            self._old += [begin + position for position in old]
            parts += (plain, " ")
            length += len(plain) + 1
            self._page_ends.append(length - 1)
        if parts:
            parts[-1] = "\n"

    def find(self, quote: str, start: int = 0, end: int | None = None) -> Match | None:
        """Find a quote that begins between two positions, typography aside, and cuts no word."""
        wanted = normalised(quote)
        first, last = self._plain_span(start, end)
        # The comma of `"... a month," it says` is the answer's, not the page's.
        for reading in dict.fromkeys((wanted, wanted.rstrip(" .,"))):
            for at in self._hits(reading, first, last):
                return Match(*self._span(at, at + len(reading)), "whole")
        return None

    def find_parts(self, quote: str, start: int = 0, end: int | None = None) -> Match | None:
        """Find a quote with `...` in it: its parts one after the other, on one page."""
        parts = [part for part in _LEFT_OUT.split(normalised(quote)) if part]
        if not parts or parts[0] == normalised(quote) or any(map(_says_little, parts)):
            return None
        if len(parts) == 1:  # left out before or behind it, as with every quote
            return self.find(parts[0], start, end)
        parts[-1] = parts[-1].rstrip(" .,")
        first, last = self._plain_span(start, end)
        for at in self._hits(parts[0], first, last):
            stop = self._follow(parts[1:], at + len(parts[0]), min(self._page_end(at), last))
            if stop is not None:
                quoted = sum(map(len, parts)) / (stop - at)
                return Match(*self._span(at, stop), "parts", _share(quoted))
        return None

    def find_like(self, quote: str, start: int, end: int) -> Match | None:
        """Find the passage beginning between two positions that is most like a quote.

        A passage with other numbers than the quote is none. A quote that leaves something out
        stands for too many passages to be compared.
        """
        wanted = normalised(quote)
        if _LEFT_OUT.search(wanted.strip(" .[]()")):
            return None
        first, last = self._plain_span(start, end)
        border = self.plain.find("\n", first)
        stop = min(last + len(wanted), border if border >= 0 else len(self.plain))
        if len(wanted) < _SHORTEST_FUZZY or stop - first < len(wanted) * APPROXIMATE_FROM:
            return None  # the ratio would be that of the page within the quote
        found = self._most_alike(wanted, first, stop)
        if found is None:
            return None
        begin, end, score = found
        if _DIGITS.findall(wanted) != _DIGITS.findall(self.plain, begin, end):
            return None
        return Match(*self._span(begin, end), "fuzzy", score)

    def plain_text(self, start: int, end: int) -> str:
        """Text between two positions without its typography."""
        first, last = self._plain_span(start, end)
        return self.plain[first:last]

    # -- in the plain text -----------------------------------------------------------------------

    def _hits(self, wanted: str, first: int, last: int) -> Iterator[int]:
        """Find where `wanted` stands and cuts no word or number."""
        at = first - 1
        for _ in range(_MOST_HITS if wanted else 0):
            at = self.plain.find(wanted, at + 1, last + len(wanted) - 1)
            if at < 0:
                return
            if not self._is_within_run(at) and not self._is_within_run(at + len(wanted)):
                yield at

    def _follow(self, parts: Sequence[str], at: int, last: int) -> int | None:
        """Find parts one after the other; where the last one ends."""
        last = min(last, at + _PARTS_REACH)
        for part in parts:
            found = next(self._hits(part, at, last), None)
            if found is None or found + len(part) > last:
                return None
            at = found + len(part)
        return at

    def _most_alike(self, wanted: str, first: int, stop: int) -> tuple[int, int, float] | None:
        head, cutoff = wanted[:_FUZZY_HEAD], 100 * APPROXIMATE_FROM
        here = self.plain[first:stop]
        found = fuzz.partial_ratio_alignment(head, here, score_cutoff=cutoff)
        if found is None or found.dest_end <= found.dest_start:
            return None
        begin, end, score = found.dest_start, found.dest_end, found.score
        if len(wanted) > len(head):
            end = begin + len(wanted)
            score = fuzz.ratio(wanted, here[begin:end], score_cutoff=cutoff)
        core = _core(wanted, here[begin:end])
        if not score or core is None:
            return None
        begin, end = self._widened(first + begin + core[0], first + begin + core[1])
        return begin, end, _share(score / 100)

    def _widened(self, start: int, end: int) -> Span:
        """Take in the rest of the words and numbers at both ends."""
        first, last = max(0, start - _LONGEST_WORD), min(len(self.plain), end + _LONGEST_WORD)
        while start > first and self._is_within_run(start):
            start -= 1
        while end < last and self._is_within_run(end):
            end += 1
        return start, end

    def _is_within_run(self, at: int) -> bool:
        """Whether a cut before the character at `at` would part a word or a number."""
        first, last = max(0, at - _AROUND_CUT), min(len(self.plain), at + _AROUND_CUT)
        before = "".join(map(self._character, range(first, at)))
        behind = "".join(map(self._character, range(at, last)))
        found = _WITHIN_RUN.search(f"{before}\n{behind}")
        return found is not None and not _UNPARTED.search(found[0])

    def _character(self, at: int) -> str:
        plain = self.plain[at]
        if plain.isspace():
            return " " if self._is_single_blank(at) else "\t"
        # In the plain text dashes are hyphens, but only a hyphen joins words.
        return "–" if plain == "-" and self.text[self._to_old(at)] not in "-‐‑" else plain

    def _is_single_blank(self, at: int) -> bool:
        """Whether a blank stands for one on a line: no end of a page or line, no gap of a table."""
        if self._page_end(at - 1) == at:
            return False
        start = self._to_old(at)
        return self._to_old(at + 1) == start + 1 and self.text[start] not in "\n\t"

    def _page_end(self, at: int) -> int:
        return self._page_ends[bisect_right(self._page_ends, at)]

    # -- positions -------------------------------------------------------------------------------

    def _plain_span(self, start: int, end: int | None) -> Span:
        last = len(self.plain) if end is None else self._to_plain(end)
        return self._to_plain(start), last

    def _span(self, start: int, end: int) -> Span:
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


def count_words(text: str) -> int:
    """Count words; in scripts without blanks two characters are taken for one."""
    return len(text.split()) + len(_UNPARTED.findall(text)) // 2


def _says_little(part: str) -> bool:
    return len(part) < _SHORTEST_PART and count_words(part) < _FEWEST_PART_WORDS


def _share(score: float) -> float:
    """Round a score; what is not the quote itself is never wholly like it."""
    return round(min(score, 0.99), 3)


def _core(wanted: str, passage: str) -> Span | None:
    """Cut off the ends of a passage that only stand beside what is like the quote."""
    firm = [
        block
        for block in Indel.opcodes(wanted, passage)
        if block.tag == "equal" and block.dest_end - block.dest_start >= _FIRM
    ]
    return (firm[0].dest_start, firm[-1].dest_end) if firm else None


def _normalised(text: str) -> tuple[str, list[int], list[int]]:
    """Return the plain text, and where in both texts the stretches of equal length begin."""
    chunks = (text[at : at + _CHUNK] for at in range(0, len(text), _CHUNK))
    plain = "".join(chunk.translate(_PLAIN).lower() for chunk in chunks)
    parts: list[str] = []
    new, old = [0], [0]
    length = done = 0
    for found in _CHANGING.finditer(plain):
        start, end = found.span()
        replaced = _replacement(found[0], plain[start - 1 : start], plain[end : end + 1])
        parts += (plain[done:start], replaced)
        length += start - done + len(replaced)
        done = end
        if len(replaced) != end - start:
            new.append(length)
            old.append(end)
    parts.append(plain[done:])
    return "".join(parts), new, old


def _replacement(found: str, before: str, behind: str) -> str:
    if found in _CHANGED:
        return _CHANGED[found]
    if any(map(str.isspace, found)):
        return " "
    if before.isdigit() and behind.isdigit() and not found.strip("*_"):
        return found  # 5*3 is not 53
    return ""
