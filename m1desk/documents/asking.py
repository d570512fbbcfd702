"""Asking about documents: the prompt goes to the engine, the answer comes back checked."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from m1desk.documents.answers import CheckedAnswer, ReadReceipt
from m1desk.documents.budget import TokenCounter
from m1desk.documents.prompt import first_message
from m1desk.documents.set_values import AnswerDetails
from m1desk.engines.turn import (
    ChatMessage,
    ChatRequest,
    ReasoningDelta,
    SamplingParameters,
    TextDelta,
    TurnEvent,
    TurnFinished,
)
from m1desk.errors import BadInput, EngineFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from m1desk.documents.citations import CitationChecker
    from m1desk.documents.prompt import DocumentsText
    from m1desk.engines import CheckpointPlan, PrepareEvent

DEFAULT_ANSWER_TOKENS: Final = 1024
"""Kept free for an answer without a limit of its own; it may use all that the context has left."""
_THINKING: Final = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)


class AnsweringClient(TokenCounter, Protocol):
    """What answers questions about documents: the engine's client."""

    @property
    def counts_exactly(self) -> bool:
        """Whether it counts conversations as the model reads them, and does not estimate."""

    def stream_turn(self, request: ChatRequest) -> AsyncGenerator[TurnEvent, None]:
        """Answer, piece by piece; the last event is TurnFinished."""

    def prepare(
        self, name: str, messages: Sequence[ChatMessage], checkpoint: CheckpointPlan | None = None
    ) -> AsyncGenerator[PrepareEvent, None]:
        """Read the beginning of later prompts and keep it; the last event is PrepareFinished."""


@dataclass(frozen=True, slots=True)
class DocumentQuestion:
    """A question about documents.

    Attributes:
        prepared: name of the saved state that holds the documents, None to read them.
    """

    documents: DocumentsText
    question: str
    sampling: SamplingParameters = field(default_factory=SamplingParameters)
    prepared: str | None = None


@dataclass(frozen=True, slots=True)
class DocumentAnswer:
    """A finished answer, checked.

    Attributes:
        receipt: what the engine took in, by its own account.
        finished: the engine's figures.
    """

    checked: CheckedAnswer
    reasoning: str
    receipt: ReadReceipt
    finished: TurnFinished


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is sent: one message, and how it is to be answered.

    Attributes:
        prepared: name of the saved state of its beginning, None to read all of it.
    """

    content: str
    sampling: SamplingParameters = field(default_factory=SamplingParameters)
    prepared: str | None = None


async def ask(
    client: AnsweringClient,
    asked: DocumentQuestion,
    checker: CitationChecker,
    *,
    context_tokens: int,
) -> AsyncGenerator[TurnEvent | DocumentAnswer, None]:
    """Stream the answer; the last event is its DocumentAnswer.

    `context_tokens` is the engine's context length.

    Raises:
        BadInput: the question is empty, or the prompt does not fit: nothing is ever cut.
        EngineError: the engine refused, or was lost.
    """
    refuse_empty(asked.question)
    content = first_message(asked.documents, asked.question)
    prompt = Prompt(content, asked.sampling, asked.prepared)
    async with aclosing(send(client, prompt, checker, context_tokens=context_tokens)) as events:
        async for event in events:
            yield event


async def send(
    client: AnsweringClient, prompt: Prompt, checker: CitationChecker, *, context_tokens: int
) -> AsyncGenerator[TurnEvent | DocumentAnswer, None]:
    """Send a prompt whole and stream its answer, as `ask` does with documents and a question."""
    message = ChatMessage("user", prompt.content)
    expected = await client.count_tokens((message,))
    wanted = prompt.sampling.max_tokens or DEFAULT_ANSWER_TOKENS
    if expected + wanted > context_tokens:
        raise too_long(expected, wanted, context_tokens)
    request = ChatRequest((message,), prompt.sampling, prepared=prompt.prepared)
    text: list[str] = []
    reasoning: list[str] = []
    finished: TurnFinished | None = None
    async with aclosing(client.stream_turn(request)) as events:
        async for event in events:
            match event:
                case TextDelta():
                    text.append(event.text)
                case ReasoningDelta():
                    reasoning.append(event.text)
                case TurnFinished():
                    finished = event
            yield event
    if finished is None:
        raise EngineFailed("The answer ended without its account.", "", "Ask again.")
    checked = await check(checker, "".join(text))
    receipt = _receipt(expected, finished, is_estimated=not client.counts_exactly)
    yield DocumentAnswer(checked, "".join(reasoning), receipt, finished)


def prepare_text(
    client: AnsweringClient,
    documents: DocumentsText,
    name: str,
    checkpoint: CheckpointPlan | None = None,
) -> AsyncGenerator[PrepareEvent, None]:
    """Have documents read and kept under a name, as far as they are not: what `ask` begins with.

    Raises:
        EngineError: the engine refused, or was lost.
    """
    return client.prepare(name, (ChatMessage("user", documents.constant),), checkpoint)


def refuse_empty(question: str) -> None:
    """Raise BadInput for a question without a word."""
    if not question.strip():
        raise BadInput("There is no question.", "", "Type what you want to know.")


def details_of(answer: DocumentAnswer, seconds: float) -> AnswerDetails:
    """What is to be kept of an answer that took `seconds` in all."""
    finished = answer.finished
    use = finished.prepared
    return AnswerDetails(
        citations=answer.checked.citations,
        unquoted=answer.checked.unquoted,
        receipt=answer.receipt,
        first_token_seconds=finished.time_to_first_token,
        seconds=seconds,
        written_tokens=finished.completion_tokens,
        prefill_tokens_per_second=finished.prefill_tokens_per_second,
        decode_tokens_per_second=finished.tokens_per_second,
        finish_reason=finished.finish_reason,
        prepared_note=use.message if use is not None and not use.used else "",
    )


async def check(checker: CitationChecker, text: str) -> CheckedAnswer:
    """Check an answer, or what came of one, on a thread: the loop has other streams to serve."""
    return await asyncio.to_thread(checker.check, _THINKING.sub("", text).strip())


def too_long(prompt_tokens: int, answer_tokens: int, context_tokens: int) -> BadInput:
    """Say that documents and answer don't fit, with all numbers and what can be done."""
    return BadInput(
        f"The documents do not fit: the prompt has {prompt_tokens:,} tokens, the answer may need "
        f"{answer_tokens:,}, and the context has {context_tokens:,}.",
        f"{prompt_tokens + answer_tokens - context_tokens:,} tokens are too many. Nothing is cut.",
        "Load the model with a larger context, leave documents out, use a model with a longer "
        "context, or ask in several passes.",
    )


def _receipt(expected: int, finished: TurnFinished, *, is_estimated: bool) -> ReadReceipt:
    """Take the engine's own count of what it computed; of one that gives none, the difference."""
    reused, read = finished.reused_tokens, finished.read_tokens
    read = finished.prompt_tokens - reused if read is None else read
    return ReadReceipt(expected, read, reused, is_estimated)
