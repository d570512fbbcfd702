"""The Monitor page: what the engine and the machine do now and did in the last ten minutes."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from m1desk.ui.units import bytes_text
from m1desk.ui.viewmodels.devices import DeviceBoard
from m1desk.ui.widgets.device_curves import draw_devices
from m1desk.ui.widgets.device_table import DeviceTable
from m1desk.ui.widgets.elided_label import ElidedLabel
from m1desk.ui.widgets.engine_log import EngineLog
from m1desk.ui.widgets.graph_panel import Curve, GraphPanel
from m1desk.ui.widgets.label import Label
from m1desk.ui.widgets.tile import Tile

if TYPE_CHECKING:
    from collections.abc import Callable

    from PySide6.QtGui import QResizeEvent

    from m1desk.engines import EngineRates
    from m1desk.engines.status import EngineStatus
    from m1desk.hardware import Machine
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.monitor import MonitorSample, MonitorViewModel

_GIB: Final = 1 << 30
_DEVICE_GRAPHS: Final = ("vram", "power", "temperature")
"""Graphs of accelerators alone, by the figure of the histories; shown where one of them tells."""
_GRAPHS_APART: Final = 40
"""Milliseconds between graphs that are drawn anew: all at once would hold up the window."""
_TWO_GRAPHS: Final = 680
_SIX_TILES: Final = 920
"""Widths of the page (pixels) from which so many stand side by side."""


class MonitorPage(QWidget):
    """Shows the view model's figures; nothing is drawn while another page is open."""

    def __init__(
        self,
        theme: Theme,
        monitor: MonitorViewModel,
        log_lines: Callable[[], tuple[str, ...]],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._theme = theme
        self._monitor = monitor
        self._columns = (0, 0)
        self._machine = ElidedLabel(tone="muted")
        self._remote = ElidedLabel(tone="muted")
        self._tiles = {
            "decode": Tile(theme, "Writing (decode)"),
            "prefill": Tile(theme, "Reading (prefill)"),
            "requests": Tile(theme, "Requests"),
            "kv": Tile(theme, "KV cache"),
            "cpu": Tile(theme, "Processor"),
            "ram": Tile(theme, "Memory"),
        }
        self._tile_grid = QGridLayout()
        self._graph_grid = QGridLayout()
        self._graphs = self._make_graphs()
        self._shown: list[GraphPanel] = []
        self.devices = DeviceTable(theme)
        self.log = EngineLog(theme, log_lines)
        self._lay_out()
        self._show_told()
        self._arrange()
        monitor.sampled.connect(self._on_sampled)

    @property
    def tiles(self) -> dict[str, Tile]:
        """The tiles by figure."""
        return self._tiles

    @property
    def graphs(self) -> dict[str, GraphPanel]:
        """The graphs by figure, of those that have something to tell."""
        return {figure: graph for figure, graph in self._graphs.items() if graph in self._shown}

    def show_machine(self, machine: Machine) -> None:
        """Describe the machine in one line, and its accelerators in a table."""
        cpu = machine.cpu
        parts = [
            cpu.model,
            f"{cpu.usable_cores} cores",
            f"{bytes_text(machine.ram.usable_bytes)} RAM",
            *_accelerator_texts(machine),
        ]
        if not machine.accelerators:
            parts.append("no GPU: models run on the processor")
        self._machine.set_text(" · ".join(part for part in parts if part))
        board = DeviceBoard(machine)
        self.devices.show_machine(board)
        self._draw_devices(board)

    def show_engine(self, status: EngineStatus) -> None:
        """Say under the requests which model answers them, and where if not here."""
        self._remote.setVisible(status.is_ready and bool(status.server))
        if status.is_ready and not status.server:
            return
        if status.endpoint is not None:
            self._remote.set_text(
                f"Writing, reading, requests and KV cache are those of {status.server}, at "
                f"{status.endpoint.base_url}. All else is this computer."
            )
        unknown = f"not said by {status.server}" if status.server else "no model loaded"
        for name in ("decode", "prefill", "requests", "kv"):
            self._tiles[name].show_value("–", unknown)

    def show_log(self) -> None:
        """Scroll to the engine's log."""
        self.log.refresh()
        self._area.ensureWidgetVisible(self.log)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Put the graphs in as many columns as fit."""
        super().resizeEvent(event)
        self._arrange()

    # -- inside ------------------------------------------------------------------------------------

    def _make_graphs(self) -> dict[str, GraphPanel]:
        history = self._monitor.history
        theme = self._theme
        speed = GraphPanel(theme, "Tokens per second", _number, parent=self)
        speed.set_curves(
            (
                Curve("decode", history("decode"), "accent"),
                Curve("prefill", history("prefill"), "success"),
            )
        )
        load = GraphPanel(theme, "Load (%)", _number, top=100.0, parent=self)
        load.set_curves((Curve("CPU", history("cpu"), "accent"),))
        memory = GraphPanel(theme, "Memory (GiB)", _gibibytes, scale=_GIB, parent=self)
        memory.set_curves((Curve("RAM", history("ram"), "accent"),))
        cache = GraphPanel(theme, "KV cache in use (%)", _number, top=100.0, parent=self)
        cache.set_curves((Curve("context", history("kv"), "success"),))
        return {
            "speed": speed,
            "load": load,
            "memory": memory,
            "vram": GraphPanel(theme, "GPU memory (GiB)", _gibibytes, scale=_GIB, parent=self),
            "cache": cache,
            "power": GraphPanel(theme, "Power (W)", _number, parent=self),
            "temperature": GraphPanel(theme, "Temperature (°C)", _number, parent=self),
        }

    def _lay_out(self) -> None:
        metrics = self._theme.metrics
        title = Label("Monitor", tone="heading")
        head = QVBoxLayout()
        head.setSpacing(metrics.space_xs)
        head.addWidget(title)
        head.addWidget(self._machine)
        head.addWidget(self._remote)
        self._remote.hide()
        for grid in (self._tile_grid, self._graph_grid):
            grid.setSpacing(metrics.space_m)
        inner = QWidget()
        column = QVBoxLayout(inner)
        column.setContentsMargins(
            metrics.space_xl, metrics.space_l, metrics.space_xl, metrics.space_xl
        )
        column.setSpacing(metrics.space_l)
        column.addLayout(head)
        column.addLayout(self._tile_grid)
        column.addWidget(self.devices)
        column.addLayout(self._graph_grid)
        self.log.setMinimumHeight(260)
        column.addWidget(self.log, 1)
        area = self._area = QScrollArea()
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setWidget(inner)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(area)

    def _arrange(self) -> None:
        width = self.width()
        columns = (2 if width >= _TWO_GRAPHS else 1, 6 if width >= _SIX_TILES else 3)
        if columns == self._columns:
            return
        self._columns = columns
        _fill(self._graph_grid, self._shown, columns[0])
        _fill(self._tile_grid, list(self._tiles.values()), columns[1])

    def _draw_devices(self, board: DeviceBoard) -> None:
        """Give each accelerator its curves."""
        history = self._monitor.history
        for figure in _DEVICE_GRAPHS:
            draw_devices(self._graphs[figure], board, history, figure)
        processor = Curve("CPU", history("cpu"), "accent")
        draw_devices(self._graphs["load"], board, history, "load", processor)
        self._show_told()

    def _show_told(self) -> None:
        """Leave out the graphs of figures that no accelerator tells."""
        told = [
            graph
            for figure, graph in self._graphs.items()
            if figure not in _DEVICE_GRAPHS or not all(c.history.is_empty for c in graph.curves)
        ]
        if told == self._shown:
            return
        self._shown = told
        for graph in self._graphs.values():
            graph.setVisible(graph in told)
        self._columns = (0, 0)
        self._arrange()

    def _on_sampled(self, sample: MonitorSample) -> None:
        machine = sample.machine
        self.devices.show_sample(machine)
        self._show_tiles(sample)
        self._show_told()
        self._graphs["memory"].set_top(float(machine.ram_total_bytes))
        self._graphs["vram"].set_top(
            max((float(d.total_bytes or 0) for d in machine.devices), default=0.0)
        )
        for place, graph in enumerate(self._shown):
            QTimer.singleShot(
                place * _GRAPHS_APART, graph, partial(graph.refresh, machine.monotonic)
            )

    def _show_tiles(self, sample: MonitorSample) -> None:
        machine = sample.machine
        if sample.engine is not None:
            self._show_engine_tiles(sample.engine)
        cpu = machine.cpu_percent
        self._tiles["cpu"].show_value("–" if cpu is None else f"{cpu:.0f} %", "all cores")
        self._tiles["ram"].show_value(
            bytes_text(machine.ram_used_bytes), f"of {bytes_text(machine.ram_total_bytes)}"
        )

    def _show_engine_tiles(self, rates: EngineRates) -> None:
        self._tiles["decode"].show_value(_number(rates.decode_tokens_per_second), "tok/s")
        self._tiles["prefill"].show_value(_number(rates.prefill_tokens_per_second), "tok/s")
        self._tiles["requests"].show_value(f"{rates.running}", f"{rates.waiting} waiting")
        kv = rates.kv_fraction
        self._tiles["kv"].show_value("–" if kv is None else f"{kv * 100:.0f} %", "in use")


def _fill(grid: QGridLayout, widgets: list[Tile] | list[GraphPanel], columns: int) -> None:
    while grid.takeAt(0) is not None:
        pass
    for column in range(8):
        grid.setColumnStretch(column, 1 if column < columns else 0)
    for number, widget in enumerate(widgets):
        grid.addWidget(widget, number // columns, number % columns)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == 0 else f"{value:.1f}"


def _gibibytes(value: float) -> str:
    return f"{value / _GIB:.1f}"


def _accelerator_texts(machine: Machine) -> list[str]:
    """Each with its memory; equal ones together: "8 x NVIDIA H100 (79.1 GiB)"."""
    texts = Counter(
        f"{device.name} ({bytes_text(device.total_bytes)})" if device.total_bytes else device.name
        for device in machine.accelerators
    )
    return [f"{count} x {text}" if count > 1 else text for text, count in texts.items()]
