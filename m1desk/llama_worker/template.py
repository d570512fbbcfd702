"""A model's chat template: messages in, prompt text out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from m1desk.llama_worker.errors import TemplateError

__all__ = ["DEFAULT_TEMPLATE", "ChatTemplate", "TemplateError", "renders_open_think"]

DEFAULT_TEMPLATE = ""


class ChatTemplate:
    """A compiled chat template and what it was found to want. May be used from any thread."""

    def __init__(self, source: str, bos: str, eos: str) -> None:
        """Compile, and try out which shape of messages it wants.

        Raises:
            TemplateError: it does not compile, or not within the limits of time and size.
        """

    def render(
        self,
        messages: Sequence[Mapping[str, object]],
        *,
        tools: Sequence[Mapping[str, object]] | None = None,
        add_generation_prompt: bool = True,
        extra: Mapping[str, object] | None = None,
    ) -> str:
        """The prompt for `messages` (OpenAI's shape).

        Raises:
            TemplateError: the template refuses the conversation, or exceeds its time or size.
        """
        raise NotImplementedError


def renders_open_think(prompt: str) -> bool:
    """Whether `prompt` ends with an opened `<think>`, so that the answer starts as reasoning."""
    return prompt.rstrip().endswith("<think>")
