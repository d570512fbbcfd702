"""What the open documents take of the loaded model's context, counted by its own tokenizer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject, QTimer, Signal

from m1desk.documents import (
    DEFAULT_ANSWER_TOKENS,
    Budget,
    count_documents,
    count_prompt,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from m1desk.documents import DocumentsText, SetFile, TokenCounter
    from m1desk.engines.status import EngineStatus
    from m1desk.ui.bridge import Bridge, Submission

_FILES_MS: Final = 150
_TYPING_MS: Final = 400


@dataclass(frozen=True, slots=True)
class _Counted:
    """Tokens of a document by itself, or of the prompt without a question (`file_id` None)."""

    job: int
    file_id: int | None
    tokens: int


class DocumentBudgetViewModel(QObject):
    """Counts again when the model, the included files or the question change.

    Each document is counted once for a model. The prompt is counted whole, without the question;
    the question's own tokens are added. The engine counts all once more when it is asked.

    Signals:
        changed: what is known of the budget has changed.
        failed: the exception of a count that did not work.
    """

    changed = Signal()
    failed = Signal(object)

    def __init__(
        self, bridge: Bridge, client: Callable[[], TokenCounter], parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._client = client
        self._status: EngineStatus | None = None
        self._files: tuple[SetFile, ...] = ()
        self._text: DocumentsText | None = None
        self._question = ""
        self._question_tokens = 0
        self._answer_tokens = DEFAULT_ANSWER_TOKENS
        self._counts: dict[int, int] = {}
        self._other = 0
        self._is_exact = False
        self._job = 0
        self._work: Submission | None = None
        self._asking: Submission | None = None
        self._due = _timer(self, _FILES_MS, self._count)
        self._typing = _timer(self, _TYPING_MS, self._count_question)
        bridge.events.connect(self._on_events)

    # -- what is known -----------------------------------------------------------------------------

    @property
    def budget(self) -> Budget | None:
        """The budget as far as it is counted; None without a model or without text."""
        used = self._used
        status = self._status
        if status is None or not status.is_ready or not status.context_tokens or not used:
            return None
        counts = {one.report.name: self._counts.get(one.id, 0) for one in used}
        prompt = max(0, sum(counts.values()) + self._other) + self._question_tokens
        return Budget(status.context_tokens, counts, prompt, self._answer_tokens)

    @property
    def is_exact(self) -> bool:
        """Whether everything shown was counted, not only a part of it."""
        return self._is_exact

    @property
    def is_estimate(self) -> bool:
        """Whether all figures are estimates: a server gets documents only with a question."""
        return self._status is not None and bool(self._status.server)

    @property
    def answer_tokens(self) -> int:
        """What is kept free for the answer, its thinking included (tokens)."""
        return self._answer_tokens

    @property
    def question_tokens(self) -> int:
        """Tokens of the question as far as it is typed and counted."""
        return self._question_tokens

    def tokens_of(self, file_id: int) -> int | None:
        """Tokens of one file, None while they are not counted."""
        return self._counts.get(file_id)

    # -- what changes ------------------------------------------------------------------------------

    def set_engine(self, status: EngineStatus) -> None:
        """Take the engine's state; another model counts anew."""
        before, self._status = self._status, status
        if before is not None and before.endpoint == status.endpoint:
            return
        self._counts.clear()
        self._restart()

    def set_documents(self, files: tuple[SetFile, ...], text: DocumentsText) -> None:
        """Take the files of the open set, and the text of those included."""
        known = {one.id for one in files}
        self._counts = {k: v for k, v in self._counts.items() if k in known}
        self._files, self._text = files, text
        self._restart()

    def set_included(self, files: tuple[SetFile, ...]) -> None:
        """Take which files are included, ahead of their text."""
        before, self._files = self._used, files
        if self._used != before:
            self._is_exact = False
            self.changed.emit()

    def set_question(self, question: str) -> None:
        """Take the question as far as it is typed."""
        self._question = question
        self._typing.start()

    def set_answer_tokens(self, tokens: int) -> None:
        """Set what is kept free for the answer."""
        if tokens != self._answer_tokens:
            self._answer_tokens = tokens
            self.changed.emit()

    # -- counting ----------------------------------------------------------------------------------

    @property
    def _used(self) -> tuple[SetFile, ...]:
        return tuple(one for one in self._files if one.is_used)

    @property
    def _is_ready(self) -> bool:
        return self._status is not None and self._status.is_ready

    def _restart(self) -> None:
        self._is_exact = False
        if self._work is not None:
            self._work.cancel()
            self._work = None
        self.changed.emit()
        if self._is_ready and self._used and self._text is not None:
            self._due.start()

    def _count(self) -> None:
        if not self._is_ready or self._text is None:
            return
        self._job += 1
        unknown = [one for one in self._used if one.id not in self._counts]
        work = self._count_all(self._job, unknown, self._text)
        self._work = self._bridge.submit(work, self._on_counted, self._on_failed)
        self._count_question()

    async def _count_all(self, job: int, files: list[SetFile], text: DocumentsText) -> _Counted:
        client = self._client()
        for file in files:
            if file.document is not None:
                counts: Mapping[str, int] = await count_documents(client, [file.document])
                self._bridge.post(_Counted(job, file.id, sum(counts.values())))
        return _Counted(job, None, await count_prompt(client, text, ""))

    def _on_events(self, events: tuple[object, ...]) -> None:
        counted = [e for e in events if isinstance(e, _Counted) and e.job == self._job]
        for event in counted:
            if event.file_id is not None:
                self._counts[event.file_id] = event.tokens
        if counted:
            self.changed.emit()

    def _on_counted(self, whole: _Counted) -> None:
        if whole.job == self._job:
            self._other = whole.tokens - sum(self._counts.get(one.id, 0) for one in self._used)
            self._is_exact = True
            self.changed.emit()

    def _on_failed(self, error: Exception) -> None:
        if self._is_ready:  # an engine that is gone has been told of already
            self.failed.emit(error)

    def _count_question(self) -> None:
        if not self._is_ready:
            return
        if self._asking is not None:
            self._asking.cancel()
        self._asking = self._bridge.submit(
            self._count_text(self._question), self._on_question, self._on_failed
        )

    async def _count_text(self, text: str) -> int:
        return await self._client().count_text(text) if text.strip() else 0

    def _on_question(self, tokens: int) -> None:
        if tokens != self._question_tokens:
            self._question_tokens = tokens
            self.changed.emit()


def _timer(parent: QObject, interval: int, run: Callable[[], None]) -> QTimer:
    timer = QTimer(parent)
    timer.setSingleShot(True)
    timer.setInterval(interval)
    timer.timeout.connect(run)
    return timer
