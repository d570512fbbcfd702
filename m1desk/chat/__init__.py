"""Conversations as trees of messages, streaming turns, search and export."""

from __future__ import annotations

from m1desk.chat.conversations import ConversationStore
from m1desk.chat.export import export_json, export_markdown
from m1desk.chat.history import build_request
from m1desk.chat.records import sampling_from_mapping, sampling_to_mapping
from m1desk.chat.turns import TurnRunner, TurnSource
from m1desk.chat.values import (
    DEFAULT_TITLE,
    Conversation,
    DeltaKind,
    Message,
    MessageState,
    MessageStats,
    SearchHit,
    TurnDelta,
    TurnEnded,
    TurnNotice,
    TurnPrefill,
    TurnStarted,
)

__all__ = [
    "DEFAULT_TITLE",
    "Conversation",
    "ConversationStore",
    "DeltaKind",
    "Message",
    "MessageState",
    "MessageStats",
    "SearchHit",
    "TurnDelta",
    "TurnEnded",
    "TurnNotice",
    "TurnPrefill",
    "TurnRunner",
    "TurnSource",
    "TurnStarted",
    "build_request",
    "export_json",
    "export_markdown",
    "sampling_from_mapping",
    "sampling_to_mapping",
]
