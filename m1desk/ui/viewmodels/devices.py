"""The accelerators as rows of a table: what each one is, and does this second, in words."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from m1desk.hardware import DeviceSample, PcieLink
from m1desk.ui.units import bytes_pair, bytes_text
from m1desk.ui.viewmodels.device_links import NOT_SAID, DeviceLinks, LinkMap, numbers_text
from m1desk.ui.viewmodels.device_pcie import PcieWatch, link_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from m1desk.hardware import Accelerator, Machine, Sample

_MAKERS: Final = frozenset({"NVIDIA", "AMD", "Intel"})
_LINK_SPEEDS: Final = "Below: the most it can. An idle card may slow its link to save power."


@dataclass(frozen=True, slots=True)
class Cell:
    """Two lines of a table: a text, and a bar (of 0.0 to 1.0) or a smaller text.

    `tone` is the colour's name in the palette, "" for that of running text; `detail` a tooltip.
    """

    text: str
    more: str = ""
    fraction: float | None = None
    tone: str = ""
    detail: str = ""


_NOT_SAID: Final = Cell(NOT_SAID, tone="text_faint")
_NONE: Final = Cell("none", tone="text_faint")


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """An accelerator, a cell a column."""

    id: str
    device: Cell
    links: Cell
    engine: Cell
    memory: Cell = _NOT_SAID
    load: Cell = _NOT_SAID
    power: Cell = _NOT_SAID
    temperature: Cell = _NOT_SAID
    pcie: Cell = _NOT_SAID


class DeviceBoard:
    """Writes a machine's accelerators as rows, and anew with each sample.

    Attributes:
        link_sentences: how they reach each other.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._watch = PcieWatch()
        self._hints: dict[str, tuple[str, ...]] = {}
        links = LinkMap(machine.accelerators, machine.links)
        self.link_sentences = links.sentences()
        self._before = tuple(
            self._row_before(number, device, links.of(number))
            for number, device in enumerate(machine.accelerators)
        )

    @property
    def devices(self) -> tuple[Accelerator, ...]:
        """The accelerators, each at the place that is its number."""
        return self._machine.accelerators

    def name(self, number: int) -> str:
        """Its short name: "GPU 3"; the device's own where it is the only one."""
        return f"GPU {number}" if len(self.devices) > 1 else self.devices[number].name

    def take(self, sample: Sample | None) -> tuple[DeviceRow, ...]:
        """Take the next sample, and write the rows; without one, as far as they are known."""
        samples = {device.id: device for device in sample.devices} if sample else {}
        return tuple(
            self._row(row, device, samples.get(device.id, DeviceSample(device.id, device.name)))
            for row, device in zip(self._before, self.devices, strict=True)
        )

    def memory_sum(self, sample: Sample) -> str:
        """What several accelerators with memory of their own use together; "" if one is silent."""
        own = {device.id for device in self.devices if not device.unified}
        pairs = [(d.used_bytes, d.total_bytes) for d in sample.devices if d.id in own]
        told = [(used, total) for used, total in pairs if used is not None and total is not None]
        if len(told) < len(pairs) or len(told) < 2:
            return ""
        used, total = map(sum, zip(*told, strict=True))
        return f"{bytes_pair(used, total)} of GPU memory in use"

    def remarks(self) -> tuple[str, ...]:
        """What the owner may want to know or change, as of the last sample.

        A sentence that is true of several devices is said once for all of them.
        """
        numbers: dict[str, list[int]] = {}
        for number, device in enumerate(self.devices):
            for hint in (*device.hints, *self._hints.get(device.id, ())):
                numbers.setdefault(hint, []).append(number)
        said = (f"{self._names(whose)}: {hint}" for hint, whose in numbers.items())
        return (*said, *self._machine.notes)

    def _names(self, numbers: list[int]) -> str:
        return f"GPU {numbers_text(numbers)}" if len(self.devices) > 1 else self.name(numbers[0])

    def _row_before(self, number: int, device: Accelerator, links: DeviceLinks | None) -> DeviceRow:
        """The row with what never changes, and nothing else."""
        linked = Cell(links.nearest, links.rest) if links else _NONE
        facts = list(_facts(device))
        if links:
            facts.append(f"{links.nearest}, {links.rest}" if links.rest else links.nearest)
        return DeviceRow(
            id=device.id,
            device=self._device_cell(number, device, "\n".join(facts)),
            links=linked,
            engine=self._engine_cell(device),
        )

    def _row(self, row: DeviceRow, device: Accelerator, sample: DeviceSample) -> DeviceRow:
        self._watch.note(sample)
        hints = self._hints[device.id] = self._watch.hints(sample)
        return replace(
            row,
            memory=_memory_cell(device, sample),
            load=_load_cell(sample.utilisation_percent),
            power=_power_cell(sample.power_watts, device.power_limit_watts),
            temperature=_temperature_cell(sample.temperature_celsius),
            pcie=_pcie_cell(device, sample, is_slow=bool(hints)),
        )

    def _device_cell(self, number: int, device: Accelerator, facts: str) -> Cell:
        shared = "uses RAM" if device.unified else ""
        if len(self.devices) == 1:
            return Cell(device.name, shared, detail=facts)
        name = ", ".join(filter(None, (_without_maker(device.name), shared)))
        return Cell(self.name(number), name, detail=facts)

    def _engine_cell(self, device: Accelerator) -> Cell:
        if device.usable_by_engine:
            return Cell(", ".join(device.engine_names), detail="What the engine calls it.")
        if not self._machine.engine_devices:
            return replace(_NOT_SAID, detail="The engine did not list its devices.")
        return Cell("not usable", tone="warning", detail="\n".join(device.hints))


def _without_maker(name: str) -> str:
    """The part of the name that tells cards apart; columns are narrow."""
    maker, _, rest = name.partition(" ")
    return rest if maker in _MAKERS and rest else name


def _facts(device: Accelerator) -> Iterator[str]:
    yield device.name
    if device.bandwidth_bytes_per_second is not None:
        yield f"Reads its memory at up to {device.bandwidth_bytes_per_second / 1e9:,.0f} GB/s"
    if device.compute_capability:
        yield f"Compute capability {device.compute_capability}"
    if device.driver:
        yield f"Driver {device.driver}"
    if device.pci_id:
        yield f"PCI address {device.pci_id}"


def _memory_cell(device: Accelerator, sample: DeviceSample) -> Cell:
    used, total = sample.used_bytes, sample.total_bytes or device.total_bytes
    detail = "The machine's memory, which it shares with all programs." if device.unified else ""
    if total is None:
        return _NOT_SAID if used is None else Cell(bytes_text(used), detail=detail)
    if used is None:
        return Cell(bytes_text(total), f"in use: {NOT_SAID}", detail=detail)
    fraction = min(1.0, used / total) if total else None
    return Cell(bytes_pair(used, total), fraction=fraction, detail=detail)


def _load_cell(percent: float | None) -> Cell:
    if percent is None:
        return _NOT_SAID
    return Cell(f"{percent:.0f} %", fraction=min(1.0, percent / 100))


def _power_cell(watts: float | None, limit: float | None) -> Cell:
    if watts is None:
        return _NOT_SAID
    return Cell(f"{watts:.0f} W", "" if limit is None else f"of {limit:.0f} W")


def _temperature_cell(degrees: float | None) -> Cell:
    return _NOT_SAID if degrees is None else Cell(f"{degrees:.0f} °C")


def _pcie_cell(device: Accelerator, sample: DeviceSample, *, is_slow: bool) -> Cell:
    if device.unified:
        return replace(_NONE, detail="It is a part of the processor.")
    told, known = sample.pcie or PcieLink(), device.pcie or PcieLink()
    most = link_text(told.max_generation or known.max_generation, told.max_width or known.max_width)
    now = link_text(told.current_generation, told.current_width)
    if not now:
        return Cell(f"max {most}", f"now: {NOT_SAID}") if most else _NOT_SAID
    tone = "warning" if is_slow else ""
    return Cell(now, f"of {most}" if most else "", tone=tone, detail=_LINK_SPEEDS)
