"""How many tokens of the context a conversation takes: counted where possible, else guessed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from m1desk.chat import Message

CHARACTERS_PER_TOKEN: Final = 4
"""A rule of thumb for English; only where the engine has not counted, and marked as a guess."""


def usage(messages: Sequence[Message], system_prompt: str) -> tuple[int, bool]:
    """Tokens of a conversation, and whether the engine counted all of them.

    The engine's count of the last answer covers all before it; what came after is estimated.
    """
    later = 0
    for message in reversed(messages):
        if message.stats is not None and message.stats.prompt_tokens > 0:
            counted = message.stats.prompt_tokens + message.stats.completion_tokens
            return counted + later, later == 0
        later += estimate_tokens(len(message.content))
    return later + estimate_tokens(len(system_prompt)), later == 0 and not system_prompt


def estimate_tokens(characters: int) -> int:
    """Guess how many tokens so many characters are."""
    return -(-characters // CHARACTERS_PER_TOKEN)
