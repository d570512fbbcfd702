"""How conversations and messages lie in the database: rows to values and back."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any, Final

from m1desk.chat.values import Conversation, Message, MessageStats
from m1desk.engines.turn import SamplingParameters

if TYPE_CHECKING:
    import sqlite3

_SAMPLING_KEYS: Final = frozenset(entry.name for entry in fields(SamplingParameters))
_STATS_KEYS: Final = frozenset(entry.name for entry in fields(MessageStats))

_STATS_PLACE: Final = 10

MESSAGE_COLUMNS: Final = """m.id, m.conversation_id, m.parent_id, m.role, m.content, m.reasoning,
    m.created, m.state, m.error, m.model, m.stats,
    (SELECT count(*) FROM messages s WHERE s.parent_id IS m.parent_id
        AND s.conversation_id = m.conversation_id AND s.id < m.id) AS sibling_index,
    (SELECT count(*) FROM messages s WHERE s.parent_id IS m.parent_id
        AND s.conversation_id = m.conversation_id) AS sibling_count"""
"""What `message_of` wants selected from `messages m`."""


def conversation_of(row: sqlite3.Row) -> Conversation:
    """Build the conversation in a row of the table `conversations`."""
    return Conversation(
        id=row["id"],
        title=row["title"],
        created=row["created"],
        updated=row["updated"],
        system_prompt=row["system_prompt"],
        sampling=sampling_of(row["sampling"]),
        model=row["model"],
        leaf_id=row["leaf_id"],
    )


def message_of(row: sqlite3.Row) -> Message:
    """Build the message in a row of `MESSAGE_COLUMNS`, which has the order of `Message`.

    By position: with names, reading ten thousand rows takes half as long again.
    """
    values = list(row)
    values[_STATS_PLACE] = stats_of(values[_STATS_PLACE])
    return Message(*values)


def sampling_of(text: str) -> SamplingParameters:
    """Read sampling parameters from JSON, leaving out what this version doesn't know."""
    values = _known(text, _SAMPLING_KEYS)
    stop = values.pop("stop", ())
    return SamplingParameters(**values, stop=tuple(stop))


def sampling_text(sampling: SamplingParameters) -> str:
    """Write sampling parameters as JSON, only those that were chosen."""
    chosen = {key: value for key, value in asdict(sampling).items() if value not in (None, ())}
    return json.dumps(chosen)


def stats_of(text: str | None) -> MessageStats | None:
    """Read an answer's figures from JSON."""
    return MessageStats(**_known(text, _STATS_KEYS)) if text else None


def stats_text(stats: MessageStats | None) -> str | None:
    """Write an answer's figures as JSON."""
    return json.dumps(asdict(stats)) if stats else None


def _known(text: str, keys: frozenset[str]) -> dict[str, Any]:
    return {key: value for key, value in json.loads(text).items() if key in keys}
