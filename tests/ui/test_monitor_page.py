"""The Monitor page: live figures, ten minutes of history, nothing drawn unseen, and the log."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QGuiApplication, QImage, QWheelEvent
from PySide6.QtWidgets import QAbstractScrollArea, QApplication, QLineEdit, QTableView, QWidget
from support.hardware_recordings import load, play

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
    from m1desk.ui.tokens import ThemeChoice

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


def recorded(name: str, root: Path) -> tuple[Machine, Sample]:
    """A recorded machine through the real probe, and a sample of it through the real sampler."""
    sources = play(load(name), root)
    found = probe_machine([], sources=sources)
    with Sampler(found, sources) as sampler:
        return found, sampler.sample()


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


def test_each_accelerator_has_a_row_that_each_sample_writes_anew(
    page: MonitorPage, monitor: MonitorViewModel, bridge: Bridge, qtbot: QtBot, tmp_path: Path
) -> None:
    machine, first = recorded("eight_h100", tmp_path)
    page.show_machine(machine)
    feed(monitor, bridge, qtbot, MonitorSample(first, None))
    assert len(page.devices.rows) == 8
    table = page.devices.findChild(QTableView)
    assert table is not None
    widgets = page.devices.findChildren(QWidget)
    busy = replace(first.devices[7], utilisation_percent=64.0, used_bytes=40 * GIB)
    second = replace(first, monotonic=first.monotonic + 1, devices=(*first.devices[:7], busy))
    with (
        qtbot.assertNotEmitted(table.model().modelReset),
        qtbot.waitSignal(table.model().dataChanged),
    ):
        feed(monitor, bridge, qtbot, MonitorSample(second, None))
    assert page.devices.findChildren(QWidget) == widgets  # nothing was built for it
    assert page.devices.rows[7].load.text == "64 %"
    assert page.devices.rows[7].memory.text == "40.0 of 79.6 GiB"
    told = table.model().index(7, 2).data(Qt.ItemDataRole.AccessibleTextRole)
    assert told == "Load: 64 %"
    assert "GPU 0–7: NVLink through switches, all to all" in page.devices.words
    assert monitor.history(f"vram:{busy.id}").points(second.monotonic)[1][-1] == 40 * GIB


def test_the_rows_of_a_small_window_leave_out_what_is_said_below(
    page: MonitorPage, tmp_path: Path, qtbot: QtBot
) -> None:
    machine, _ = recorded("mixed", tmp_path)
    page.show_machine(machine)
    page.show()
    table = page.devices.findChild(QTableView)
    assert table is not None

    def shown() -> list[str]:
        names = range(table.model().columnCount())
        heads = {n: table.model().headerData(n, Qt.Orientation.Horizontal) for n in names}
        assert table.columnViewportPosition(0) == 0
        assert sum(map(table.columnWidth, names)) <= table.viewport().width()
        return [heads[n] for n in names if not table.isColumnHidden(n)]

    page.resize(1016, 740)
    qtbot.waitUntil(lambda: shown()[-2:] == ["Links", "Engine"])
    page.resize(716, 540)
    qtbot.waitUntil(lambda: shown()[-1] == "PCIe")
    assert "GPU 0 and 1: PCIe through the processor." in page.devices.words
    assert "GPU 2: The installed engine (backends: CUDA, CPU) can't use it" in page.devices.words


@pytest.mark.parametrize("choice", ["light", "dark"])
def test_the_dots_and_bars_are_painted(
    page: MonitorPage, theme: Theme, tmp_path: Path, choice: ThemeChoice
) -> None:
    theme.set_choice(choice)
    machine, first = recorded("eight_h100", tmp_path)
    page.show_machine(machine)
    page.devices.show_sample(first)
    page.show()
    table = page.devices.findChild(QTableView)
    assert table is not None
    picture = table.viewport().grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
    pixels = memoryview(picture.constBits()).cast("I")
    inked = {f"#{pixel & 0xFFFFFF:06x}" for pixel in pixels}
    palette = theme.palette
    dots = {getattr(palette, f"series_{number}") for number in range(1, 9)}
    assert dots | {palette.accent, palette.pressed} <= inked


def test_the_wheel_over_the_rows_is_left_to_the_page(
    page: MonitorPage, tmp_path: Path, qtbot: QtBot
) -> None:
    page.resize(716, 540)
    page.show_machine(recorded("eight_h100", tmp_path)[0])
    page.show()
    qtbot.waitUntil(lambda: page._area.verticalScrollBar().maximum() > 0)
    table = page.devices.findChild(QTableView)
    assert table is not None

    def turn(view: QAbstractScrollArea) -> QWheelEvent:
        place, none = QPointF(view.viewport().rect().center()), QPoint()
        turned = QWheelEvent(
            place,
            QPointF(view.viewport().mapToGlobal(place.toPoint())),
            none,
            QPoint(0, -120),
            Qt.MouseButton.NoButton,
            Qt.KeyboardModifier.NoModifier,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        QApplication.sendEvent(view.viewport(), turned)
        return turned

    assert turn(page._area).isAccepted()
    assert not turn(table).isAccepted()  # Qt goes on with the widget behind


def test_a_machine_without_accelerators_has_no_table(page: MonitorPage, tmp_path: Path) -> None:
    page.show()
    assert not page.devices.isVisible()  # nobody has looked yet
    page.show_machine(recorded("no_gpu", tmp_path / "none")[0])
    assert not page.devices.isVisible()
    page.show_machine(recorded("broken_nvml", tmp_path / "broken")[0])
    assert page.devices.isVisible()
    assert "its driver was updated while it ran" in page.devices.words


def test_eight_cards_have_curves_of_eight_colours(
    page: MonitorPage, monitor: MonitorViewModel, bridge: Bridge, qtbot: QtBot, tmp_path: Path
) -> None:
    machine, first = recorded("eight_h100", tmp_path)
    page.show_machine(machine)
    assert list(page.graphs) == ["speed", "load", "memory", "cache"]
    feed(monitor, bridge, qtbot, MonitorSample(first, None))
    assert list(page.graphs) == [
        "speed", "load", "memory", "vram", "cache", "power", "temperature",
    ]  # fmt: skip
    for figure in ("vram", "power", "temperature"):
        curves = page.graphs[figure].curves
        assert len({curve.colour for curve in curves}) == len(curves) == 8
        assert not any(curve.is_listed or curve.dashed for curve in curves)
    assert [curve.name for curve in page.graphs["load"].curves][:2] == ["CPU", "GPU 0"]


def test_more_cards_than_colours_have_dashed_curves(
    page: MonitorPage, tmp_path: Path, qtbot: QtBot
) -> None:
    machine, _ = recorded("eight_h100", tmp_path)
    more = tuple(replace(card, id=f"{card.id}-too") for card in machine.accelerators)
    page.show_machine(replace(machine, accelerators=(*machine.accelerators, *more)))
    page.show()
    load = page.graphs["load"]
    qtbot.waitUntil(lambda: load.is_drawn)
    looks = {(curve.colour, curve.dashed) for curve in load.curves}
    assert len(looks) == len(load.curves) == 17
    styles = [line.opts["pen"].style() for line in load._lines]
    assert styles == [Qt.PenStyle.SolidLine] * 9 + [Qt.PenStyle.DashLine] * 8


def test_figures_that_no_device_tells_have_no_graph(
    page: MonitorPage, monitor: MonitorViewModel, bridge: Bridge, qtbot: QtBot, tmp_path: Path
) -> None:
    machine, first = recorded("m3_ultra", tmp_path)
    page.show_machine(machine)
    feed(monitor, bridge, qtbot, MonitorSample(first, None))
    assert list(page.graphs) == ["speed", "load", "memory", "cache"]
    assert page.devices.rows[0].load.text == "not said"
    assert page.devices.rows[0].device.more == "uses RAM"


def test_equal_cards_are_counted_in_the_machines_line(page: MonitorPage, tmp_path: Path) -> None:
    page.show_machine(recorded("eight_h100", tmp_path)[0])
    assert page._machine.whole_text.endswith("8 x NVIDIA H100 80GB HBM3 (79.1 GiB)")


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


def test_an_old_value_is_not_shown_as_the_present_one() -> None:
    history = History()
    assert history.latest(0.0) is None
    history.add(10.0, 97.0)
    assert history.latest(11.0) == 97.0
    assert history.latest(60.0) is None  # the card was lost


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
