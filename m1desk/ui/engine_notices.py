"""What the banner says about the engine: its failures with the next steps, and short contexts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject

from m1desk.ui.errors_banner import ErrorBanner, Notice, Step, notice_of
from m1desk.ui.units import tokens_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from m1desk.engines.status import EngineFailure, EngineStatus
    from m1desk.errors import M1DeskError
    from m1desk.ui.viewmodels.engine import EngineViewModel

SUBJECT: Final = "engine"
_HOPELESS: Final = frozenset({"not_found", "bad_model_file", "unknown_architecture"})
"""Reasons for which loading again, or more carefully, can't help."""


class EngineNotices(QObject):
    """Turns the engine's status into notices with buttons, and takes them away again."""

    def __init__(
        self,
        banner: ErrorBanner,
        engine: EngineViewModel,
        show_log: Callable[[], object],
        choose_model: Callable[[], object],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._banner = banner
        self._engine = engine
        self._show_log = show_log
        self._choose_model = choose_model
        self._told: EngineFailure | None = None
        engine.status_changed.connect(self._on_status)
        engine.refused.connect(self._on_refused)

    def _on_status(self, status: EngineStatus) -> None:
        failure = status.failure
        if failure is not None:
            if failure is not self._told:
                self._told = failure
                self._banner.show_notice(self._failure_notice(failure))
            return
        self._told = None
        if status.is_busy_starting:
            self._banner.dismiss(SUBJECT)
        elif status.is_ready and status.context_tokens < status.asked_context_tokens:
            self._banner.show_notice(_short_context(status))

    def _failure_notice(self, failure: EngineFailure) -> Notice:
        steps = [Step("Show log", self._show_log)]
        if failure.reason in _HOPELESS:
            steps.insert(0, Step("Choose another model", self._choose_model))
        elif self._engine.settings is not None:
            steps.insert(0, Step("Load again", self._engine.load_again))
            steps.insert(1, Step("Load with safer settings", self._engine.load_safely))
        return Notice(failure.what, failure.why, failure.todo, steps=tuple(steps), subject=SUBJECT)

    def _on_refused(self, error: M1DeskError) -> None:
        self._banner.show_notice(
            notice_of(error, Step("Show log", self._show_log), subject=SUBJECT)
        )


def _short_context(status: EngineStatus) -> Notice:
    given, asked = status.context_tokens, status.asked_context_tokens
    return Notice(
        f"The context is {tokens_text(given)} tokens, not the {tokens_text(asked)} you asked for.",
        "The engine could not give more.",
        "Longer conversations will be refused, never cut.",
        severity="warning",
        subject=SUBJECT,
    )
