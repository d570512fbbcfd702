"""Text of formats without pages of their own, cut into pages where the file or its length says."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from m1desk.documents.reading.cleaning import clean_prose

if TYPE_CHECKING:
    from m1desk.documents.reading.sink import Sink

HARD_BREAK: Final = "\f"
"""In a block's text: the author began a new page here."""
SOFT_BREAK: Final = "\v"
"""In a block's text: the program that wrote the file began a new page here when it last drew it."""

SECTION_CHARACTERS: Final = 3_000
_LONGEST_PAGE: Final = 8_000
"""What stands between two page breaks and is longer than this was more than one page."""
_BREAK: Final = re.compile(rf"[{HARD_BREAK}{SOFT_BREAK}]")
_BESIDE_SOFT: Final = re.compile(
    rf"{HARD_BREAK}[ \n]*(?:{SOFT_BREAK}[ \n]*)+|(?:{SOFT_BREAK}[ \n]*)+{HARD_BREAK}"
)
_LONGEST_BLOCK: Final = 20_000


@dataclass(frozen=True, slots=True)
class Passage:
    """Blocks that belong together; first and last are their numbers, from 1."""

    text: str
    first: int
    last: int


def send_pages(blocks: Sequence[str], out: Sink) -> int:
    """Send blocks (paragraphs, tables) as pages if their breaks make pages, else as sections.

    Returns:
        How many were sent.
    """
    drawn = any(SOFT_BREAK in block for block in blocks)
    pages = list(_between_breaks(blocks))
    longest = max((len(page) for page in pages), default=0)
    if len(pages) > 1 and (drawn or longest <= _LONGEST_PAGE):
        out.total(len(pages))
        for number, page in enumerate(pages, 1):
            out.page(number, "page", page)
        if drawn:
            out.note("Page numbers are those of the program that last saved the file.")
        return len(pages)
    passages = list(sections(blocks))
    out.total(len(passages))
    for number, passage in enumerate(passages, 1):
        label = "" if len(passages) == 1 else f"paragraphs {passage.first}–{passage.last}"
        out.page(number, "section", passage.text, label)
    return len(passages)


def sections(blocks: Iterable[str], size: int = SECTION_CHARACTERS) -> Iterator[Passage]:
    """Cut blocks into passages of about `size` characters; none is cut but a very long one."""
    kept: list[str] = []
    first = 1
    length = 0
    for number, block in enumerate(blocks, 1):
        text = clean_prose(block.replace(HARD_BREAK, "\n\n").replace(SOFT_BREAK, " "))
        for part in split_long(text, _LONGEST_BLOCK):
            if kept and length + len(part) > size:
                yield Passage("\n\n".join(kept), first, number - 1)
                kept, length, first = [], 0, number
            if part:
                kept.append(part)
                length += len(part) + 2
    if kept:
        yield Passage("\n\n".join(kept), first, max(first, number))


def split_long(text: str, limit: int) -> Iterator[str]:
    """Parts of at most `limit` characters, cut at a space where there is one."""
    start = 0
    while len(text) - start > limit:
        window = (start + limit // 2, start + limit)
        cut = max(text.rfind(" ", *window), text.rfind("\n", *window))
        end = cut + 1 if cut > 0 else start + limit
        yield text[start:end]
        start = end
    yield text[start:]


def _between_breaks(blocks: Iterable[str]) -> Iterator[str]:
    """The texts between breaks; a break of either kind and a soft one at its side are one."""
    joined = _BESIDE_SOFT.sub(HARD_BREAK, "\n\n".join(blocks))
    pages = [clean_prose(page) for page in _BREAK.split(joined)]
    yield from pages if any(pages) else []
