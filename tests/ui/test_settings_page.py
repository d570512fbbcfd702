"""The Settings page: what is touched is kept, and comes back at the next start."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QSpinBox,
)

from m1desk.app_defaults import default_sampling
from m1desk.engines import CalibrationProgress, EngineCalibration
from m1desk.engines.turn import SamplingParameters
from m1desk.errors import EngineFailed
from m1desk.store import Database, Folders, SettingsStore
from m1desk.ui.pages.settings_page import SettingsPage
from m1desk.ui.viewmodels.settings import SettingsViewModel
from m1desk.ui.viewmodels.settings_calibration import CalibrationViewModel
from m1desk.ui.viewmodels.settings_hub import HubTokenViewModel
from m1desk.ui.widgets.calibration_card import CalibrationCard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pytestqt.qtbot import QtBot
    from support.memory_keyring import MemoryKeyring

    from m1desk.ui.bridge import Bridge
    from m1desk.ui.theme import Theme

FOUND = EngineCalibration(
    threads=6, flash_attention=True, extra_buffers=False, decode_tokens_per_second=123.4,
    prefill_tokens_per_second=567.0, self_test="safe_only", note="Extra buffers died.",
)  # fmt: skip

TOKEN = "hf_thisisnotoneofmine12"


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
    settings = SettingsViewModel(store)
    made = SettingsPage(
        theme,
        settings,
        folders=folders,
        calibration=calibration,
        token=HubTokenViewModel(bridge, settings),
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


def shown_texts(page: SettingsPage) -> str:
    return " ".join(
        getattr(label, "whole_text", label.text()) for label in page.findChildren(QLabel)
    )


def button(page: SettingsPage, name: str) -> QPushButton:
    return next(
        each
        for each in page.findChildren(QPushButton)
        if name in {each.text(), each.accessibleName()}
    )


def test_how_the_hub_is_reached_is_kept(page: SettingsPage, store: SettingsStore) -> None:
    address = control(page, QLineEdit, "Address")
    assert isinstance(address, QLineEdit)
    address.setText("https://mirror.example/")
    address.editingFinished.emit()
    offline = control(page, QCheckBox, "Offline mode")
    assert isinstance(offline, QCheckBox)
    offline.click()
    at_once = control(page, QSpinBox, "Downloads at once")
    assert isinstance(at_once, QSpinBox)
    at_once.setValue(3)
    kept = store.load()
    assert (kept.hub_endpoint, kept.offline) == ("https://mirror.example", True)
    assert kept.parallel_downloads == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [("mirror", "not the address"), ("https://me:secret@mirror.example", "name and password")],
)
def test_an_address_that_is_none_is_refused_where_it_is_written(
    page: SettingsPage, store: SettingsStore, text: str, said: str
) -> None:
    address = control(page, QLineEdit, "Address")
    assert isinstance(address, QLineEdit)
    address.setText(text)
    address.editingFinished.emit()
    assert said in shown_texts(page)
    assert store.load().hub_endpoint == ""


def test_a_token_goes_to_the_keyring_and_nowhere_else(
    page: SettingsPage,
    memory_keyring: MemoryKeyring,
    store: SettingsStore,
    folders: Folders,
    qtbot: QtBot,
) -> None:
    page.show()
    qtbot.waitUntil(lambda: "No token for huggingface.co is stored." in shown_texts(page))
    field = control(page, QLineEdit, "Access token")
    assert isinstance(field, QLineEdit)
    assert field.echoMode() is QLineEdit.EchoMode.Password
    assert not button(page, "Save the access token").isEnabled()
    field.setText(f" {TOKEN} ")
    button(page, "Save the access token").click()
    assert field.text() == ""
    qtbot.waitUntil(lambda: "A token for huggingface.co is stored." in shown_texts(page))
    assert memory_keyring.kept == {("M1 Desk", "hub-token:huggingface.co"): TOKEN}
    store.save(store.load())
    for path in folders.data.parent.rglob("*"):
        assert not path.is_file() or TOKEN.encode() not in path.read_bytes()
    button(page, "Remove the access token").click()
    qtbot.waitUntil(lambda: "No token for huggingface.co is stored." in shown_texts(page))
    assert memory_keyring.kept == {}


def test_each_hub_has_a_token_of_its_own(
    page: SettingsPage, memory_keyring: MemoryKeyring, qtbot: QtBot
) -> None:
    memory_keyring.kept["M1 Desk", "hub-token:mirror.example"] = TOKEN
    page.show()
    qtbot.waitUntil(lambda: "No token for huggingface.co is stored." in shown_texts(page))
    address = control(page, QLineEdit, "Address")
    assert isinstance(address, QLineEdit)
    address.setText("https://mirror.example")
    address.editingFinished.emit()
    qtbot.waitUntil(lambda: "A token for mirror.example is stored." in shown_texts(page))


def test_without_a_keyring_it_says_why_no_token_can_be_kept(
    page: SettingsPage, qtbot: QtBot
) -> None:
    page.show()
    qtbot.waitUntil(lambda: "No token can be kept" in shown_texts(page))
    field = control(page, QLineEdit, "Access token")
    assert not field.isEnabled()


def test_folders_of_models_are_added_changed_and_removed(
    page: SettingsPage,
    store: SettingsStore,
    folders: Folders,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chosen = str(tmp_path / "models of mine")
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: chosen)
    button(page, "Add a folder of models…").click()
    assert store.load().model_folders == (chosen,)
    assert chosen in shown_texts(page)
    button(page, f"Look no more into {chosen}").click()
    assert store.load().model_folders == ()
    button(page, "Change: Downloaded models").click()
    assert store.load().models_place(folders.models) == tmp_path / "models of mine"
    button(page, "Back to the app's own: Downloaded models").click()
    assert store.load().models_place(folders.models) == folders.models
