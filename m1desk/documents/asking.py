"""Asking about documents: the prompt goes to the engine, the answer comes back checked."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from m1desk.documents.answers import CheckedAnswer, ReadReceipt
from m1desk.documents.budget import count_prompt
from m1desk.documents.prompt import first_message
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
    from m1desk.documents.citations import CitationChecker
    from m1desk.documents.prompt import DocumentsText
    from m1desk.engines import EngineClient

DEFAULT_ANSWER_TOKENS: Final = 1024
"""Kept free for an answer without a limit of its own; it may use all that the context has left."""
_THINKING: Final = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)


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


async def ask(
    client: EngineClient,
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
    if not asked.question.strip():
        raise BadInput("There is no question.", "", "Type what you want to know.")
    expected = await count_prompt(client, asked.documents, asked.question)
    wanted = asked.sampling.max_tokens or DEFAULT_ANSWER_TOKENS
    if expected + wanted > context_tokens:
        raise too_long(expected, wanted, context_tokens)
    message = ChatMessage("user", first_message(asked.documents, asked.question))
    request = ChatRequest((message,), asked.sampling, prepared=asked.prepared)
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
    yield DocumentAnswer(checked, "".join(reasoning), _receipt(expected, finished), finished)


async def check(checker: CitationChecker, text: str) -> CheckedAnswer:
    """Check an answer, or what came of one, on a thread: the loop has other streams to serve."""
    return await asyncio.to_thread(checker.check, _THINKING.sub("", text).strip())


def too_long(prompt_tokens: int, answer_tokens: int, context_tokens: int) -> BadInput:
    """Say that documents and answer don't fit, with all numbers and what can be done."""
    return BadInput(
        f"The documents do not fit: the prompt has {prompt_tokens:,} tokens, the answer may need "
        f"{answer_tokens:,}, and the context has {context_tokens:,}.",
        f"{prompt_tokens + answer_tokens - context_tokens:,} tokens are too many. Nothing is cut.",
        "Load the model with a larger context, leave documents out, or use a model with a longer "
        "context.",
    )


def _receipt(expected: int, finished: TurnFinished) -> ReadReceipt:
    """Take the engine's own count of what it computed; of one that gives none, the difference."""
    reused, read = finished.reused_tokens, finished.read_tokens
    return ReadReceipt(expected, finished.prompt_tokens - reused if read is None else read, reused)
