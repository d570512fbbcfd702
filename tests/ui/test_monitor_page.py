"""The Monitor page: live figures, ten minutes of history, nothing drawn unseen, and the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QLineEdit

from m1desk.engines import EngineRates, EngineState, EngineStatus
from m1desk.errors import EngineUnreachable, StorageError
from m1desk.hardware import DeviceSample, Machine, Sample, Sampler, probe_machine
from m1desk.ui.pages.monitor_page import MonitorPage
from m1desk.ui.viewmodels.monitor import HISTORY_SECONDS, History, MonitorSample, MonitorViewModel
from m1desk.ui.widgets.engine_log import EngineLog
from m1desk.ui.widgets.graph_panel import Curve, GraphPanel, round_up

if TYPE_CHECKING:
    from pathlib import Path

    from pytestqt.qtbot import QtBot

    from m1desk.ui.bridge import Bridge
    from m1desk.ui.theme import Theme

GIB = 1 << 30


async def no_engine() -> EngineRates | None:
    return None


def sample(moment: float, *devices: DeviceSample) -> Sample:
    return Sample(moment, 0.0, 25.0, 4 * GIB, 16 * GIB, devices)


@pytest.fixture
def monitor(bridge: Bridge) -> MonitorViewModel:
    return MonitorViewModel(bridge, no_engine)


@pytest.fixture
def page(theme: Theme, monitor: MonitorViewModel, qtbot: QtBot) -> MonitorPage:
    made = MonitorPage(theme, monitor, lambda: ())
    qtbot.addWidget(made)
    made.resize(1000, 700)
    return made


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    return probe_machine([tmp_path_factory.mktemp("models")])


def feed(monitor: MonitorViewModel, bridge: Bridge, qtbot: QtBot, *samples: MonitorSample) -> None:
    for one in samples:
        with qtbot.waitSignal(monitor.sampled):
            bridge.post(one)


def test_the_real_machine_is_sampled_and_shown(
    page: MonitorPage, monitor: MonitorViewModel, machine: Machine, qtbot: QtBot
) -> None:
    page.show_machine(machine)
    with qtbot.waitSignal(monitor.sampled, timeout=20_000), Sampler(machine) as sampler:
        monitor.start(sampler)
    monitor.stop()
    assert page.tiles["ram"].value.endswith("iB")
    assert not monitor.history("ram").is_empty


def test_the_engines_speed_is_shown(
    page: MonitorPage, monitor: MonitorViewModel, bridge: Bridge, qtbot: QtBot
) -> None:
    rates = EngineRates(812.4, 42.13, running=2, waiting=1, kv_fraction=0.5)
    feed(monitor, bridge, qtbot, MonitorSample(sample(1.0), rates))
    assert page.tiles["prefill"].value == "812"
    assert page.tiles["decode"].value == "42.1"
    assert page.tiles["requests"].value == "2"
    assert page.tiles["kv"].value == "50 %"
    page.show_engine(EngineStatus(EngineState.STOPPED))
    assert page.tiles["decode"].value == "–"


def test_each_accelerator_has_a_tile_with_its_large_memory(
    page: MonitorPage, monitor: MonitorViewModel, bridge: Bridge, qtbot: QtBot
) -> None:
    gpu = DeviceSample("gpu-1", "RTX 5090", 8 * GIB, 32 * GIB, 90.0, 412.0, 71.0)
    feed(monitor, bridge, qtbot, MonitorSample(sample(1.0, gpu), None))
    assert page.tiles["device:gpu-1"].value == "8.0 of 32.0 GiB"
    assert "412 W" in page.tiles["device:gpu-1"].accessibleName()
    assert monitor.history("vram:gpu-1").points(1.0) == ([0.0], [8 * GIB])


def test_an_engine_that_does_not_answer_does_not_stop_the_monitor(
    bridge: Bridge, machine: Machine, qtbot: QtBot
) -> None:
    async def dying() -> EngineRates | None:
        raise EngineUnreachable("No answer.")

    monitor = MonitorViewModel(bridge, dying)
    with qtbot.waitSignal(monitor.sampled, timeout=20_000), Sampler(machine) as sampler:
        monitor.start(sampler)
    monitor.stop()
    assert monitor.latest is not None
    assert monitor.latest.engine is None


def test_the_history_keeps_ten_minutes() -> None:
    history = History()
    for second in range(HISTORY_SECONDS + 50):
        history.add(float(second), 1.0)
    ages, values = history.points(float(HISTORY_SECONDS + 49))
    assert len(values) == HISTORY_SECONDS
    assert ages[0] == -(HISTORY_SECONDS - 1)
    assert ages[-1] == 0.0


def test_a_graph_is_made_only_when_it_is_seen(theme: Theme, qtbot: QtBot) -> None:
    history = History()
    history.add(0.0, 12.5)
    panel = GraphPanel(theme, "Speed", "{:.1f}".format)
    qtbot.addWidget(panel)
    panel.set_curves((Curve("decode", history, "accent"),))
    panel.refresh(0.0)
    assert not panel.is_drawn
    panel.show()
    assert panel.is_drawn
    history.add(1.0, 20.0)
    panel.refresh(1.0)
    line = panel._lines[0]
    assert list(line.getData()[1]) == [12.5, 20.0]
    panel.hide()
    history.add(2.0, 30.0)
    panel.refresh(2.0)
    assert list(line.getData()[1]) == [12.5, 20.0]  # nobody looks
    panel.show()
    assert list(line.getData()[1]) == [12.5, 20.0, 30.0]


@pytest.mark.parametrize(
    ("value", "top"), [(0.0, 10), (10.0, 10), (11.0, 20), (480.0, 500), (501.0, 1000)]
)
def test_scales_end_at_round_numbers(value: float, top: float) -> None:
    assert round_up(value) == top


@pytest.fixture
def lines() -> list[str]:
    return ["loading model", "ERROR: out of memory", "bye"]


@pytest.fixture
def log(theme: Theme, lines: list[str], qtbot: QtBot) -> EngineLog:
    made = EngineLog(theme, lambda: tuple(lines))
    qtbot.addWidget(made)
    made.resize(600, 300)
    made.show()
    return made


def test_the_log_follows_what_the_engine_writes(log: EngineLog, lines: list[str]) -> None:
    lines.append("again")
    log.refresh()
    assert log.shown_text.splitlines() == ["loading model", "ERROR: out of memory", "bye", "again"]
    del lines[0]  # the engine keeps its last lines only
    lines.append("more")
    log.refresh()
    assert log.shown_text.splitlines() == ["ERROR: out of memory", "bye", "again", "more"]


def test_the_log_can_be_searched(log: EngineLog) -> None:
    field = next(f for f in log.findChildren(QLineEdit) if f.accessibleName() == "Search the log")
    field.setText("memory")
    assert log._text.textCursor().selectedText() == "memory"
    assert log._found.text() == "1 found"
    field.setText("nowhere")
    assert log._found.text() == "0 found"


def test_the_log_is_copied_and_saved(log: EngineLog, tmp_path: Path) -> None:
    log._copy.click()
    assert QGuiApplication.clipboard().text() == "loading model\nERROR: out of memory\nbye"
    log.save_to(tmp_path / "engine.log")
    assert (tmp_path / "engine.log").read_text() == "loading model\nERROR: out of memory\nbye\n"
    with pytest.raises(StorageError):
        log.save_to(tmp_path / "missing" / "engine.log")
