"""A vLLM that is here already, named in the window: an interpreter, or an image of real podman."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from engines_panel import shown_panel, until
from PySide6.QtCore import Qt
from PySide6.QtGui import QStandardItemModel
from pytestqt.qtbot import QtBot
from support.standin_image import REFERENCE, podman_with_images
from support.standin_wheels import only_from, write_wheel

from m1desk.engines.environments.desk import EngineDesk, VllmWanted
from m1desk.hardware import probe_machine
from m1desk.store import Folders
from m1desk.ui.bridge import Bridge
from m1desk.ui.theme import Theme
from m1desk.ui.widgets.environments_panel import EnvironmentsPanel
from m1desk.ui.widgets.vllm_here_dialog import VllmHereDialog

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def desk(home: Path) -> EngineDesk:
    return EngineDesk(Folders.under(home), lambda: replace(probe_machine(()), accelerators=()))


@pytest.fixture
def panel(qtbot: QtBot, bridge: Bridge, theme: Theme, desk: EngineDesk) -> EnvironmentsPanel:
    return shown_panel(qtbot, bridge, theme, desk)


def opened(panel: EnvironmentsPanel) -> VllmHereDialog:
    panel.add_existing.click()
    dialog = panel.findChild(VllmHereDialog)
    assert dialog is not None
    return dialog


def choose(dialog: VllmHereDialog, place: str) -> None:
    dialog.place.setCurrentIndex(dialog.place.findData(place))


def test_an_interpreter_is_named_tested_and_kept(
    qtbot: QtBot,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    desk: EngineDesk,
    panel: EnvironmentsPanel,
) -> None:
    write_wheel(only_from(tmp_path / "wheels", monkeypatch), "0.31.0")
    elsewhere = EngineDesk(Folders.under(tmp_path / "other"), lambda: probe_machine(()))
    wanted = VllmWanted("", "0.31.0", "vllm", "hers")
    theirs = asyncio.run(elsewhere.install_vllm(wanted, lambda _progress: None))

    dialog = opened(panel)
    assert not dialog.add.isEnabled()
    assert (dialog.said, dialog.add.toolTip()) == ("Give it a name", "Give it a name")
    assert dialog.python.isVisible()
    assert not dialog.image.isVisible()
    dialog.name.setText("My Lab")
    assert dialog.said == "Choose its interpreter"
    dialog.python.set_path(str(theirs.python))
    dialog.add.click()
    assert "can't be an environment's name" in dialog.said
    assert dialog.isVisible()
    dialog.name.setText("lab")
    dialog.add.click()
    until(qtbot, lambda: panel.button("lab", "Test") is not None)
    kept = desk.store.get("lab")
    assert (kept.python, kept.version, kept.managed) == (theirs.python, "0.31.0", False)


def test_what_can_not_be_taken_in_is_told_in_the_panel(
    qtbot: QtBot, tmp_path: Path, panel: EnvironmentsPanel
) -> None:
    dialog = opened(panel)
    dialog.name.setText("lab")
    dialog.python.set_path(str(tmp_path / "python"))
    dialog.add.click()
    until(qtbot, lambda: any("There is no interpreter" in text for text in panel.texts))
    assert panel.button("lab", "Test") is None


def test_an_image_is_named_and_kept(
    qtbot: QtBot,
    tmp_path_factory: pytest.TempPathFactory,
    desk: EngineDesk,
    panel: EnvironmentsPanel,
) -> None:
    with podman_with_images(tmp_path_factory.mktemp("podman")) as tool:
        dialog = opened(panel)
        choose(dialog, "image")
        assert dialog.image.isVisible()
        assert not dialog.python.isVisible()
        dialog.name.setText("boxed")
        assert dialog.said == "Enter the image's name"
        dialog.image.setText("no image!")
        dialog.add.click()
        assert "is no name of a container image" in dialog.said
        dialog.image.setText(REFERENCE)
        dialog.add.click()
        until(qtbot, lambda: panel.button("boxed", "Test") is not None)
        kept = desk.store.get("boxed")
        assert kept.image is not None
        assert (kept.image.reference, kept.image.tool) == (REFERENCE, tool)


def test_without_podman_and_docker_the_choice_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, panel: EnvironmentsPanel
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    dialog = opened(panel)
    row = dialog.place.findData("image")
    model = dialog.place.model()
    assert isinstance(model, QStandardItemModel)
    assert not model.item(row).isEnabled()
    assert "Install podman" in dialog.place.itemData(row, Qt.ItemDataRole.ToolTipRole)
