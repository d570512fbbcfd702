"""The panel of engines, with real pip and a stand-in for vLLM's package."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from engines_panel import shown_panel, until
from PySide6.QtWidgets import QMessageBox
from pytestqt.qtbot import QtBot
from support.standin_wheels import FAILS_WHEN_LOADED, NEVER_ENDS, only_from, write_wheel

from m1desk.engines.environments.desk import EngineDesk, VllmWanted
from m1desk.hardware import Accelerator, Machine, probe_machine
from m1desk.store import Folders
from m1desk.ui.bridge import Bridge
from m1desk.ui.theme import Theme
from m1desk.ui.widgets.environments_panel import EnvironmentsPanel

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def machine() -> Machine:
    """This machine as if it had a GPU that the engine here can't use."""
    found = probe_machine(())
    gpu = Accelerator("0", "nvidia", "RTX 4090", "gpu", False, 1, 1, driver="550.54")
    system = replace(found.system, platform="linux")
    return replace(found, system=system, accelerators=(gpu,))


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes packages from, and nothing else."""
    return only_from(tmp_path / "wheels", monkeypatch)


@pytest.fixture
def desk(home: Path, machine: Machine) -> EngineDesk:
    return EngineDesk(Folders.under(home), lambda: machine)


@pytest.fixture
def two_builds(wheels: Path, desk: EngineDesk) -> EngineDesk:
    """An environment "lab" that was installed twice; to be asked for before the panel."""

    def ignore(_progress: object) -> None:
        return

    for version in ("0.31.0", "0.32.0"):
        write_wheel(wheels, version)
        asyncio.run(desk.install_vllm(VllmWanted("", version, "vllm", "lab"), ignore))
    return desk


@pytest.fixture
def panel(qtbot: QtBot, bridge: Bridge, theme: Theme, desk: EngineDesk) -> EnvironmentsPanel:
    return shown_panel(qtbot, bridge, theme, desk)


def test_the_build_in_use_and_a_better_one_are_shown(panel: EnvironmentsPanel) -> None:
    assert any(text.startswith("In use: built-in; llama-cpp-python") for text in panel.texts)
    assert any("can't use RTX 4090; cu124 (CUDA) can." in text for text in panel.texts)
    assert panel.install_llama.isVisible()
    assert not panel.cancel.isVisible()


def test_vllm_is_installed_for_m1_and_removed(
    qtbot: QtBot, wheels: Path, panel: EnvironmentsPanel
) -> None:
    for version in ("0.23.0", "0.32.0"):
        write_wheel(wheels, version)
    panel.install_for_m1.click()
    assert panel.cancel.isVisible()
    assert not panel.install_newest.isEnabled()
    until(qtbot, lambda: any("Testing" in text for text in panel.texts))
    until(qtbot, lambda: panel.button("vllm-0.23.0", "Remove") is not None)
    assert any(text.startswith("vllm 0.23.0; Python 3.") for text in panel.texts)
    assert panel.button("vllm-0.23.0", "Use") is None  # that is for llama.cpp
    assert panel.install_newest.isEnabled()

    remove = panel.button("vllm-0.23.0", "Remove")
    assert remove is not None
    remove.click()
    box = panel.findChild(QMessageBox)
    assert box is not None
    assert "become free" in box.informativeText()
    next(button for button in box.buttons() if button.text() == "Remove").click()
    until(qtbot, lambda: panel.button("vllm-0.23.0", "Remove") is None)


def press(panel: EnvironmentsPanel, name: str, what: str) -> None:
    button = panel.button(name, what)
    assert button is not None
    button.click()


def answer(panel: EnvironmentsPanel, what: str) -> str:
    """Press a button of the question that is asked; give what it explains."""
    box = panel.findChild(QMessageBox)
    assert box is not None
    next(button for button in box.buttons() if button.text() == what).click()
    return box.informativeText()


def test_the_build_before_comes_back_and_a_broken_one_is_repaired(
    qtbot: QtBot, two_builds: EngineDesk, panel: EnvironmentsPanel
) -> None:
    assert any("of the build before (0.31.0)" in text for text in panel.texts)
    assert panel.button("lab", "Repair") is None

    press(panel, "lab", "Roll back")
    assert "You can return to vllm 0.32.0" in answer(panel, "Roll back")
    until(qtbot, lambda: any("of the build before (0.32.0)" in text for text in panel.texts))
    press(panel, "lab", "Delete old build")
    assert "become free" in answer(panel, "Delete")
    until(qtbot, lambda: panel.button("lab", "Roll back") is None)
    assert panel.button("lab", "Delete old build") is None

    two_builds.store.get("lab").python.unlink()
    press(panel, "lab", "Test")
    until(qtbot, lambda: panel.button("lab", "Repair") is not None)
    press(panel, "lab", "Repair")
    until(qtbot, lambda: panel.button("lab", "Test") is not None)
    assert panel.button("lab", "Repair") is None


def test_what_fails_is_said_and_what_is_cancelled_leaves_the_panel_free(
    qtbot: QtBot, wheels: Path, panel: EnvironmentsPanel
) -> None:
    write_wheel(wheels, "0.31.0", FAILS_WHEN_LOADED)
    panel.install_newest.click()
    until(qtbot, lambda: any("libcudart.so.12" in text for text in panel.texts))
    until(qtbot, lambda: any("did not come to its end" in text for text in panel.texts))
    assert panel.button("vllm-0.31.0", "Test") is None

    write_wheel(wheels, "0.32.0", NEVER_ENDS)
    panel.install_newest.click()
    assert not any("libcudart" in text for text in panel.texts)
    until(qtbot, lambda: any("Testing" in text for text in panel.texts))
    panel.cancel.click()
    until(qtbot, lambda: panel.button("vllm-0.32.0", "Remove") is not None)
    assert panel.install_newest.isEnabled()
    assert not panel.cancel.isVisible()
    assert panel.button("vllm-0.32.0", "Test") is None
