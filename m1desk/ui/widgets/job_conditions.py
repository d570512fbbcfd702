"""What answers a new job, when it may run, and what its answers may take."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QTime, Signal
from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QWidget

from m1desk.engines import LlamaSettings
from m1desk.engines.turn import SamplingParameters
from m1desk.jobs.values import EngineChoice, RetryPolicy, Schedule
from m1desk.ui.viewmodels.jobs_new import next_moment
from m1desk.ui.widgets.calm_fields import choice, time_of_day, whole_number
from m1desk.ui.widgets.job_list import PRIORITIES
from m1desk.ui.widgets.settings_card import SettingsCard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from m1desk.jobs.values import JobSpec
    from m1desk.store import AppSettings
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.model_entries import ModelEntry

_WIDTH: Final = 220
_TONIGHT: Final = (22, 0)
_MOST_CONTEXT: Final = 10_485_760
_AS_LOADED: Final = "Whatever is loaded then"
_SERVER: Final = "server:"
"""Stands before the name of a server where a model's path would stand."""


class JobEngineCard(SettingsCard):
    """Chooses the model, or a server.

    Signals:
        changed: something else was chosen.
    """

    changed = Signal()

    def __init__(
        self,
        theme: Theme,
        models: Iterable[ModelEntry],
        servers: Iterable[str],
        defaults: AppSettings,
    ) -> None:
        super().__init__(theme, "Model")
        self._defaults = defaults
        self._settings: LlamaSettings | None = None
        self.model = choice("Model", ((None, _AS_LOADED),))
        self.model.setFixedWidth(_WIDTH)
        for entry in models:
            if not entry.problem:
                self.model.addItem(entry.title, str(entry.path))
        self.set_servers(servers)
        self.context = whole_number("", 0, _MOST_CONTEXT, step=1024, suffix=" tokens")
        self.context.setSpecialValueText("Chosen to fit")
        self.context.setFixedWidth(_WIDTH)
        self.unload = QCheckBox()
        self.unload.setChecked(True)
        self.add_row("Model", "Loaded when the job's turn comes; or a server.", self.model)
        self.add_row(
            "Context length", "Chosen to fit, it is as long as the documents need.", self.context
        )
        self.add_row("Unload afterwards", "If it was the job that loaded the model.", self.unload)
        self.model.currentIndexChanged.connect(self._on_model)
        self.context.valueChanged.connect(lambda _: self.changed.emit())
        self.unload.toggled.connect(lambda _: self.changed.emit())
        self._on_model()

    @property
    def engine(self) -> EngineChoice:
        """What was chosen."""
        path = self.model.currentData()
        if path is None:
            return EngineChoice()
        if path.startswith(_SERVER):
            return EngineChoice(server=path.removeprefix(_SERVER))
        known, defaults = self._settings, self._defaults
        if known is None or str(known.model_path) != path:
            known = LlamaSettings(
                Path(path),
                parallel=defaults.default_parallel,
                gpu_layers=defaults.default_gpu_layers,
                kv_type=defaults.default_kv_type,
            )
        return EngineChoice(
            replace(known, context_tokens=self.context.value()),
            unload_after=self.unload.isChecked(),
        )

    def set_engine(self, engine: EngineChoice) -> None:
        """Show what another job was answered by; a model that is gone is none.

        A server that is gone stays chosen: the estimate and the adding say what is wrong with it.
        """
        self._settings = engine.settings
        path = None if engine.settings is None else str(engine.settings.model_path)
        if engine.server:
            path = f"{_SERVER}{engine.server}"
            # A bare address is in no list, and a server may have been added since ours was read.
            self.set_servers((engine.server,))
        self.model.setCurrentIndex(max(0, self.model.findData(path)))
        self.context.setValue(engine.settings.context_tokens if engine.settings else 0)
        self.unload.setChecked(engine.unload_after)

    def set_servers(self, names: Iterable[str]) -> None:
        """Let servers be chosen too; those that can be chosen already stay."""
        for name in names:
            if self.model.findData(f"{_SERVER}{name}") < 0:
                self.model.addItem(f"{name} (server)", f"{_SERVER}{name}")

    def _on_model(self) -> None:
        path = self.model.currentData()
        has_model = path is not None and not path.startswith(_SERVER)
        for field in (self.context, self.unload):
            field.setEnabled(has_model)
            field.setToolTip("" if has_model else "Choose a model of this computer first")
        self.changed.emit()


class JobScheduleCard(SettingsCard):
    """Chooses when a job may run, and before which others.

    Signals:
        changed: something else was chosen.
    """

    changed = Signal()

    def __init__(self, theme: Theme, clock: Callable[[], float] = time.time) -> None:
        super().__init__(theme, "When")
        self._clock = clock
        self.begin = choice(
            "When it begins", (("now", "As soon as it can"), ("later", "Not before"))
        )
        self.time = time_of_day("Time of the day", *_TONIGHT)
        self.idle = QCheckBox()
        self.mains = QCheckBox()
        self.priority = choice("", PRIORITIES)
        self.priority.setCurrentIndex(self.priority.findData(0))
        self.priority.setFixedWidth(_WIDTH)
        both = QWidget()
        both.setFixedWidth(_WIDTH)
        row = QHBoxLayout(both)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(theme.metrics.space_s)
        row.addWidget(self.begin, 1)
        row.addWidget(self.time)
        self.add_row("Begin", "", both)
        self.add_row(
            "Only when the machine is idle",
            "While nobody chats and it has little to do.",
            self.idle,
        )
        self.add_row("Only on mains power", "On battery the job waits.", self.mains)
        self.add_row("Priority", "", self.priority)
        self.begin.currentIndexChanged.connect(self._on_begin)
        self.time.timeChanged.connect(lambda _: self.changed.emit())
        for box in (self.idle, self.mains):
            box.toggled.connect(lambda _: self.changed.emit())
        self._on_begin()

    @property
    def schedule(self) -> Schedule:
        """What was chosen; a time of the day is the next one that comes."""
        at = self.time.time()
        is_later = self.begin.currentData() == "later"
        moment = next_moment(at.hour(), at.minute(), self._clock()) if is_later else None
        return Schedule(moment, self.idle.isChecked(), self.mains.isChecked())

    def set_schedule(self, schedule: Schedule, priority: int) -> None:
        """Show when another job ran; a moment in the past is now."""
        is_later = schedule.not_before is not None and schedule.not_before > self._clock()
        self.begin.setCurrentIndex(self.begin.findData("later" if is_later else "now"))
        if schedule.not_before is not None:
            then = time.localtime(schedule.not_before)
            self.time.setTime(QTime(then.tm_hour, then.tm_min))
        self.idle.setChecked(schedule.when_idle)
        self.mains.setChecked(schedule.on_mains)
        self.priority.setCurrentIndex(max(0, self.priority.findData(priority)))

    def _on_begin(self) -> None:
        self.time.setVisible(self.begin.currentData() == "later")
        self.changed.emit()


class JobLimitsCard(SettingsCard):
    """Chooses what answers may take, and how often a step is tried.

    Signals:
        changed: something else was chosen.
    """

    changed = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__(theme, "Answers")
        self._sampling = SamplingParameters()
        self._retry = RetryPolicy()
        self.limit = whole_number("", 0, 1_000_000, step=256, suffix=" tokens")
        self.limit.setSpecialValueText("As long as it needs")
        self.limit.setFixedWidth(_WIDTH)
        self.thinking = whole_number("", -1, 1_000_000, step=256, suffix=" tokens")
        self.thinking.setValue(-1)
        self.thinking.setSpecialValueText("As long as it needs")
        self.thinking.setFixedWidth(_WIDTH)
        self.attempts = whole_number("", 1, 20)
        self.attempts.setValue(self._retry.attempts)
        self.attempts.setFixedWidth(_WIDTH)
        self.add_row("Longest answer", "The model's thinking counts too.", self.limit)
        self.add_row("Longest thinking", "Then the model has to answer.", self.thinking)
        self.add_row(
            "Tries",
            "How often a step is tried before the job stops with the reason.",
            self.attempts,
        )
        for field in (self.limit, self.thinking, self.attempts):
            field.valueChanged.connect(lambda _: self.changed.emit())

    @property
    def sampling(self) -> SamplingParameters:
        """How answers are made."""
        thinking = self.thinking.value()
        return replace(
            self._sampling,
            max_tokens=self.limit.value() or None,
            thinking_tokens=None if thinking < 0 else thinking,
        )

    @property
    def retry(self) -> RetryPolicy:
        """How often a step is tried."""
        return replace(self._retry, attempts=self.attempts.value())

    def set_limits(self, spec: JobSpec) -> None:
        """Show what another job was limited to."""
        self._sampling, self._retry = spec.sampling, spec.retry
        self.limit.setValue(spec.sampling.max_tokens or 0)
        thinking = spec.sampling.thinking_tokens
        self.thinking.setValue(-1 if thinking is None else thinking)
        self.attempts.setValue(spec.retry.attempts)
