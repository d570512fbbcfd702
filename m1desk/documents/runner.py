"""Answers questions about sets of documents: prepares, asks, checks, and keeps what came."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from m1desk.documents.asking import DocumentAnswer, DocumentQuestion, ask, check
from m1desk.documents.citations import CitationChecker
from m1desk.documents.notices import (
    QuestionDelta,
    QuestionEnded,
    QuestionNotice,
    QuestionPrefill,
    QuestionPreparing,
    QuestionStarted,
)
from m1desk.documents.prompt import DocumentsText, lay_out
from m1desk.documents.set_values import AnswerDetails, AskedQuestion, QuestionState
from m1desk.engines.turn import (
    ChatMessage,
    PrefillProgress,
    ReasoningDelta,
    SamplingParameters,
    TextDelta,
    TurnEvent,
)
from m1desk.errors import BadInput, EngineFailed, M1DeskError

if TYPE_CHECKING:
    from m1desk.documents.sets import DocumentSets
    from m1desk.engines import CheckpointPlan, EngineClient

_log = logging.getLogger(__name__)

_SAVE_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class AskingEngine:
    """The engine that answers, as it is loaded now.

    Attributes:
        model: its name.
        context_tokens: its context length.
        state_name: names the state that is kept of documents; None where the engine keeps none.
        checkpoint: when a long reading saves its state on the way; None for the default.
    """

    client: EngineClient
    model: str
    context_tokens: int
    state_name: Callable[[DocumentsText], str] | None = None
    checkpoint: CheckpointPlan | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """A question to be asked.

    Attributes:
        predicted_seconds: to the first token, as [low, high], to be kept beside the real time.
    """

    set_id: int
    question: str
    sampling: SamplingParameters = field(default_factory=SamplingParameters)
    predicted_seconds: tuple[float, float] | None = None


class QuestionRunner:
    """Runs questions, one per set at a time; belongs to the thread of one event loop.

    `emit` gets every notice in order, on the loop's thread, and must not block.
    """

    def __init__(self, sets: DocumentSets, emit: Callable[[QuestionNotice], None]) -> None:
        self._sets = sets
        self._emit = emit
        self._running: dict[int, _Asking] = {}
        self._last: tuple[str, CitationChecker] | None = None

    @property
    def running(self) -> frozenset[int]:
        """Ids of the sets that are being asked about."""
        return frozenset(self._running)

    async def ask(self, wish: Wish, engine: AskingEngine) -> AskedQuestion:
        """Ask, and return the question with its answer when it has ended, however it ended.

        Raises:
            BadInput: an empty question, a set without text, or one that is being asked about.
            StorageError: the answer can't be kept.
        """
        if wish.set_id in self._running:
            raise BadInput(
                "These documents are still being asked about.", "", "Wait for the answer."
            )
        if not wish.question.strip():
            raise BadInput("There is no question.", "", "Type what you want to know.")
        asking = _Asking(self._sets, self._emit, wish, engine)
        self._running[wish.set_id] = asking
        try:
            documents, names = await asyncio.to_thread(self._documents, wish.set_id)
            return await asking.run(documents, names, self._checker)
        finally:
            del self._running[wish.set_id]
            asking.ended.set()

    async def stop(self, set_id: int) -> None:
        """Stop the answer that is being written and wait for its end; what arrived is kept."""
        asking = self._running.get(set_id)
        if asking is not None:
            asking.stop()
            await asking.ended.wait()

    async def stop_all(self) -> None:
        """Stop every answer and wait for their ends."""
        await asyncio.gather(*(self.stop(set_id) for set_id in self.running))

    def _documents(self, set_id: int) -> tuple[DocumentsText, tuple[str, ...]]:
        used = [one.document for one in self._sets.files(set_id) if one.included and one.document]
        if not used:
            raise BadInput(
                "There is no text to ask about.",
                "No file of this set could be read, or all are left out.",
                "Add documents, or take some of them in again.",
            )
        return lay_out(used), tuple(one.name for one in used)

    def _checker(self, documents: DocumentsText) -> CitationChecker:
        """Make a checker, or take the last one: it reads all the text."""
        known = self._last
        if known is None or known[0] != documents.text:
            known = (documents.text, CitationChecker(documents))
            self._last = known
        return known[1]


class _Asking:
    """One question on its way."""

    def __init__(
        self,
        sets: DocumentSets,
        emit: Callable[[QuestionNotice], None],
        wish: Wish,
        engine: AskingEngine,
    ) -> None:
        self._sets = sets
        self._emit = emit
        self._wish = wish
        self._engine = engine
        self._task: asyncio.Task[object] | None = None
        self._stopping = False
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._began = time.monotonic()
        self._saved = self._began
        self.ended = asyncio.Event()

    def stop(self) -> None:
        """End it at its next chance; asking twice is harmless."""
        if self._task is not None and not self._stopping:
            self._task.cancel()
        self._stopping = True

    def _is_stopped(self) -> bool:
        return self._stopping

    async def run(
        self,
        documents: DocumentsText,
        names: tuple[str, ...],
        checker_of: Callable[[DocumentsText], CitationChecker],
    ) -> AskedQuestion:
        """Ask to the end, whichever that is."""
        wish, engine = self._wish, self._engine
        question = self._sets.begin(
            wish.set_id, wish.question.strip(), engine.model, documents.sha256
        )
        self._emit(QuestionStarted(question, wish.predicted_seconds))
        known = AnswerDetails(documents=names, predicted_seconds=wish.predicted_seconds)
        if self._is_stopped():  # while the documents were fetched
            return self._close(replace(question, state="stopped", details=known))
        self._task = asyncio.current_task()
        checker: CitationChecker | None = None
        try:
            checker = await asyncio.to_thread(checker_of, documents)
            answer = await self._stream(question, documents, checker)
        except asyncio.CancelledError:
            task, self._task = self._task, None
            is_ours = self._is_stopped() and task is not None and not task.uncancel()
            ended = await self._cut(question, "stopped", known, checker if is_ours else None)
            if not is_ours:
                raise  # the app itself is ending this, not the user's Stop
            return ended
        except Exception as error:  # noqa: BLE001 - whatever it is, what has come is kept
            return await self._cut(question, "interrupted", known, checker, _told(error))
        return self._close(self._complete(question, answer, known))

    async def _stream(
        self, question: AskedQuestion, documents: DocumentsText, checker: CitationChecker
    ) -> DocumentAnswer:
        engine, wish = self._engine, self._wish
        name = engine.state_name(documents) if engine.state_name is not None else None
        if name is not None:
            messages = (ChatMessage("user", documents.constant),)
            preparing = engine.client.prepare(name, messages, engine.checkpoint)
            async with aclosing(preparing) as steps:
                async for step in steps:
                    self._emit(QuestionPreparing(question.id, wish.set_id, step))
        asked = DocumentQuestion(documents, wish.question, wish.sampling, name)
        answering = ask(engine.client, asked, checker, context_tokens=engine.context_tokens)
        async with aclosing(answering) as events:
            async for event in events:
                if isinstance(event, DocumentAnswer):
                    return event
                self._take(question, event)
        raise EngineFailed("The answer ended without its account.", "", "Ask again.")

    def _take(self, question: AskedQuestion, event: TurnEvent) -> None:
        match event:
            case TextDelta(text):
                self._text.append(text)
                self._emit(QuestionDelta(question.id, question.set_id, "text", text))
            case ReasoningDelta(text):
                self._reasoning.append(text)
                self._emit(QuestionDelta(question.id, question.set_id, "reasoning", text))
            case PrefillProgress():
                self._emit(QuestionPrefill(question.id, question.set_id, event))
        if time.monotonic() - self._saved > _SAVE_SECONDS:
            self._saved = time.monotonic()
            self._save_partial(question)

    def _save_partial(self, question: AskedQuestion) -> None:
        try:
            self._sets.save_partial(question.id, "".join(self._text), "".join(self._reasoning))
        except M1DeskError as error:  # the answer goes on; its end is saved, or said not to be
            _log.warning("question %d can't be saved on the way: %s", question.id, error)

    def _complete(
        self, question: AskedQuestion, answer: DocumentAnswer, known: AnswerDetails
    ) -> AskedQuestion:
        finished = answer.finished
        use = finished.prepared
        details = replace(
            known,
            citations=answer.checked.citations,
            unquoted=answer.checked.unquoted,
            receipt=answer.receipt,
            first_token_seconds=finished.time_to_first_token,
            seconds=time.monotonic() - self._began,
            written_tokens=finished.completion_tokens,
            prefill_tokens_per_second=finished.prefill_tokens_per_second,
            decode_tokens_per_second=finished.tokens_per_second,
            finish_reason=finished.finish_reason,
            prepared_note=use.message if use is not None and not use.used else "",
        )
        return replace(
            question,
            state="complete",
            answer=answer.checked.text,
            reasoning=answer.reasoning,
            details=details,
        )

    async def _cut(
        self,
        question: AskedQuestion,
        state: QuestionState,
        known: AnswerDetails,
        checker: CitationChecker | None,
        error: M1DeskError | None = None,
    ) -> AskedQuestion:
        """End an answer before its end; the quotes that have come are checked all the same."""
        text = "".join(self._text).strip()
        if checker is not None and text:
            checked = await check(checker, text)
            text = checked.text
            known = replace(known, citations=checked.citations, unquoted=checked.unquoted)
        if error is not None and not text:
            state = "failed"
        ended = replace(
            question,
            state=state,
            answer=text,
            reasoning="".join(self._reasoning),
            details=replace(known, seconds=time.monotonic() - self._began),
            error="" if error is None else _lines(error),
        )
        return self._close(ended)

    def _close(self, ended: AskedQuestion) -> AskedQuestion:
        """Write the end down and tell it; what can't be written is told all the same."""
        try:
            ended = self._sets.end(ended)
        except M1DeskError as error:
            _log.warning("question %d is not kept: %s", ended.id, error)
            ended = replace(ended, error=f"{ended.error}\n{_lines(error)}".strip())
        self._emit(QuestionEnded(ended))
        return ended


def _told(error: Exception) -> M1DeskError:
    """Say for the person what ended an answer."""
    if isinstance(error, M1DeskError):
        _log.warning("a question ended with an error: %s", error)
        return error
    _log.error("a question ended with a fault of the program", exc_info=error)
    return M1DeskError(
        "The answer ended with an error of M1 Desk itself.",
        f"{type(error).__name__}: {error}",
        "Ask again; the log tells more.",
    )


def _lines(error: M1DeskError) -> str:
    return "\n".join(part for part in (error.what, error.why, error.todo) if part)
