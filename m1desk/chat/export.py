"""A conversation as a Markdown page to read, or as JSON to keep and read again."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Final

from m1desk.chat.records import sampling_to_mapping

if TYPE_CHECKING:
    from m1desk.chat.conversations import ConversationStore
    from m1desk.chat.values import Message, MessageStats

FORMAT: Final = "m1desk-conversation"
FORMAT_VERSION: Final = 1

_SPEAKERS: Final = {"user": "You", "assistant": "Assistant", "system": "System", "tool": "Tool"}
_STATES: Final = {
    "streaming": "This answer is still being written.",
    "stopped": "This answer was stopped.",
    "interrupted": "This answer was interrupted.",
    "failed": "There was no answer.",
}


def export_markdown(store: ConversationStore, conversation_id: int) -> str:
    """Write the active branch as Markdown; thinking is folded away. Raises BadInput."""
    conversation = store.get(conversation_id)
    parts = [f"# {conversation.title}", f"*{_moment(conversation.created)}*"]
    if conversation.system_prompt.strip():
        parts += ["## System", conversation.system_prompt.strip()]
    for message in store.path(conversation_id):
        parts += _markdown_of(message)
    return "\n\n".join(parts) + "\n"


def export_json(store: ConversationStore, conversation_id: int) -> str:
    """Write the whole tree, all branches, as JSON. Raises BadInput.

    Keys: `format`, `version`, `title`, `created` and `updated` (seconds since the epoch),
    `system_prompt`, `sampling` (only what was chosen), `model`, `active_path` (message ids, first
    to last) and `messages`, parents first, each with the keys of `Message` but its place among
    siblings; `stats` is null or has the keys of `MessageStats`.
    """
    conversation = store.get(conversation_id)
    document = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "title": conversation.title,
        "created": conversation.created,
        "updated": conversation.updated,
        "system_prompt": conversation.system_prompt,
        "sampling": sampling_to_mapping(conversation.sampling),
        "model": conversation.model,
        "active_path": [message.id for message in store.path(conversation_id)],
        "messages": [_json_of(message) for message in store.all_messages(conversation_id)],
    }
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def _markdown_of(message: Message) -> list[str]:
    speaker = _SPEAKERS[message.role]
    model = f" · {message.model}" if message.model else ""
    parts = [f"## {speaker}", f"*{_moment(message.created)}{model}*"]
    if message.reasoning.strip():
        thinking = message.reasoning.strip()
        parts += ["<details>\n<summary>Thinking</summary>", thinking, "</details>"]
    if message.content.strip():
        parts.append(message.content.strip())
    if message.state in _STATES:
        parts.append(f"> **{_STATES[message.state]}** {' '.join(message.error.split())}".rstrip())
    if message.stats is not None:
        parts.append(f"<sub>{_figures(message.stats)}</sub>")
    return parts


def _figures(stats: MessageStats) -> str:
    figures = [
        f"{stats.prompt_tokens:,} prompt tokens",
        f"{stats.completion_tokens:,} completion tokens",
    ]
    if stats.time_to_first_token is not None:
        figures.append(f"{stats.time_to_first_token:.2f} s to first token")
    if stats.tokens_per_second is not None:
        figures.append(f"{stats.tokens_per_second:.1f} tok/s")
    return " · ".join(figures)


def _json_of(message: Message) -> dict[str, object]:
    record = asdict(message)
    for derived in ("conversation_id", "sibling_index", "sibling_count"):
        del record[derived]
    return record


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M")
