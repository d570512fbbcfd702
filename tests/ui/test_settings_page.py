"""The Settings page: what is touched is kept, and comes back at the next start."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from PySide6.QtWidgets import QCheckBox, QComboBox, QDoubleSpinBox, QLabel, QPlainTextEdit, QSpinBox

from m1desk.app_assembly import default_sampling
from m1desk.engines import CalibrationProgress, EngineCalibration
from m1desk.engines.turn import SamplingParameters
from m1desk.errors import EngineFailed
from m1desk.store import Database, Folders, SettingsStore
from m1desk.ui.pages.settings_page import SettingsPage
from m1desk.ui.viewmodels.settings import SettingsViewModel
from m1desk.ui.viewmodels.settings_calibration import CalibrationViewModel
from m1desk.ui.widgets.calibration_card import CalibrationCard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pytestqt.qtbot import QtBot

    from m1desk.ui.bridge import Bridge
    from m1desk.ui.theme import Theme

FOUND = EngineCalibration(
    threads=6, flash_attention=True, extra_buffers=False, decode_tokens_per_second=123.4,
    prefill_tokens_per_second=567.0, self_test="safe_only", note="Extra buffers died.",
)  # fmt: skip


class StandInMeasuring:
    """Measures nothing; finds FOUND, or fails when told to."""

    def __init__(self) -> None:
        self.known: EngineCalibration | None = None
        self.fails = False

    async def run(self, on_progress: Callable[[CalibrationProgress], None]) -> EngineCalibration:
        on_progress(CalibrationProgress("measuring", 3, 88.0))
        if self.fails:
            raise EngineFailed("The engine could not be measured.")
        self.known = FOUND
        return FOUND


@pytest.fixture
def folders(home: Path) -> Folders:
    return Folders.under(home)


@pytest.fixture
def store(folders: Folders) -> Iterator[SettingsStore]:
    with Database(folders.database) as database:
        yield SettingsStore(database)


@pytest.fixture
def measuring() -> StandInMeasuring:
    return StandInMeasuring()


@pytest.fixture
def page(
    theme: Theme,
    bridge: Bridge,
    store: SettingsStore,
    folders: Folders,
    measuring: StandInMeasuring,
    qtbot: QtBot,
) -> SettingsPage:
    calibration = CalibrationViewModel(bridge, lambda: measuring.known, measuring.run)
    made = SettingsPage(
        theme,
        SettingsViewModel(store),
        folders=folders,
        calibration=calibration,
        engine_version="llama.cpp 1",
    )
    qtbot.addWidget(made)
    return made


def control(page: SettingsPage, kind: type, name: str) -> object:
    return next(child for child in page.findChildren(kind) if child.accessibleName() == name)


def test_what_is_touched_is_there_at_the_next_start(
    page: SettingsPage, store: SettingsStore
) -> None:
    theme = control(page, QComboBox, "Theme")
    assert isinstance(theme, QComboBox)
    theme.setCurrentText("Dark")
    context = control(page, QSpinBox, "Context length")
    assert isinstance(context, QSpinBox)
    context.setValue(65_536)
    box = control(page, QCheckBox, "Load the last model at start")
    assert isinstance(box, QCheckBox)
    box.click()
    prompt = control(page, QPlainTextEdit, "System prompt of new chats")
    assert isinstance(prompt, QPlainTextEdit)
    prompt.setPlainText("Be brief.")
    kept = store.load()
    assert (kept.theme, kept.default_context_tokens) == ("dark", 65_536)
    assert kept.load_last_model
    assert kept.default_system_prompt == "Be brief."


def test_sampling_is_left_to_the_model_until_it_is_set(
    page: SettingsPage, store: SettingsStore
) -> None:
    assert default_sampling(store.load()) == SamplingParameters()
    temperature = control(page, QDoubleSpinBox, "Temperature")
    assert isinstance(temperature, QDoubleSpinBox)
    assert temperature.text() == "Model's default"
    temperature.setValue(0.0)
    top_k = control(page, QDoubleSpinBox, "Top K")
    assert isinstance(top_k, QDoubleSpinBox)
    top_k.setValue(40)
    assert default_sampling(store.load()) == SamplingParameters(temperature=0.0, top_k=40)
    temperature.setValue(temperature.minimum())
    assert default_sampling(store.load()) == SamplingParameters(top_k=40)


def test_the_folders_and_the_licence_are_told(page: SettingsPage, folders: Folders) -> None:
    shown = " ".join(
        getattr(label, "whole_text", label.text()) for label in page.findChildren(QLabel)
    )
    assert str(folders.models) in shown
    assert "Apache License 2.0" in shown
    assert "llama.cpp 1" in shown


def test_measuring_the_engine_shows_what_was_found(page: SettingsPage, qtbot: QtBot) -> None:
    card = page.findChild(CalibrationCard)
    assert isinstance(card, CalibrationCard)
    assert "not measured yet; safe settings are used" in card.texts
    card.button.click()
    qtbot.waitUntil(lambda: "6" in card.texts)
    assert "123 tok/s" in card.texts
    assert "passes with safe settings only" in card.texts
    assert card.button.isEnabled()


def test_a_measurement_that_fails_is_told_and_leaves_what_was_known(
    page: SettingsPage, measuring: StandInMeasuring, qtbot: QtBot
) -> None:
    measuring.fails = True
    card = page.findChild(CalibrationCard)
    assert isinstance(card, CalibrationCard)
    with qtbot.waitSignal(page.failed):
        card.button.click()
    assert "not measured yet; safe settings are used" in card.texts
    assert card.button.isEnabled()
