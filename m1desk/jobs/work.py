"""Doing one step with an engine: asking documents, chatting, measuring."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from m1desk.documents import (
    DEFAULT_ANSWER_TOKENS,
    AnswerDetails,
    DocumentAnswer,
    DocumentQuestion,
    ReadReceipt,
    ask,
    state_name,
)
from m1desk.documents.asking import details_of, prepare_text
from m1desk.documents.pass_plan import plan_for_question
from m1desk.documents.passes import PassEnded, PassesAnswer, PassesQuestion, ask_in_passes
from m1desk.engines import PrepareFinished
from m1desk.engines.turn import (
    ChatMessage,
    ChatRequest,
    ReasoningDelta,
    SamplingParameters,
    TextDelta,
    TurnFinished,
)
from m1desk.errors import EngineFailed, EngineRefused
from m1desk.jobs.plan import MEASURED_ANSWER_TOKENS
from m1desk.jobs.values import JobAnswer, JobProgress, JobQuestion

if TYPE_CHECKING:
    from m1desk.documents import DocumentsText, PassAnswer
    from m1desk.documents.passes import PassEvent, PassStarted
    from m1desk.engines import PrepareEvent
    from m1desk.engines.turn import TurnEvent
    from m1desk.jobs.corpus import JobDocuments, LaidOut
    from m1desk.jobs.desk import JobEngine

    StepEvent = TurnEvent | PrepareEvent | PassStarted | EngineRefused
    Hear = Callable[[StepEvent], None]
    StateOf = Callable[[DocumentsText], str | None]
    Keep = Callable[[Sequence[PassAnswer]], Awaitable[None]]

_NO_ENGINE_LIMIT: Final = 1 << 40
"""Context length assumed of a server that does not tell its own: it refuses by itself."""
_USUAL_SERVER_TOKENS: Final = 8192
"""What a part of larger documents may have with a server that does not tell its context length."""
_SENTENCE: Final = "The committee met on day {} and heard what had been measured since. "


@dataclass(frozen=True, slots=True)
class StepDone:
    """What came of a step.

    Attributes:
        spent: tokens and time, for the job's progress.
        prompt_tokens: of the whole prompt, reused ones included.
    """

    answer: JobAnswer
    spent: JobProgress
    prompt_tokens: int


@dataclass(frozen=True, slots=True)
class Asked:
    """A question on its way to an engine.

    Attributes:
        document: name of the one document that is asked, "" for all or none.
        hear: takes every event, and a preparation's refusal; must not block.
        state_of: names the state that the engine keeps of a text, None to keep none; may block.
    """

    document: str
    question: JobQuestion
    sampling: SamplingParameters
    hear: Hear
    state_of: StateOf


def state_of(engine: JobEngine, set_id: int, text: DocumentsText) -> str | None:
    """Name the state that an engine keeps of documents; None when it keeps none."""
    if not engine.keeps_states:
        return None
    if engine.settings is None:
        return state_name(set_id, text.sha256, Path(engine.model), "")
    return state_name(set_id, text.sha256, engine.settings.model_path, engine.settings.kv_type)


async def ask_documents(engine: JobEngine, laid_out: LaidOut, asked: Asked) -> StepDone:
    """Ask about documents that are read once, and gone on with where a crash cut it off.

    Raises:
        BadInput: the question is empty, or the prompt does not fit.
        EngineError: the engine refused, or was lost.
    """
    began = time.monotonic()
    state = await asyncio.to_thread(asked.state_of, laid_out.text)
    prepared = await _prepared(engine, laid_out, state, asked.hear)
    question = DocumentQuestion(
        laid_out.text, asked.question.text, asked.sampling, state if prepared else None
    )
    limit = engine.context_tokens or _NO_ENGINE_LIMIT
    asking = ask(engine.client, question, laid_out.checker, context_tokens=limit)
    answer: DocumentAnswer | None = None
    async with aclosing(asking) as events:
        async for event in events:
            if isinstance(event, DocumentAnswer):
                answer = event
            else:
                asked.hear(event)
    if answer is None:
        raise _no_account()
    seconds = time.monotonic() - began
    read_before = prepared.read_tokens if prepared else 0
    receipt = answer.receipt
    details = replace(details_of(answer, seconds), documents=laid_out.names)
    return StepDone(
        replace(
            _answer(engine, asked, answer.checked.text, details),
            reasoning=answer.reasoning,
            text_sha256=laid_out.text.sha256,
        ),
        JobProgress(
            read_tokens=receipt.read_tokens + read_before,
            reused_tokens=max(0, receipt.reused_tokens - read_before),
            written_tokens=answer.finished.completion_tokens,
            seconds=seconds,
        ),
        receipt.taken_tokens,
    )


async def _prepared(
    engine: JobEngine, laid_out: LaidOut, state: str | None, hear: Hear
) -> PrepareFinished | None:
    """Have documents read and kept; None when they are not, and are read with the question."""
    if state is None:
        return None
    finished: PrepareFinished | None = None
    try:
        async with aclosing(prepare_text(engine.client, laid_out.text, state)) as events:
            async for event in events:
                hear(event)
                if isinstance(event, PrepareFinished):
                    finished = event
    except EngineRefused as refusal:  # no room on the disk: the answer does not need the file
        hear(refusal)
        return None
    return finished


async def ask_passes(
    engine: JobEngine,
    documents: JobDocuments,
    asked: Asked,
    done: Sequence[PassAnswer],
    keep: Keep,
) -> StepDone:
    """Ask about documents that are larger than the context, part by part.

    Args:
        engine: that answers.
        documents: to be spread over parts.
        asked: the question.
        done: what an earlier try brought; it is not asked again.
        keep: writes down what has come so far, each time that there is more.

    Raises:
        BadInput: the question is empty, or the context too small.
        EngineError: the engine refused, or was lost.
    """
    began = time.monotonic()
    limit = engine.context_tokens or _USUAL_SERVER_TOKENS
    passes = await plan_for_question(
        documents.used,
        asked.question.text,
        engine.client,
        context_tokens=limit,
        answer_tokens=asked.sampling.max_tokens or DEFAULT_ANSWER_TOKENS,
    )
    laid_out = await asyncio.to_thread(documents.laid_out)
    question = PassesQuestion(passes, asked.question.text, asked.sampling, asked.state_of)
    asking = ask_in_passes(
        engine.client, question, laid_out.checker, context_tokens=limit, done=done
    )
    answer = await _heard_out(asking, asked.hear, done, keep)
    return _passes_done(engine, asked, laid_out, answer, time.monotonic() - began)


async def _heard_out(
    asking: AsyncGenerator[PassEvent], hear: Hear, done: Sequence[PassAnswer], keep: Keep
) -> PassesAnswer:
    """Hear passes to their end, and write down each one that ends behind those `done`."""
    here = list(done)
    answer: PassesAnswer | None = None
    async with aclosing(asking) as events:
        async for event in events:
            match event:
                case PassesAnswer():
                    answer = event
                case PassEnded(ended):
                    here.append(ended)
                    await keep(here)
                case _:
                    hear(event)
    if answer is None:
        raise _no_account()
    return answer


def _passes_done(
    engine: JobEngine, asked: Asked, laid_out: LaidOut, answer: PassesAnswer, seconds: float
) -> StepDone:
    details = replace(answer.details, documents=laid_out.names)
    receipt = details.receipt or ReadReceipt(0, 0, 0)
    return StepDone(
        replace(
            _answer(engine, asked, answer.answer, details),
            reasoning=answer.reasoning,
            text_sha256=laid_out.text.sha256,
        ),
        JobProgress(
            read_tokens=receipt.read_tokens,
            reused_tokens=receipt.reused_tokens,
            written_tokens=details.written_tokens,
            seconds=seconds,
        ),
        receipt.taken_tokens,
    )


async def chat(engine: JobEngine, asked: Asked, extra: dict[str, object] | None = None) -> StepDone:
    """Send a question by itself; raises EngineError."""
    began = time.monotonic()
    message = ChatMessage("user", asked.question.text)
    request = ChatRequest((message,), asked.sampling, extra or {})
    text: list[str] = []
    reasoning: list[str] = []
    finished: TurnFinished | None = None
    async with aclosing(engine.client.stream_turn(request)) as events:
        async for event in events:
            asked.hear(event)
            match event:
                case TextDelta():
                    text.append(event.text)
                case ReasoningDelta():
                    reasoning.append(event.text)
                case TurnFinished():
                    finished = event
    if finished is None:
        raise _no_account()
    seconds = time.monotonic() - began
    details = _details(finished, seconds)
    answer = _answer(engine, asked, "".join(text).strip(), details)
    answer = replace(answer, reasoning="".join(reasoning))
    spent = JobProgress(
        read_tokens=finished.prompt_tokens - finished.reused_tokens,
        reused_tokens=finished.reused_tokens,
        written_tokens=finished.completion_tokens,
        seconds=seconds,
    )
    return StepDone(answer, spent, finished.prompt_tokens)


async def measure(engine: JobEngine, depth: int, hear: Hear) -> StepDone:
    """Measure how fast `depth` tokens are read, and some written behind; raises EngineError."""
    sampling = SamplingParameters(temperature=0.0, max_tokens=MEASURED_ANSWER_TOKENS)
    text = await _text_of(engine, depth)
    asked = Asked("", JobQuestion(f"{depth} tokens", text), sampling, hear, lambda _: None)
    own: dict[str, object] = {"ignore_eos": True} if engine.settings is not None else {}
    done = await chat(engine, asked, own)
    found = done.answer.details
    words = (
        f"Read {done.spent.read_tokens:,} tokens at {_speed(found.prefill_tokens_per_second)}; "
        f"wrote {found.written_tokens:,} tokens behind them at "
        f"{_speed(found.decode_tokens_per_second)}."
    )
    return replace(done, answer=_answer(engine, asked, words, found))


async def _text_of(engine: JobEngine, tokens: int) -> str:
    """Write about so many tokens that no engine has read before."""
    sample = "".join(_SENTENCE.format(number) for number in range(100))
    each = await engine.client.count_text(sample) / 100
    sentences = (_SENTENCE.format(number) for number in range(max(1, round(tokens / each))))
    return f"{uuid.uuid4()} {''.join(sentences)}"


def _speed(tokens_per_second: float | None) -> str:
    return "an unknown speed" if tokens_per_second is None else f"{tokens_per_second:,.1f} tokens/s"


def _details(finished: TurnFinished, seconds: float) -> AnswerDetails:
    reused = finished.reused_tokens
    read = finished.prompt_tokens - reused if finished.read_tokens is None else finished.read_tokens
    return AnswerDetails(
        receipt=ReadReceipt(finished.prompt_tokens, read, reused),
        first_token_seconds=finished.time_to_first_token,
        seconds=seconds,
        written_tokens=finished.completion_tokens,
        prefill_tokens_per_second=finished.prefill_tokens_per_second,
        decode_tokens_per_second=finished.tokens_per_second,
        finish_reason=finished.finish_reason,
    )


def _answer(engine: JobEngine, asked: Asked, text: str, details: AnswerDetails) -> JobAnswer:
    return JobAnswer(
        document=asked.document,
        question=asked.question.name,
        question_text=asked.question.text,
        answer=text,
        reasoning="",
        model=engine.model,
        details=details,
    )


def _no_account() -> EngineFailed:
    return EngineFailed("The answer ended without its account.", "", "Ask again.")
