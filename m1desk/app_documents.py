"""Connects documents and the questions about them with their page and the window."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, SignalInstance

from m1desk.documents import read_documents, refuse_context
from m1desk.engines import LlamaSettings
from m1desk.models.demo import sample_documents
from m1desk.ui.pages.documents_page import DocumentsPage
from m1desk.ui.viewmodels.document_times import PredictedTimes
from m1desk.ui.viewmodels.documents import DocumentsViewModel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from m1desk.app_core import Core
    from m1desk.engines import EngineStatus, Forecast
    from m1desk.engines.turn import SamplingParameters
    from m1desk.fit import Range
    from m1desk.store import AppSettings
    from m1desk.ui.bridge import Bridge
    from m1desk.ui.main_window import MainWindow
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.document_times import Reading
    from m1desk.ui.viewmodels.engine import EngineViewModel
    from m1desk.ui.viewmodels.settings import SettingsViewModel

_log = logging.getLogger(__name__)

_SAMPLE_NAME = "Sample documents"


class DocumentsDesk(QObject):
    """Makes the Documents page with what is behind it; `connect_window` joins it with the rest."""

    def __init__(
        self,
        theme: Theme,
        window: MainWindow,
        bridge: Bridge,
        *,
        core: Core,
        settings: SettingsViewModel,
        engine: EngineViewModel,
    ) -> None:
        super().__init__(window)
        self._window = window
        self._bridge = bridge
        self._core = core
        self._settings = settings
        self._engine = engine
        self._outlook = ForecastOutlook()
        self._forecast_for: object = None
        self.documents = DocumentsViewModel(
            bridge, core.documents, settings, read_documents, parent=self
        )
        self.page = DocumentsPage(theme, self.documents, self._outlook)

    @property
    def failures(self) -> tuple[SignalInstance, ...]:
        """The signals that tell an error to be shown in the banner."""
        return (self.page.failed,)

    @property
    def is_asking(self) -> bool:
        """Whether any documents are being asked about."""
        return self.documents.questions.is_any_asking

    def connect_window(self, choose_model: Callable[[], object]) -> None:
        """Join the page with the window; `choose_model` opens the list of models."""
        window, page = self._window, self.page
        window.documents_dropped.connect(self._on_dropped)
        window.page_changed.connect(lambda _: self._show_drop_text())
        window.command.connect(self._on_command)
        page.context_wished.connect(self._on_context_wished)
        page.model_wished.connect(choose_model)
        page.sample_wished.connect(self._on_sample_wished)
        self.documents.files.opened.connect(lambda _: self._show_drop_text())
        self.documents.questions.exported.connect(
            lambda path: window.status_bar.tell(f"Saved {path}")
        )
        self._settings.changed.connect(self._on_settings)
        self._on_settings(self._settings.settings)

    def begin(self) -> None:
        """Read what there is; answers that a crash cut off are marked before."""
        self.documents.start()

    def open_paths(self, paths: Sequence[Path]) -> None:
        """Read files and folders into a new set, and show it."""
        self.documents.add_to_new(paths)
        self._window.show_page("documents")

    def set_engine(self, status: EngineStatus) -> None:
        """Take the engine's state."""
        chosen = self._engine.settings
        is_here = status.is_ready and not status.server
        settings = chosen if is_here and isinstance(chosen, LlamaSettings) else None
        self.documents.set_engine(status, settings)
        if status.is_ready and settings is None:
            self._forecast_for = status.endpoint
            self._outlook.give_up(_whose_context(status))
            self.page.set_view.show_outlook()
        if settings is not None and status.endpoint != self._forecast_for:
            self._forecast_for = status.endpoint
            self._outlook.forget()
            endpoint = status.endpoint
            work = asyncio.to_thread(self._core.forecast, settings)
            self._bridge.submit(
                work,
                lambda forecast: self._on_forecast(endpoint, forecast),
                lambda error: self._on_no_forecast(endpoint, error),
            )

    def set_sampling(self, sampling: SamplingParameters) -> None:
        """Take how answers are sampled."""
        self.documents.set_sampling(sampling)

    def work(self) -> str:
        """Say what closing the window would interrupt, "" for nothing."""
        if self.is_asking or self.documents.preparing.is_any_running:
            what = "A question about documents is being answered."
            what = what if self.is_asking else "Documents are being prepared."
            return f"{what} What is read by now is kept."
        return "Files are being read." if self.documents.files.reading is not None else ""

    def close(self) -> None:
        """Let nothing keep the app from ending."""
        self.documents.files.cancel_reading()
        self.page.release()

    # -- what happens ------------------------------------------------------------------------------

    def _on_dropped(self, paths: tuple[Path, ...]) -> None:
        """Add to the set in sight; elsewhere a new set is made, but on the Jobs page a job."""
        if self._window.page == "jobs":
            return
        if self._window.page == "documents":
            self.documents.add(paths)
        else:
            self.open_paths(paths)

    def _show_drop_text(self) -> None:
        info = self.documents.files.info
        is_here = self._window.page == "documents" and info is not None
        self._window.set_documents_text(
            f"Drop to add to “{info.name}”" if is_here and info else "Drop to read as documents"
        )

    def _on_command(self, name: str) -> None:
        if name == "stop" and self._window.page == "documents":
            self.page.stop()

    def _on_context_wished(self, tokens: int) -> None:
        """Load the model that is loaded once more, with a longer context."""
        settings = self._engine.settings
        if isinstance(settings, LlamaSettings):
            self._engine.load(replace(settings, context_tokens=tokens))

    def _on_sample_wished(self) -> None:
        self.documents.add_to_new(sample_documents(), _SAMPLE_NAME)

    def _on_settings(self, settings: AppSettings) -> None:
        self._core.documents.budget_bytes = settings.prepared_budget_bytes

    # -- how long it will take ---------------------------------------------------------------------

    def _on_forecast(self, endpoint: object, forecast: Forecast) -> None:
        if endpoint == self._forecast_for:  # no other model was loaded meanwhile
            self._outlook.take(forecast)
            self.page.set_view.show_outlook()

    def _on_no_forecast(self, endpoint: object, error: Exception) -> None:
        _log.warning("no prediction for this model: %s", error)
        if endpoint == self._forecast_for:
            self._outlook.give_up()
            self.page.set_view.show_outlook()


class ForecastOutlook:
    """What can be said of the loaded model beforehand; nothing while its forecast is made."""

    def __init__(self) -> None:
        self._forecast: Forecast | None = None
        self._is_waiting = True
        self._refusal = ""

    def forget(self) -> None:
        """Another model is loaded: wait for its forecast."""
        self._forecast, self._is_waiting, self._refusal = None, True, ""

    def take(self, forecast: Forecast) -> None:
        """Take the forecast of the loaded model."""
        self._forecast, self._is_waiting = forecast, False

    def give_up(self, refusal: str = "") -> None:
        """Nothing can be said of this model; `refusal` is why it can't have another context."""
        self._forecast, self._is_waiting, self._refusal = None, False, refusal

    def predict(self, reading: Reading, answer_tokens: int) -> PredictedTimes | None:
        """Predict one reading and an answer; None while nothing can be said."""
        if self._forecast is None:
            return None
        read, kept = reading.read_tokens, reading.kept_tokens
        first = self._forecast.first_token_seconds(read, kept)
        total = self._forecast.total_seconds(read, answer_tokens, kept)
        return PredictedTimes(_ordered(first), _ordered(total))

    def refuse_context(self, tokens: int) -> str | None:
        """Why the model can't be loaded with such a context, "" if it can; None: not known yet."""
        if self._forecast is None:
            return None if self._is_waiting else self._refusal
        return refuse_context(self._forecast, tokens)


def _whose_context(status: EngineStatus) -> str:
    if status.server:
        return f"The context of {status.server} is set where it runs."
    return f"The context of a model under {status.engine} is set when it is loaded."


def _ordered(seconds: Range) -> tuple[float, float]:
    return min(seconds.low, seconds.high), max(seconds.low, seconds.high)
