"""Full-text search over all conversations: a person's words to a safe query, and its hits."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final

from m1desk.chat.values import SearchHit

if TYPE_CHECKING:
    import sqlite3

    from m1desk.store import Database

# Control characters that no person types stand around found words in SQLite's snippets.
_OPEN: Final = "\x02"
_CLOSE: Final = "\x03"
_SNIPPET_WORDS: Final = 16
_MARK: Final = re.compile("[\x02\x03]")

_TITLES: Final = """
    SELECT c.id, c.title, highlight(title_search, 0, ?, ?) AS snippet
    FROM title_search JOIN conversations c ON c.id = title_search.rowid
    WHERE title_search MATCH ? ORDER BY c.updated DESC LIMIT ?"""

# The best rows are chosen before their snippets are made: making one for each of ten thousand
# hits would cost more than the search.
_MESSAGES: Final = """
    SELECT m.id AS message_id, c.id, c.title,
        snippet(message_search, 0, ?, ?, '…', ?) AS snippet
    FROM message_search
    JOIN messages m ON m.id = message_search.rowid
    JOIN conversations c ON c.id = m.conversation_id
    WHERE message_search MATCH ? AND message_search.rowid IN (
        SELECT rowid FROM message_search WHERE message_search MATCH ? ORDER BY rank LIMIT ?)
    ORDER BY message_search.rank"""


def search(database: Database, query: str, limit: int) -> tuple[SearchHit, ...]:
    """Find `query` in titles, then in messages, best first; at most `limit` of them."""
    expression = match_expression(query)
    if not expression or limit < 1:
        return ()
    titles = database.query(_TITLES, (_OPEN, _CLOSE, expression, limit))
    hits = [_hit(row, None) for row in titles]
    if len(hits) < limit:
        rest = limit - len(hits)
        values = (_OPEN, _CLOSE, _SNIPPET_WORDS, expression, expression, rest)
        hits += [_hit(row, row["message_id"]) for row in database.query(_MESSAGES, values)]
    return tuple(hits)


def match_expression(query: str) -> str:
    """Turn what was typed into an FTS5 expression: all words, the last one as a beginning.

    Each word is quoted, so nothing typed is taken for the query language; SQLite splits
    "long-context" within its quotes into a phrase. A space after the last word ends it.
    """
    typed = "".join(" " if unicodedata.category(char) == "Cc" else char for char in query)
    words = [word for word in typed.split() if any(char.isalnum() for char in word)]
    quoted = ['"{}"'.format(word.replace('"', '""')) for word in words]
    if words and typed.endswith(words[-1]):
        quoted[-1] += "*"
    return " ".join(quoted)


def _hit(row: sqlite3.Row, message_id: int | None) -> SearchHit:
    snippet, marks = _split_marks(row["snippet"])
    return SearchHit(row["id"], message_id, row["title"], snippet, marks)


def _split_marks(marked: str) -> tuple[str, tuple[tuple[int, int], ...]]:
    """Take the marks out of a snippet and tell where they stood."""
    parts: list[str] = []
    marks: list[tuple[int, int]] = []
    position = start = 0
    before = 0
    for mark in _MARK.finditer(marked):
        parts.append(marked[before : mark.start()])
        position += mark.start() - before
        before = mark.end()
        if mark.group() == _OPEN:
            start = position
        elif position > start:
            marks.append((start, position))
            start = position
    parts.append(marked[before:])
    return "".join(parts), tuple(marks)
