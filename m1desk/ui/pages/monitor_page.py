"""The Monitor page: what the engine and the machine do now and did in the last ten minutes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QScrollArea, QVBoxLayout, QWidget

from m1desk.ui.units import bytes_pair, bytes_text
from m1desk.ui.widgets.elided_label import ElidedLabel
from m1desk.ui.widgets.engine_log import EngineLog
from m1desk.ui.widgets.graph_panel import Curve, GraphPanel
from m1desk.ui.widgets.tile import Tile

if TYPE_CHECKING:
    from collections.abc import Callable

    from PySide6.QtGui import QResizeEvent

    from m1desk.engines import EngineRates
    from m1desk.engines.status import EngineStatus
    from m1desk.hardware import DeviceSample, Machine, Sample
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.monitor import MonitorSample, MonitorViewModel

_GIB: Final = 1 << 30
_DEVICE_COLOURS: Final = ("success", "warning", "danger", "accent")
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
        self._device_tiles: dict[str, Tile] = {}
        self._tile_grid = QGridLayout()
        self._graph_grid = QGridLayout()
        self._graphs = self._make_graphs()
        self.log = EngineLog(theme, log_lines)
        self._devices: tuple[str, ...] = ()
        self._lay_out()
        self._arrange()
        monitor.sampled.connect(self._on_sampled)

    @property
    def tiles(self) -> dict[str, Tile]:
        """The tiles by figure, those of devices by "device:ID"."""
        return {**self._tiles, **{f"device:{k}": v for k, v in self._device_tiles.items()}}

    def show_machine(self, machine: Machine) -> None:
        """Describe the machine in one line."""
        cpu = machine.cpu
        parts = [
            cpu.model,
            f"{cpu.usable_cores} cores",
            f"{bytes_text(machine.ram.usable_bytes)} RAM",
            *(_accelerator_text(d.name, d.total_bytes) for d in machine.accelerators),
        ]
        if not machine.accelerators:
            parts.append("no GPU: models run on the processor")
        self._machine.set_text(" · ".join(part for part in parts if part))

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
        speed = GraphPanel(theme, "Tokens per second", _number)
        speed.set_curves(
            (
                Curve("decode", history("decode"), "accent"),
                Curve("prefill", history("prefill"), "success"),
            )
        )
        load = GraphPanel(theme, "Load (%)", _number, top=100.0)
        load.set_curves((Curve("CPU", history("cpu"), "accent"),))
        memory = GraphPanel(theme, "Memory (GiB)", _gibibytes, scale=_GIB)
        memory.set_curves((Curve("RAM", history("ram"), "accent"),))
        cache = GraphPanel(theme, "KV cache in use (%)", _number, top=100.0)
        cache.set_curves((Curve("context", history("kv"), "success"),))
        return {"speed": speed, "load": load, "memory": memory, "cache": cache}

    def _lay_out(self) -> None:
        metrics = self._theme.metrics
        title = QLabel("Monitor")
        title.setProperty("tone", "heading")
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
        _fill(self._graph_grid, list(self._graphs.values()), columns[0])
        tiles = [*self._tiles.values(), *self._device_tiles.values()]
        _fill(self._tile_grid, tiles, columns[1])

    def _on_sampled(self, sample: MonitorSample) -> None:
        devices = sample.machine.devices
        if tuple(device.id for device in devices) != self._devices:
            self._take_devices(devices)
        self._graphs["memory"].set_top(_highest_memory(sample.machine))
        self._show_tiles(sample)
        for graph in self._graphs.values():
            graph.refresh(sample.machine.monotonic)

    def _take_devices(self, devices: tuple[DeviceSample, ...]) -> None:
        """Give each accelerator its tile and its curves."""
        self._devices = tuple(device.id for device in devices)
        for tile in self._device_tiles.values():
            tile.deleteLater()
        self._device_tiles = {device.id: Tile(self._theme, device.name) for device in devices}
        history = self._monitor.history
        load = [Curve("CPU", history("cpu"), "accent")]
        memory = [Curve("RAM", history("ram"), "accent")]
        for number, device in enumerate(devices):
            colour = _DEVICE_COLOURS[number % len(_DEVICE_COLOURS)]
            name = _device_name(devices, number)
            if device.utilisation_percent is not None:
                load.append(Curve(name, history(f"load:{device.id}"), colour))
            if device.used_bytes is not None:
                memory.append(Curve(name, history(f"vram:{device.id}"), colour))
        self._show_readable(devices)
        self._graphs["load"].set_curves(tuple(load))
        self._graphs["memory"].set_curves(tuple(memory))
        self._columns = (0, 0)
        self._arrange()

    def _show_readable(self, devices: tuple[DeviceSample, ...]) -> None:
        """Draw power and temperature where a device tells them."""
        for figure, title, values in (
            ("power", "Power (W)", [d.power_watts for d in devices]),
            ("temperature", "Temperature (°C)", [d.temperature_celsius for d in devices]),
        ):
            curves = tuple(
                Curve(
                    _device_name(devices, number),
                    self._monitor.history(f"{figure}:{device.id}"),
                    _DEVICE_COLOURS[number % len(_DEVICE_COLOURS)],
                )
                for number, device in enumerate(devices)
                if values[number] is not None
            )
            if not curves:
                continue
            if figure not in self._graphs:
                self._graphs[figure] = GraphPanel(self._theme, title, _number)
            self._graphs[figure].set_curves(curves)

    def _show_tiles(self, sample: MonitorSample) -> None:
        machine = sample.machine
        if sample.engine is not None:
            self._show_engine_tiles(sample.engine)
        cpu = machine.cpu_percent
        self._tiles["cpu"].show_value("–" if cpu is None else f"{cpu:.0f} %", "all cores")
        self._tiles["ram"].show_value(
            bytes_text(machine.ram_used_bytes), f"of {bytes_text(machine.ram_total_bytes)}"
        )
        for device in machine.devices:
            tile = self._device_tiles.get(device.id)
            if tile is not None:
                tile.show_value(_device_value(device), _device_more(device))

    def _show_engine_tiles(self, rates: EngineRates) -> None:
        self._tiles["decode"].show_value(_number(rates.decode_tokens_per_second), "tok/s")
        self._tiles["prefill"].show_value(_number(rates.prefill_tokens_per_second), "tok/s")
        self._tiles["requests"].show_value(f"{rates.running}", f"{rates.waiting} waiting")
        kv = rates.kv_fraction
        self._tiles["kv"].show_value("–" if kv is None else f"{kv * 100:.0f} %", "in use")


def _fill(
    grid: QGridLayout, widgets: list[QWidget] | list[Tile] | list[GraphPanel], columns: int
) -> None:
    while grid.takeAt(0) is not None:
        pass
    for column in range(8):
        grid.setColumnStretch(column, 1 if column < columns else 0)
    for number, widget in enumerate(widgets):
        grid.addWidget(widget, number // columns, number % columns)


def _device_name(devices: tuple[DeviceSample, ...], number: int) -> str:
    return devices[0].name if len(devices) == 1 else f"GPU {number}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == 0 else f"{value:.1f}"


def _gibibytes(value: float) -> str:
    return f"{value / _GIB:.1f}"


def _highest_memory(machine: Sample) -> float:
    totals = [machine.ram_total_bytes, *(d.total_bytes or 0 for d in machine.devices)]
    return float(max(totals))


def _accelerator_text(name: str, total: int | None) -> str:
    return f"{name} ({bytes_text(total)})" if total else name


def _device_value(device: DeviceSample) -> str:
    if device.used_bytes is None:
        return "–"
    if device.total_bytes:
        return bytes_pair(device.used_bytes, device.total_bytes)
    return bytes_text(device.used_bytes)


def _device_more(device: DeviceSample) -> str:
    parts = []
    if device.utilisation_percent is not None:
        parts.append(f"{device.utilisation_percent:.0f} % busy")
    if device.power_watts is not None:
        parts.append(f"{device.power_watts:.0f} W")
    if device.temperature_celsius is not None:
        parts.append(f"{device.temperature_celsius:.0f} °C")
    return " · ".join(parts)
