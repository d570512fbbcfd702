"""How conversations and messages lie in the database: rows to values and back."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any, Final

from m1desk.chat.values import Conversation, Message, MessageStats
from m1desk.engines.turn import SamplingParameters

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

_SAMPLING_KEYS: Final = frozenset(entry.name for entry in fields(SamplingParameters))
_WHOLE_NUMBERS: Final = frozenset({"top_k", "max_tokens", "seed", "thinking_tokens"})
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
    return sampling_from_mapping(json.loads(text))


def sampling_text(sampling: SamplingParameters) -> str:
    """Write sampling parameters as JSON, only those that were chosen."""
    return json.dumps(sampling_to_mapping(sampling))


def sampling_from_mapping(values: Mapping[str, object]) -> SamplingParameters:
    """Take sampling parameters from stored values; unknown names and wrong types are left out."""
    chosen: dict[str, Any] = {key: value for key, value in values.items() if _is_usable(key, value)}
    stop = tuple(chosen.pop("stop", ()))
    return SamplingParameters(**chosen, stop=stop)


def sampling_to_mapping(sampling: SamplingParameters) -> dict[str, object]:
    """Give the parameters that were chosen, in JSON's types."""
    chosen = {key: value for key, value in asdict(sampling).items() if value is not None}
    stop = chosen.pop("stop")
    return {**chosen, "stop": list(stop)} if stop else chosen


def _is_usable(key: str, value: object) -> bool:
    if key == "stop":
        return isinstance(value, (list, tuple)) and all(isinstance(word, str) for word in value)
    if isinstance(value, bool) or key not in _SAMPLING_KEYS:
        return False
    return isinstance(value, int if key in _WHOLE_NUMBERS else (int, float))


def stats_of(text: str | None) -> MessageStats | None:
    """Read an answer's figures from JSON."""
    if not text:
        return None
    stored = json.loads(text).items()
    return MessageStats(**{key: value for key, value in stored if key in _STATS_KEYS})


def stats_text(stats: MessageStats | None) -> str | None:
    """Write an answer's figures as JSON."""
    return json.dumps(asdict(stats)) if stats else None
