"""A limit on how long a model thinks: after so many tokens its thinking is ended for it."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from m1desk.llama_worker.output import OutputParser

CLOSING = "\n</think>\n\n"
"""What MiniMax-M1, Qwen and DeepSeek write there themselves."""


class ThinkingBudget:
    """Counts the tokens of one answer's thinking, and ends it in time."""

    def __init__(self, tokens: int, closing: Sequence[int]) -> None:
        """Prepare.

        Args:
            tokens: how many the model may think; 0 for none.
            closing: token ids of `CLOSING`.
        """
        self._left = tokens
        self._closing = deque(closing)
        self._is_closing = False

    def next_token(self, output: OutputParser) -> int | None:
        """Say which token comes next, whatever the model would write; None leaves it the choice.

        Call it once before each token, with all that was written before it.
        """
        if not self._is_closing:
            if not output.is_thinking:
                return None
            if self._left > 0 or output.is_within_character:
                self._left -= 1
                return None
            self._is_closing = True
        return self._closing.popleft() if self._closing else None
