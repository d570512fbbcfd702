"""Conversations and texts as the model's tokens, with the checks that every prompt goes through."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Final

from m1desk.llama_worker.control_texts import ContentGuard, control_texts
from m1desk.llama_worker.errors import RequestError, TemplateError
from m1desk.llama_worker.recent_tokens import RecentTokens, texts_key
from m1desk.llama_worker.slots import common_prefix

if TYPE_CHECKING:
    from m1desk.llama_worker.engine import Engine


_REMEMBERED: Final = 4
"""Prompts whose tokens are kept: with a question about documents, its count and their beginning
come up; so two sets of documents can be asked about in turn."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A conversation as the template writes it.

    Attributes:
        marked: with marks in place of what only looks like a control token.
        text: as it reads.
    """

    marked: str
    text: str


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
        self._guard = ContentGuard(control_texts(engine.native, engine.model, engine.template))
        self._recent = RecentTokens(_REMEMBERED, engine.context_tokens)

    def render(
        self,
        messages: Sequence[Mapping[str, object]],
        tools: Sequence[Mapping[str, object]] | None,
        arguments: Mapping[str, object],
        *,
        opening: bool,
    ) -> Rendered:
        """A conversation in the template's words; `opening` adds the beginning of the model's turn.

        Raises:
            RequestError: the model has no usable template, or it refuses the conversation.
        """
        template = self._engine.template
        if template is None:
            raise RequestError(self._engine.template_problem, "messages")
        try:
            marked = template.render(
                messages,
                tools=tools,
                add_generation_prompt=opening,
                extra=arguments,
                guard=self._guard,
            )
        except TemplateError as error:
            raise RequestError(str(error), "messages") from error
        return Rendered(marked, self._guard.plain(marked))

    def tokens(self, rendered: Rendered) -> list[int]:
        """The tokens of a rendered conversation; known already if they were asked for lately."""
        key = texts_key("whole", [rendered.marked])
        tokens = self._recent.find(key)
        if tokens is None:
            tokens = self._tokenize(rendered)
            self._recent.keep(key, tokens)
        return tokens

    def shared_tokens(self, versions: Sequence[Rendered]) -> list[int]:
        """The tokens that all versions of a conversation begin with; as `tokens`."""
        key = texts_key("shared", [version.marked for version in versions])
        shared = self._recent.find(key)
        if shared is None:
            shared = reduce(_common, map(self._tokenize, versions))
            self._recent.keep(key, shared)
        return shared

    def _tokenize(self, rendered: Rendered) -> list[int]:
        # most templates write the opening token themselves; it must not stand there twice
        bos = self._model.special_token_text("bos")
        add_special = not (bos and rendered.marked.startswith(bos))
        pieces = self._guard.pieces(rendered.marked)
        if len(pieces) == 1 and pieces[0].special:
            return self._model.tokenize(rendered.text, add_special=add_special)
        tokens: list[int] = []
        for piece in pieces:
            tokens += self._model.tokenize(piece.text, special=piece.special, add_special=False)
        return self._enclosed(tokens) if add_special else tokens

    def _enclosed(self, tokens: list[int]) -> list[int]:
        """Put the vocabulary's opening and closing tokens, as far as it has them, around some."""
        ends = self._model.tokenize("", add_special=True)
        opening = 1 if self._model.adds_bos else 0
        return [*ends[:opening], *tokens, *ends[opening:]]

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


def _common(left: list[int], right: list[int]) -> list[int]:
    return left[: common_prefix(left, right)]
