"""Finding the statements of an answer that no quote bears out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from m1desk.documents.answers import Citation, UnquotedClaim
from m1desk.documents.matching import count_words
from m1desk.documents.quotes import PARAGRAPH, pieces_between, stripped

_FEWEST_WORDS: Final = 3
_CITED: Final = "\ufffc"
"""Stands for every character of a citation while sentences are looked for."""

_SENTENCE_END: Final = re.compile(
    r"(?<=[.!?:])[\"”»)\]*_]*\s+(?=[^\s\[(])"
    r"|(?<=[。！？])(?=\S)"
    rf"|(?<={_CITED})[^\w\s{_CITED}]*\s+(?=[^\W\d_])"
)
_LONG_WORD: Final = re.compile(r"\w{3,}")
_EDGE: Final = ' \t\n"*_`>'
_TABLE_RULE: Final = re.compile(r"[ \t]*\n(?=[^\n]*\|)[ \t|:]*-[-:| \t]*(?:\n|\Z)")

_SAYING: Final = (
    r"(?:found|mentioned|stated|given|contained|specified|said|named|answered|described|covered"
    r"|provided|included|discussed|addressed)"
)
_DOCUMENTS: Final = r"(?:any of )?(?:the|these|those|your) (?:\w+ )?(?:documents?|files?|texts?)"
_ABSENT: Final = re.compile(
    rf"(?:\b(?:not|nowhere)|n['’]t)(?: be)?(?: {_SAYING})?(?: anywhere)? in {_DOCUMENTS}\b"
    rf"|\b(?:nothing|no (?:information|mention|answer))\b[^.]* in {_DOCUMENTS}\b"
    r"|\bdocuments? (?:do|does)(?: not|n['’]t) "
    r"(?:say|mention|state|contain|tell|specify|give|include|provide|answer|discuss|address)\b",
    re.IGNORECASE,
)
_MOST_ABSENT_WORDS: Final = 25


def find_unquoted(answer: str, citations: Sequence[Citation]) -> tuple[UnquotedClaim, ...]:
    """Find the sentences that neither hold a citation nor stand right before one."""
    if not citations and says_absent(answer):
        return ()
    masked = _masked(answer, citations)
    sentences = list(_sentences(masked))
    following = [*(masked[start:end] for start, end in sentences[1:]), ""]
    return tuple(
        UnquotedClaim(start, end)
        for (start, end), after in zip(sentences, following, strict=True)
        if _is_claim(masked, start, end) and not _introduces(masked[start:end], after)
    )


def says_absent(answer: str) -> bool:
    """Whether an answer only says that the documents say nothing: no quote can bear that out."""
    sentences = list(_sentences(answer))
    if len(sentences) != 1 or re.search(r"\d", answer):
        return False
    return count_words(answer) <= _MOST_ABSENT_WORDS and bool(_ABSENT.search(answer))


def _masked(answer: str, citations: Sequence[Citation]) -> str:
    """Cover the citations, so that no sentence within a quote is taken for the answer's."""
    parts: list[str] = []
    done = 0
    for one in citations:
        parts += (answer[done : one.start], _CITED * (one.end - one.start))
        done = one.end
    return "".join([*parts, answer[done:]])


def _sentences(text: str) -> Iterator[tuple[int, int]]:
    for first, last in pieces_between(text, PARAGRAPH, 0, len(text)):
        if _TABLE_RULE.match(text, last):
            continue  # the head of a table
        start = _behind_heading(text, first, last)
        for found in _SENTENCE_END.finditer(text, start, last):
            if not _goes_on(text, found):
                yield stripped(text, start, found.start())
                start = found.end()
        yield stripped(text, start, last)


def _behind_heading(text: str, start: int, end: int) -> int:
    if not text.startswith("#", start):
        return start
    line = text.find("\n", start, end)
    return line + 1 if line >= 0 else end


def _goes_on(text: str, border: re.Match[str]) -> bool:
    """Whether a sentence goes on behind a citation, as in `It says "..." [a.pdf p.1] and ends`."""
    return text[border.start() - 1] == _CITED and text[border.end()].islower()


def _is_claim(text: str, start: int, end: int) -> bool:
    said = text[start:end]
    if _CITED in said:
        return False
    if len(_LONG_WORD.findall(said)) >= _FEWEST_WORDS:
        return True
    # Short words say much with a number ("It is 45 days."), or in a script without blanks.
    is_telling = re.search(r"\d", said) is not None or len(said.split()) < _FEWEST_WORDS
    return is_telling and count_words(said) >= _FEWEST_WORDS


def _introduces(said: str, after: str) -> bool:
    """Whether a sentence belongs to the citation behind it."""
    if after.lstrip(_EDGE).startswith(_CITED):
        return True
    return said.endswith(":") and _CITED in after
