"""What of a conversation is sent to the engine: the system prompt and the active branch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from m1desk.engines.turn import ChatMessage, ChatRequest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from m1desk.chat.values import Conversation, Message

_BETWEEN_QUESTIONS: Final = "\n\n"


def build_request(conversation: Conversation, path: Iterable[Message]) -> ChatRequest:
    """Make the request that has the last message of `path` answered.

    Thinking is not sent back, as models are trained to expect. Answers without text are left
    out; the questions around one then become a single message, because many chat templates
    insist that user and assistant take turns.
    """
    messages: list[ChatMessage] = []
    if conversation.system_prompt.strip():
        messages.append(ChatMessage("system", conversation.system_prompt))
    for message in path:
        if not message.content.strip():
            continue
        last = messages[-1] if messages else None
        if last is not None and last.role == message.role == "user":
            both = last.content + _BETWEEN_QUESTIONS + message.content
            messages[-1] = ChatMessage("user", both)
        else:
            messages.append(ChatMessage(message.role, message.content))
    return ChatRequest(tuple(messages), conversation.sampling)
