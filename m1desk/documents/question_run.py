"""One question on its way: asked whole or in passes, told, and written down as it comes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from m1desk.documents.asking import (
    DEFAULT_ANSWER_TOKENS,
    DocumentAnswer,
    DocumentQuestion,
    ask,
    check,
    details_of,
    prepare_text,
)
from m1desk.documents.notices import (
    QuestionDelta,
    QuestionEnded,
    QuestionNotice,
    QuestionPass,
    QuestionPassed,
    QuestionPrefill,
    QuestionPreparing,
    QuestionStarted,
)
from m1desk.documents.pass_plan import plan_for_question
from m1desk.documents.passes import (
    PassEnded,
    PassesAnswer,
    PassesQuestion,
    PassEvent,
    PassStarted,
    ask_in_passes,
)
from m1desk.documents.set_values import AnswerDetails, AskedQuestion, PassAnswer, QuestionState
from m1desk.documents.stopping import Stoppable
from m1desk.engines import PrepareFinished, StateNotSaved, StateRefusal, StateSaved
from m1desk.engines.turn import (
    PrefillProgress,
    ReasoningDelta,
    SamplingParameters,
    TextDelta,
)
from m1desk.errors import BadInput, EngineFailed, M1DeskError

if TYPE_CHECKING:
    from m1desk.documents.asking import AnsweringClient
    from m1desk.documents.citations import CitationChecker
    from m1desk.documents.prompt import DocumentsText
    from m1desk.documents.sets import DocumentSets
    from m1desk.documents.values import Document
    from m1desk.engines import CheckpointPlan

_log = logging.getLogger(__name__)

_SAVE_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class AskingEngine:
    """The engine that answers, as it is loaded now.

    Attributes:
        model: its name.
        context_tokens: its context length.
        state_name: names the state that is kept of documents, or says None to keep none of them;
            None where the engine keeps none at all.
        checkpoint: when a long reading saves its state on the way; None for the default.
    """

    client: AnsweringClient
    model: str
    context_tokens: int
    state_name: Callable[[DocumentsText], str | None] | None = None
    checkpoint: CheckpointPlan | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """A question to be asked.

    Attributes:
        predicted_seconds: to the first token, as [low, high], to be kept beside the real time.
        predicted_total_seconds: to the end, likewise, for an answer of `assumed_tokens`.
        in_passes: ask parts of the documents that fit, one after the other, and combine.
        goes_on: id of a question in passes that was cut off, to be gone on with; None for a new
            one.
    """

    set_id: int
    question: str
    sampling: SamplingParameters = field(default_factory=SamplingParameters)
    predicted_seconds: tuple[float, float] | None = None
    predicted_total_seconds: tuple[float, float] | None = None
    assumed_tokens: int = 0
    in_passes: bool = False
    goes_on: int | None = None


@dataclass(frozen=True, slots=True)
class AskedDocuments:
    """What is asked about: the documents, and their text as it would be sent whole."""

    documents: tuple[Document, ...]
    text: DocumentsText

    @property
    def names(self) -> tuple[str, ...]:
        """The documents' names."""
        return tuple(one.name for one in self.documents)


class QuestionRun(Stoppable):
    """Runs one question to its end, whichever that is."""

    def __init__(
        self,
        sets: DocumentSets,
        emit: Callable[[QuestionNotice], None],
        wish: Wish,
        engine: AskingEngine,
    ) -> None:
        super().__init__()
        self._sets = sets
        self._emit = emit
        self._wish = wish
        self._engine = engine
        self._known = AnswerDetails()
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._began = time.monotonic()
        self._saved = self._began

    async def run(
        self, asked: AskedDocuments, checker_of: Callable[[DocumentsText], CitationChecker]
    ) -> AskedQuestion:
        """Ask, and return the question as it is stored when it has ended.

        Raises:
            BadInput: it can't be gone on with.
            StorageError: it can't be written down.
        """
        question = self._begin(asked)
        self._emit(QuestionStarted(question, self._wish.predicted_seconds))
        if self.is_stopped:  # while the documents were fetched
            return self._close(replace(question, state="stopped", details=self._known))
        self.listen()
        checker: CitationChecker | None = None
        try:
            checker = await asyncio.to_thread(checker_of, asked.text)
            if self._wish.in_passes:
                ended = self._passed(question, await self._ask_in_passes(question, asked, checker))
            else:
                ended = self._answered(question, await self._ask(question, asked.text, checker))
        except asyncio.CancelledError:
            is_ours = self.take_stop()
            ended = await self._cut(question, "stopped", checker if is_ours else None)
            if not is_ours:
                raise  # the app itself is ending this, not the user's Stop
            return ended
        except Exception as error:  # noqa: BLE001 - whatever it is, what has come is kept
            return await self._cut(question, "interrupted", checker, told(error))
        return self._close(ended)

    def _begin(self, asked: AskedDocuments) -> AskedQuestion:
        wish, sha256 = self._wish, asked.text.sha256
        done: tuple[PassAnswer, ...] = ()
        if wish.goes_on is not None:
            before = self._sets.question(wish.goes_on)
            _refuse_other(before, self._engine.model, sha256)
            done = before.details.passes
            question = self._sets.reopen(before.id)
        else:
            question = self._sets.begin(
                wish.set_id, wish.question.strip(), self._engine.model, sha256
            )
        self._known = AnswerDetails(
            documents=asked.names,
            predicted_seconds=wish.predicted_seconds,
            predicted_total_seconds=wish.predicted_total_seconds,
            assumed_tokens=wish.assumed_tokens,
            passes=done,
        )
        return question

    # -- asking ------------------------------------------------------------------------------------

    async def _ask(
        self, question: AskedQuestion, documents: DocumentsText, checker: CitationChecker
    ) -> DocumentAnswer:
        engine, wish = self._engine, self._wish
        name = engine.state_name(documents) if engine.state_name is not None else None
        if name is not None:
            preparing = prepare_text(engine.client, documents, name, engine.checkpoint)
            async with aclosing(preparing) as steps:
                async for step in steps:
                    self._emit(QuestionPreparing(question.id, wish.set_id, step))
        asked = DocumentQuestion(documents, question.question, wish.sampling, name)
        answering = ask(engine.client, asked, checker, context_tokens=engine.context_tokens)
        async with aclosing(answering) as events:
            async for event in events:
                if isinstance(event, DocumentAnswer):
                    return event
                self._take(question, event)
                self._save_now_and_then(question)
        raise EngineFailed("The answer ended without its account.", "", "Ask again.")

    async def _ask_in_passes(
        self, question: AskedQuestion, asked: AskedDocuments, checker: CitationChecker
    ) -> PassesAnswer:
        engine, wish = self._engine, self._wish
        passes = await plan_for_question(
            asked.documents,
            question.question,
            engine.client,
            context_tokens=engine.context_tokens,
            answer_tokens=wish.sampling.max_tokens or DEFAULT_ANSWER_TOKENS,
        )
        spans = {one.spans for one in passes}  # others are of another context length
        done = (one for one in self._known.passes if one.combines or one.spans in spans)
        self._known = replace(self._known, planned_passes=len(passes), passes=tuple(done))
        asking = ask_in_passes(
            engine.client,
            PassesQuestion(
                passes, question.question, wish.sampling, engine.state_name, engine.checkpoint
            ),
            checker,
            context_tokens=engine.context_tokens,
            done=self._known.passes,
        )
        async with aclosing(asking) as events:
            async for event in events:
                if isinstance(event, PassesAnswer):
                    return event
                self._take(question, event)
        raise EngineFailed("The answer ended without its account.", "", "Ask again.")

    def _take(self, question: AskedQuestion, event: PassEvent) -> None:
        number, set_id = question.id, question.set_id
        match event:
            case TextDelta(text):
                self._text.append(text)
                self._emit(QuestionDelta(number, set_id, "text", text))
            case ReasoningDelta(text):
                self._reasoning.append(text)
                self._emit(QuestionDelta(number, set_id, "reasoning", text))
            case PrefillProgress():
                self._emit(QuestionPrefill(number, set_id, event))
            case StateSaved() | StateRefusal() | StateNotSaved() | PrepareFinished():
                self._emit(QuestionPreparing(number, set_id, event))
            case PassStarted():
                self._emit(QuestionPass(number, set_id, event))
            case PassEnded(answer):
                self._note_pass(question, answer)

    def _note_pass(self, question: AskedQuestion, answer: PassAnswer) -> None:
        """Write down a pass that has ended: from here a later try goes on."""
        self._text, self._reasoning = [], []
        others = (one for one in self._known.passes if one.text_sha256 != answer.text_sha256)
        self._known = replace(self._known, passes=(*others, answer))
        try:
            self._sets.save_details(question.id, self._known)
        except M1DeskError as error:
            _log.warning("a pass of question %d is not kept: %s", question.id, error)
        self._emit(QuestionPassed(replace(question, details=self._known)))

    def _save_now_and_then(self, question: AskedQuestion) -> None:
        if time.monotonic() - self._saved <= _SAVE_SECONDS:
            return
        self._saved = time.monotonic()
        try:
            self._sets.save_partial(question.id, "".join(self._text), "".join(self._reasoning))
        except M1DeskError as error:  # the answer goes on; its end is saved, or said not to be
            _log.warning("question %d can't be saved on the way: %s", question.id, error)

    # -- the end -----------------------------------------------------------------------------------

    def _answered(self, question: AskedQuestion, answer: DocumentAnswer) -> AskedQuestion:
        found = details_of(answer, time.monotonic() - self._began)
        return self._complete(question, answer.checked.text, answer.reasoning, found)

    def _passed(self, question: AskedQuestion, answer: PassesAnswer) -> AskedQuestion:
        return self._complete(question, answer.answer, answer.reasoning, answer.details)

    def _complete(
        self, question: AskedQuestion, answer: str, reasoning: str, found: AnswerDetails
    ) -> AskedQuestion:
        known = self._known
        details = replace(
            found,
            documents=known.documents,
            predicted_seconds=known.predicted_seconds,
            predicted_total_seconds=known.predicted_total_seconds,
            assumed_tokens=known.assumed_tokens,
        )
        return replace(
            question, state="complete", answer=answer, reasoning=reasoning, details=details
        )

    async def _cut(
        self,
        question: AskedQuestion,
        state: QuestionState,
        checker: CitationChecker | None,
        error: M1DeskError | None = None,
    ) -> AskedQuestion:
        """End an answer before its end; the quotes that have come are checked all the same.

        Of a question in passes the passes that have ended are kept: half of one is no answer.
        """
        known = replace(self._known, seconds=time.monotonic() - self._began)
        text = "" if self._wish.in_passes else "".join(self._text).strip()
        if checker is not None and text:
            checked = await check(checker, text)
            text = checked.text
            known = replace(known, citations=checked.citations, unquoted=checked.unquoted)
        if error is not None and not text and not known.passes:
            state = "failed"
        ended = replace(
            question,
            state=state,
            answer=text,
            reasoning="" if self._wish.in_passes else "".join(self._reasoning),
            details=known,
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


def told(error: Exception) -> M1DeskError:
    """Say for the person what ended the work."""
    if isinstance(error, M1DeskError):
        _log.warning("a question ended with an error: %s", error)
        return error
    _log.error("a question ended with a fault of the program", exc_info=error)
    return M1DeskError(
        "The answer ended with an error of M1 Desk itself.",
        f"{type(error).__name__}: {error}",
        "Ask again; the log tells more.",
    )


def _refuse_other(before: AskedQuestion, model: str, text_sha256: str) -> None:
    """Raise BadInput when the passes of a question are not those that would be read now."""
    if not before.can_go_on:
        raise BadInput("This question can't be gone on with.", "", "Ask it again.")
    if before.text_sha256 != text_sha256:
        raise BadInput(
            "This question can't be gone on with.",
            "The documents were changed since.",
            "Ask it again, or take in the same documents as then.",
        )
    if before.model != model:
        raise BadInput(
            "This question can't be gone on with.",
            f"Its passes were read by {before.model}, and {model} is loaded.",
            f"Load {before.model}, or ask it again.",
        )


def _lines(error: M1DeskError) -> str:
    return "\n".join(part for part in (error.what, error.why, error.todo) if part)
