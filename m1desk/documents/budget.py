"""What documents take of the context, counted by the model's own tokenizer, and what is left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from m1desk.documents.prompt import DocumentsText, first_message, lay_out
from m1desk.engines.turn import ChatMessage

if TYPE_CHECKING:
    from m1desk.documents.values import Document


class TokenCounter(Protocol):
    """Counts with the loaded model's tokenizer: the engine's client."""

    async def count_text(self, text: str) -> int:
        """Count the tokens of a bare text; raises M1DeskError."""

    async def count_tokens(self, messages: Sequence[ChatMessage]) -> int:
        """Count a conversation as the model would read it; raises M1DeskError."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What a question about documents takes of the context (tokens).

    Attributes:
        context_tokens: of the loaded engine, for the prompt and the answer together.
        documents: each document's own count, by name.
        prompt_tokens: of the whole prompt: documents, markers, instructions, template, question.
        answer_tokens: to be kept free for the answer, its thinking included.
    """

    context_tokens: int
    documents: Mapping[str, int]
    prompt_tokens: int
    answer_tokens: int

    @property
    def other_tokens(self) -> int:
        """Of the prompt, what belongs to no document: instructions, template and the question."""
        return max(0, self.prompt_tokens - sum(self.documents.values()))

    @property
    def needed_tokens(self) -> int:
        """The least context that will do."""
        return self.prompt_tokens + self.answer_tokens

    @property
    def missing_tokens(self) -> int:
        """What the context is short of; 0 when all fits."""
        return max(0, self.needed_tokens - self.context_tokens)

    @property
    def free_tokens(self) -> int:
        """What is left of the context."""
        return max(0, self.context_tokens - self.needed_tokens)

    @property
    def fits(self) -> bool:
        """Whether prompt and answer fit into the context."""
        return not self.missing_tokens


async def count_documents(counter: TokenCounter, documents: Sequence[Document]) -> dict[str, int]:
    """Count each document by itself, markers included.

    Tokens may join at the borders between documents, so that the sum differs from the whole by a
    few; the whole is what counts, and it is counted whole.

    Raises:
        M1DeskError: the engine did not answer.
    """
    return {one.name: await counter.count_text(lay_out([one]).text) for one in documents}


async def count_prompt(counter: TokenCounter, documents: DocumentsText, question: str) -> int:
    """Count the whole prompt of a question; raises M1DeskError."""
    return await counter.count_tokens([ChatMessage("user", first_message(documents, question))])
