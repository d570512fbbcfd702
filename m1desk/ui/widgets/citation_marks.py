"""Marks in an answer's Markdown where its quotes end and bare statements stand.

The marks travel through the Markdown as punctuation that the answer does not have, each exactly as
long as what is shown for it later, so that no position in the text document moves.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from m1desk.documents import CheckedAnswer, Citation, CitationStatus, UnquotedClaim

CHIP_SCHEME: Final = "m1desk-citation:"
"""Begins the address of a chip; no link a model writes can have it."""

WORDS: Final[dict[CitationStatus, str]] = {
    "verified": "verified",
    "approximate": "approximate",
    "not_found": "not found",
}
ICONS: Final[dict[CitationStatus, str]] = {
    "verified": "check",
    "approximate": "approximate",
    "not_found": "close",
}
TONES: Final[dict[CitationStatus, str]] = {
    "verified": "success",
    "approximate": "warning",
    "not_found": "danger",
}

_BRACKETS: Final = ("⸤⸥", "⸢⸣", "⦗⦘", "⧘⧙", "⧼⧽", "⟬⟭", "⦑⦒", "⦓⦔")
"""Rare punctuation. As punctuation it leaves emphasis beside it what it is."""

_GAP: Final = "\u202f"
"""Narrow, and no line breaks at it."""

_LIST_OR_QUOTE: Final = re.compile(
    r"(?:[ \t]*>)*[ \t]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)?(?:\[[ xX]\][ \t]+)?"
)
_UNSAFE: Final = re.compile(r"^[ \t>]*(?:\||`{3}|~{3}|[-=]+[ \t]*$)", re.MULTILINE)
"""Statements that hold a table, a fence or an underline: a mark in them would break it."""


@dataclass(frozen=True, slots=True)
class MarkedAnswer:
    """Markdown with marks in it; a pair of brackets is "" where none was free or needed."""

    markdown: str
    chips: str = ""
    claims: str = ""


def marked(checked: CheckedAnswer) -> MarkedAnswer:
    """Put a mark behind every quote, and around every statement without one."""
    text = checked.text
    free = [pair for pair in _BRACKETS if not set(pair) & set(text)]
    if len(free) < 2:
        return MarkedAnswer(text)
    chips, claims = free[0], free[1]
    inserts = [
        (one.end, f"{_GAP}{chips[0]}{chip_text(number, one)}{chips[1]}")
        for number, one in enumerate(checked.citations, 1)
    ]
    for claim in checked.unquoted:
        inserts += _around(text, claim, claims)
    parts, position = [], 0
    for place, mark in sorted(inserts, key=lambda insert: insert[0]):
        parts += [text[position:place], mark]
        position = place
    return MarkedAnswer("".join([*parts, text[position:]]), chips, claims)


def chip_text(number: int, citation: Citation) -> str:
    """Write what a chip says: its number, and what is not as it should be."""
    parts = [str(number)]
    if citation.status == "approximate":
        parts.append(f"{citation.score:.0%}")
    elif citation.status == "not_found":
        parts.append("not found")
    if citation.is_misplaced:
        parts.append(misplaced_text(citation))
    return " · ".join(parts)


def misplaced_text(citation: Citation) -> str:
    """Write where a quote stands that the answer places elsewhere."""
    is_same_file = citation.file == citation.cited_file
    return f"on p.{citation.page}" if is_same_file else "in another file"


def tone_of(citation: Citation) -> str:
    """Name of the palette's colour for a citation."""
    return "warning" if citation.is_misplaced else TONES[citation.status]


def chip_details(citation: Citation) -> str:
    """Write all there is to say of a citation, for a tooltip or a row."""
    if citation.status == "not_found":
        return f"This quote is not in the documents.{_cited(citation, ' The answer says {}.')}"
    place = f"{citation.file}, p.{citation.page}"
    if citation.status == "approximate":
        said = f"Something like it, {citation.score:.0%} alike, stands in {place}"
    else:
        said = f"Stands in {place}, word for word"
    return said + _cited(citation, ", not in {} as the answer says") + "."


def _cited(citation: Citation, words: str) -> str:
    if not citation.cited_page or (citation.status != "not_found" and not citation.is_misplaced):
        return ""
    return words.format(f"{citation.cited_file}, p.{citation.cited_page}")


def _around(text: str, claim: UnquotedClaim, pair: str) -> list[tuple[int, str]]:
    said = text[claim.start : claim.end]
    if _UNSAFE.search(said):
        return []
    prefix = _LIST_OR_QUOTE.match(said)
    start = claim.start + (prefix.end() if prefix else 0)
    return [(start, pair[0]), (claim.end, pair[1])]
