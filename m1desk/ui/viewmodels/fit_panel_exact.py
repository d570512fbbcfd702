"""The engine's own account of the selected variant, asked for by a button."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from PySide6.QtCore import QObject, Signal

from m1desk.engines.spec import child_environment, module_command
from m1desk.errors import M1DeskError
from m1desk.fit import ExactNeeds, Variant, Wished, exact_needs
from m1desk.ui.viewmodels.variants_source import with_header

if TYPE_CHECKING:
    from m1desk.ui.bridge import Bridge, Submission

_WORKER: Final = "m1desk.llama_worker"


@dataclass(frozen=True, slots=True)
class ExactAnswer:
    """What the engine said, or why it said nothing."""

    state: Literal["none", "running", "done", "failed"] = "none"
    found: ExactNeeds | None = None
    error: M1DeskError | None = None


def ask_engine(variant: Variant, wished: Wished) -> ExactNeeds:
    """Run the engine's dry run in a child process; blocks for a second or two."""
    return exact_needs(with_header(variant), wished, module_command(_WORKER), child_environment())


class ExactViewModel(QObject):
    """Asks about one variant at a time; another variant or wish makes the answer void.

    Signals:
        changed: the answer is another (read `answer`).
    """

    changed = Signal()

    def __init__(
        self,
        bridge: Bridge,
        ask: Callable[[Variant, Wished], ExactNeeds] = ask_engine,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._ask = ask
        self._about: tuple[Variant, Wished] | None = None
        self._answer = ExactAnswer()
        self._work: Submission | None = None

    @property
    def answer(self) -> ExactAnswer:
        """What is known."""
        return self._answer

    def show(self, variant: Variant | None, wished: Wished) -> None:
        """Say what is looked at now; an answer about something else is dropped."""
        last_variant, last_wished = self._about or (None, None)
        if variant is not last_variant or wished != last_wished:
            self._about = (variant, wished) if variant is not None else None
            if self._work is not None:
                self._work.cancel()
            self._set(ExactAnswer())

    def ask(self) -> None:
        """Ask about what is looked at."""
        if self._about is None or self._answer.state == "running":
            return
        self._set(ExactAnswer("running"))
        self._work = self._bridge.submit(
            asyncio.to_thread(self._ask, *self._about),
            on_done=lambda found: self._set(ExactAnswer("done", found)),
            on_error=self._on_error,
        )

    def _set(self, answer: ExactAnswer) -> None:
        self._answer = answer
        self.changed.emit()

    def _on_error(self, error: Exception) -> None:
        if not isinstance(error, M1DeskError):
            raise error
        self._set(ExactAnswer("failed", error=error))
