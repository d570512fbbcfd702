"""Over how many passes documents that do not fit would be spread."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject, QTimer, Signal

from m1desk.documents import plan_passes
from m1desk.errors import M1DeskError

if TYPE_CHECKING:
    from collections.abc import Callable

    from m1desk.documents import Document, Pass, TokenCounter
    from m1desk.ui.bridge import Bridge, Submission

_SETTLE_MS: Final = 400


@dataclass(frozen=True, slots=True)
class PlanFor:
    """What passes are planned for.

    Attributes:
        engine: tells one loaded model from another.
        text_sha256: of the included documents.
        budget_tokens: the most that a pass may have (`pass_budget`).
    """

    engine: object
    text_sha256: str
    budget_tokens: int
    documents: tuple[Document, ...] = field(compare=False)


class PassesViewModel(QObject):
    """Plans passes with the loaded model's tokenizer whenever it is told of something new.

    Signals:
        changed: the plan, or why there is none, is another.
    """

    changed = Signal()

    def __init__(
        self, bridge: Bridge, client: Callable[[], TokenCounter], parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._client = client
        self._wanted: PlanFor | None = None
        self._passes: tuple[Pass, ...] | None = None
        self._problem = ""
        self._work: Submission | None = None
        self._due = QTimer(self)
        self._due.setSingleShot(True)
        self._due.setInterval(_SETTLE_MS)
        self._due.timeout.connect(self._plan)

    @property
    def passes(self) -> tuple[Pass, ...] | None:
        """The passes; None while they are not planned."""
        return self._passes

    @property
    def problem(self) -> str:
        """Why nothing can be planned, ""."""
        return self._problem

    def plan_for(self, wanted: PlanFor | None) -> None:
        """Plan for this, or for nothing; what is planned already is kept."""
        if wanted == self._wanted:
            return
        self._wanted = wanted
        self._due.stop()
        if self._work is not None:
            self._work.cancel()
            self._work = None
        self._set(None, "")
        if wanted is not None:
            self._due.start()

    def _plan(self) -> None:
        wanted = self._wanted
        if wanted is not None:
            self._work = self._bridge.submit(
                self._planned(wanted),
                lambda passes: self._on_planned(wanted, passes),
                lambda error: self._on_failed(wanted, error),
            )

    async def _planned(self, wanted: PlanFor) -> tuple[Pass, ...]:
        return await plan_passes(wanted.documents, wanted.budget_tokens, self._client())

    def _on_planned(self, wanted: PlanFor, passes: tuple[Pass, ...]) -> None:
        if wanted is self._wanted:
            self._set(passes, "")

    def _on_failed(self, wanted: PlanFor, error: Exception) -> None:
        if wanted is self._wanted:
            self._set(None, error.what if isinstance(error, M1DeskError) else str(error))

    def _set(self, passes: tuple[Pass, ...] | None, problem: str) -> None:
        if (passes, problem) != (self._passes, self._problem):
            self._passes, self._problem = passes, problem
            self.changed.emit()
