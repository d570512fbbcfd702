"""Conversations and texts as the model's tokens, with the checks that every prompt goes through."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from m1desk.llama_worker.errors import RequestError, TemplateError

if TYPE_CHECKING:
    from m1desk.llama_worker.engine import Engine


class ContextExceeded(Exception):
    """A prompt longer than the context; nothing is ever cut."""

    def __init__(self, prompt_tokens: int, context_tokens: int) -> None:
        super().__init__(
            f"The prompt has {prompt_tokens} tokens, but the context holds {context_tokens}. "
            "Load the model with a longer context, or send less."
        )
        self.prompt_tokens = prompt_tokens
        self.context_tokens = context_tokens


class Prompts:
    """Makes prompts for one engine. Every method is safe from any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._model = engine.model

    def render(
        self,
        messages: Sequence[Mapping[str, object]],
        tools: Sequence[Mapping[str, object]] | None,
        arguments: Mapping[str, object],
        *,
        opening: bool,
    ) -> str:
        """The text of a conversation; `opening` adds the beginning of the model's turn.

        Raises:
            RequestError: the model has no usable template, or it refuses the conversation.
        """
        template = self._engine.template
        if template is None:
            raise RequestError(self._engine.template_problem, "messages")
        try:
            return template.render(
                messages, tools=tools, add_generation_prompt=opening, extra=arguments
            )
        except TemplateError as error:
            raise RequestError(str(error), "messages") from error

    def tokens(self, rendered: str) -> list[int]:
        """The tokens of a rendered conversation."""
        # most templates write the opening token themselves; it must not stand there twice
        bos = self._model.special_token_text("bos")
        return self._model.tokenize(rendered, add_special=not (bos and rendered.startswith(bos)))

    def check_length(self, tokens: Sequence[int], param: str) -> None:
        """Refuse what the context can't hold.

        Raises:
            RequestError: there are no tokens.
            ContextExceeded: there are too many.
        """
        if not tokens:  # a chat template may make nothing of a whole conversation
            raise RequestError("The prompt is empty.", param)
        if len(tokens) >= self._engine.context_tokens:
            raise ContextExceeded(len(tokens), self._engine.context_tokens)

    def check_ids(self, tokens: Iterable[int], param: str) -> None:
        """Refuse what is not in the vocabulary.

        Raises:
            RequestError: a token is not.
        """
        vocabulary = self._model.facts.vocabulary
        for token in tokens:
            if not 0 <= token < vocabulary:
                raise RequestError(
                    f"Token {token} is not in the vocabulary (0 to {vocabulary - 1}).", param
                )
