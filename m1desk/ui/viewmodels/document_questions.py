"""The questions about the open set of documents, and the answers being written."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal

from PySide6.QtCore import QObject, Signal

from m1desk.documents import (
    AnswerRecord,
    QuestionDelta,
    QuestionEnded,
    QuestionPass,
    QuestionPassed,
    QuestionPrefill,
    QuestionPreparing,
    QuestionStarted,
    as_html,
    as_json_text,
    as_markdown,
)
from m1desk.errors import StorageError
from m1desk.ui.viewmodels.document_reading import EngineReading, ReadingClock, reading_after

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path
    from typing import Any

    from m1desk.documents import AskedQuestion, DocumentSets, PassStarted, QuestionRunner, Wish
    from m1desk.engines import PrepareEvent
    from m1desk.ui.bridge import Bridge

    Ask = Callable[[Wish], Coroutine[Any, Any, AskedQuestion]]

ExportKind = Literal["markdown", "html", "json"]
_WRITERS: Final = {"markdown": as_markdown, "html": as_html, "json": as_json_text}


@dataclass(slots=True)
class _Running:
    """An answer on its way: what has arrived of it, and how far the reading is."""

    question: AskedQuestion
    text: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    reading: EngineReading = field(default_factory=EngineReading)
    clock: ReadingClock = field(default_factory=ReadingClock)
    passing: PassStarted | None = None

    def begin_pass(self, started: PassStarted) -> None:
        self.passing = started
        self.text, self.reasoning = [], []
        self.reading, self.clock = EngineReading(), ReadingClock()

    def current(self) -> AskedQuestion:
        return replace(self.question, answer="".join(self.text), reasoning="".join(self.reasoning))


class DocumentQuestionsViewModel(QObject):
    """Asks about the open set, and tells what becomes of each question.

    `ask` asks with the model that is loaded then; it runs on the loop.

    Signals:
        reset: all questions of the set now open (tuple of AskedQuestion), oldest first.
        added: an AskedQuestion at the end.
        changed: an AskedQuestion in its new state.
        fed: question id, "text" or "reasoning", more of it.
        reading: question id, EngineReading.
        passing: question id, the PassStarted that what comes next belongs to.
        removed: id of a question that is gone.
        asking_changed: whether (bool) the open set is being asked about.
        exported: path (Path) of the file that was written.
        failed: the exception of something that did not work.
    """

    reset = Signal(object)
    added = Signal(object)
    changed = Signal(object)
    fed = Signal(object, str, str)
    reading = Signal(object, object)
    passing = Signal(object, object)
    removed = Signal(object)
    asking_changed = Signal(bool)
    exported = Signal(object)
    failed = Signal(object)

    def __init__(
        self,
        bridge: Bridge,
        sets: DocumentSets,
        runner: QuestionRunner,
        ask: Ask,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._sets = sets
        self._runner = runner
        self._ask = ask
        self._set_id: int | None = None
        self._opening = 0
        self._questions: dict[int, AskedQuestion] = {}
        self._running: dict[int, _Running] = {}  # by set
        self._asked: set[int] = set()  # sets whose question has yet to begin
        bridge.events.connect(self._on_events)

    # -- what is known -----------------------------------------------------------------------------

    @property
    def questions(self) -> tuple[AskedQuestion, ...]:
        """The questions of the open set, oldest first."""
        return tuple(self._questions.values())

    @property
    def is_asking(self) -> bool:
        """Whether the open set is being asked about."""
        return self._set_id in self._running or self._set_id in self._asked

    @property
    def is_any_asking(self) -> bool:
        """Whether any set is being asked about."""
        return bool(self._running or self._asked)

    def get(self, question_id: int) -> AskedQuestion | None:
        """Find a question of the open set."""
        return self._questions.get(question_id)

    def open(self, set_id: int | None) -> None:
        """Show the questions of a set, or none."""
        self._opening += 1
        self._set_id = set_id
        self._show(())
        if set_id is None:
            return
        opening = self._opening

        def on_done(questions: tuple[AskedQuestion, ...]) -> None:
            if opening == self._opening:
                self._show(questions)

        work = asyncio.to_thread(self._sets.questions, set_id)
        self._bridge.submit(work, on_done, self.failed.emit)

    def ask(self, wish: Wish) -> None:
        """Ask about the open set, unless that is being done."""
        set_id = wish.set_id
        if set_id != self._set_id or self.is_asking:
            return
        self._asked.add(set_id)
        self.asking_changed.emit(True)

        def on_over(_: AskedQuestion) -> None:
            self._end_asking(set_id)

        def on_error(error: Exception) -> None:
            self._end_asking(set_id)
            self.failed.emit(error)

        self._bridge.submit(self._ask(wish), on_over, on_error)

    def stop(self) -> None:
        """End the answer about the open set; what arrived of it is kept."""
        if self._set_id is not None:
            self._bridge.submit(self._runner.stop(self._set_id), on_error=self.failed.emit)

    def delete(self, question_id: int) -> None:
        """Delete a question and its answer."""

        def on_done(_: None) -> None:
            if self._questions.pop(question_id, None) is not None:
                self.removed.emit(question_id)

        work = asyncio.to_thread(self._sets.delete_question, question_id)
        self._bridge.submit(work, on_done, self.failed.emit)

    def export(self, question_id: int, kind: ExportKind, path: Path) -> None:
        """Write an answer with its quotes and its receipt to a file."""
        question = self._questions.get(question_id)
        if question is not None:
            work = asyncio.to_thread(_write, question, kind, path)
            self._bridge.submit(work, lambda _: self.exported.emit(path), self.failed.emit)

    # -- what comes back ---------------------------------------------------------------------------

    def _show(self, questions: tuple[AskedQuestion, ...]) -> None:
        running = None if self._set_id is None else self._running.get(self._set_id)
        self._questions = {one.id: one for one in questions}
        if running is not None and running.question.id in self._questions:
            self._questions[running.question.id] = running.current()
        self.reset.emit(self.questions)
        if running is not None:
            if running.passing is not None:
                self.passing.emit(running.question.id, running.passing)
            if not running.text:
                self.reading.emit(running.question.id, running.reading)
        self.asking_changed.emit(self.is_asking)

    def _end_asking(self, set_id: int) -> None:
        self._asked.discard(set_id)
        self.asking_changed.emit(self.is_asking)

    def _on_events(self, events: tuple[object, ...]) -> None:
        fed: dict[tuple[int, str], list[str]] = {}
        read: set[int] = set()
        for event in events:
            match event:
                case QuestionDelta():
                    self._take_delta(event, fed)
                case QuestionPrefill(_, set_id, progress):
                    self._take_reading(set_id, progress, read)
                case QuestionPreparing(_, set_id, step):
                    self._take_reading(set_id, step, read)
                case QuestionStarted(question):
                    self._on_started(question)
                case QuestionPass(_, set_id, started):
                    self._tell_fed(fed)
                    self._on_pass(set_id, started)
                case QuestionPassed(question):
                    self._tell_fed(fed)
                    self._on_passed(question)
                case QuestionEnded(question):
                    self._tell_fed(fed)
                    self._on_ended(question)
        for set_id in read & self._running.keys() & {self._set_id}:
            running = self._running[set_id]
            self.reading.emit(running.question.id, running.reading)
        self._tell_fed(fed)

    def _tell_fed(self, fed: dict[tuple[int, str], list[str]]) -> None:
        for (question_id, kind), parts in fed.items():
            self.fed.emit(question_id, kind, "".join(parts))
        fed.clear()

    def _take_delta(self, event: QuestionDelta, fed: dict[tuple[int, str], list[str]]) -> None:
        running = self._running.get(event.set_id)
        if running is not None:
            (running.text if event.kind == "text" else running.reasoning).append(event.text)
            if event.set_id == self._set_id:
                fed.setdefault((event.question_id, event.kind), []).append(event.text)

    def _take_reading(self, set_id: int, event: PrepareEvent, read: set[int]) -> None:
        running = self._running.get(set_id)
        if running is not None:
            running.reading = reading_after(running.reading, running.clock, event)
            read.add(set_id)

    def _on_started(self, question: AskedQuestion) -> None:
        self._running[question.set_id] = _Running(question)
        self._asked.discard(question.set_id)
        if question.set_id == self._set_id:
            is_new = question.id not in self._questions
            self._questions[question.id] = question
            (self.added if is_new else self.changed).emit(question)
            self.asking_changed.emit(True)

    def _on_pass(self, set_id: int, started: PassStarted) -> None:
        running = self._running.get(set_id)
        if running is not None:
            running.begin_pass(started)
            if set_id == self._set_id:
                self.passing.emit(running.question.id, started)

    def _on_passed(self, question: AskedQuestion) -> None:
        running = self._running.get(question.set_id)
        if running is not None:
            running.question = question
            if question.set_id == self._set_id:
                self._questions[question.id] = question
                self.changed.emit(question)

    def _on_ended(self, question: AskedQuestion) -> None:
        self._running.pop(question.set_id, None)
        if question.set_id == self._set_id:
            self._questions[question.id] = question
            self.changed.emit(question)
            self.asking_changed.emit(self.is_asking)


def record_of(question: AskedQuestion) -> AnswerRecord:
    """Make the record of an answer that is exported."""
    details = question.details
    return AnswerRecord(
        question=question.question,
        checked=question.checked,
        model=question.model,
        asked=question.asked,
        documents=details.documents,
        receipt=details.receipt,
        seconds=details.seconds,
        state=question.state,
        finish_reason=details.finish_reason,
        passes=details.passes,
        outcome=details.outcome,
    )


def _write(question: AskedQuestion, kind: ExportKind, path: Path) -> None:
    try:
        path.write_text(_WRITERS[kind](record_of(question)), encoding="utf-8")
    except OSError as error:
        raise StorageError(
            f"The answer could not be written to {path}.",
            f"{error.strerror or error}.",
            "Choose another folder, or free some space.",
        ) from error
