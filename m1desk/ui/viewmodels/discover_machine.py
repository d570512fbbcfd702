"""The machine Discover plans for: this computer, one that comes as a preset, or one from a file."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject, Signal

from m1desk.engines import efficiencies_measured_here
from m1desk.errors import M1DeskError
from m1desk.fit import (
    Efficiencies,
    PlanMachine,
    fitted_efficiencies,
    load_machine,
    machine_from_probe,
    preset_names,
    size_text,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from m1desk.hardware import Machine
    from m1desk.store import Measurements
    from m1desk.ui.bridge import Bridge

THIS: Final = "this"


@dataclass(frozen=True, slots=True)
class PlannedMachine:
    """A machine and what is reached on it."""

    machine: PlanMachine
    efficiencies: Efficiencies


def planned_machine(machine: Machine, measurements: Measurements) -> PlannedMachine:
    """This computer, with what was measured on it; reads the database, raises StorageError."""
    here = machine_from_probe(machine)
    return PlannedMachine(here, efficiencies_measured_here(measurements, here))


def machine_text(machine: PlanMachine) -> str:
    """What a machine has, in a line."""
    ram = size_text(machine.ram_total_bytes)
    if not machine.devices:
        return f"{ram} of memory, no GPU"
    if machine.unified:
        return f"{ram} of memory, shared with {machine.devices[0].name}"
    first, count = machine.devices[0], len(machine.devices)
    gpus = f"{count} × {first.name.removesuffix(' 1')}" if count > 1 else first.name
    return f"{gpus} with {size_text(first.total_bytes)}, {ram} of main memory"


class MachineViewModel(QObject):
    """Knows the machines there are and the one that is planned for.

    `here` thinks this computer through, on a worker thread: `planned_machine`.

    Signals:
        changed: another machine is planned for (read `current`), or it is awaited.
        choices_changed: the list is new (read `choices`).
        failed: an M1DeskError: the file chosen is no machine; the machine stays the same.
    """

    changed = Signal()
    choices_changed = Signal()
    failed = Signal(object)

    def __init__(
        self,
        bridge: Bridge,
        here: Callable[[Machine], PlannedMachine],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._here = here
        self._key = THIS
        self._machines: dict[str, PlannedMachine] = {}
        self._opened = False

    @property
    def key(self) -> str:
        """Of the machine planned for: "this", or what `choices` says."""
        return self._key

    @property
    def current(self) -> PlannedMachine | None:
        """The machine planned for; None while this computer has not been looked at."""
        return self._machines.get(self._key)

    @property
    def choices(self) -> tuple[tuple[str, str], ...]:
        """Key and name of each machine, this computer first, those from files last."""
        others = ((key, one.machine.name) for key, one in self._machines.items() if key != THIS)
        return ((THIS, "This computer"), *others)

    def open(self) -> None:
        """Read the presets, once."""
        if not self._opened:
            self._opened = True
            self._bridge.submit(asyncio.to_thread(_presets), on_done=self._on_presets)

    def use_probe(self, machine: Machine) -> None:
        """Take note of this computer; it is thought through on a worker thread."""
        self._bridge.submit(
            asyncio.to_thread(self._here, machine),
            on_done=self._on_probed,
            on_error=self._on_error,
        )

    def choose(self, key: str) -> None:
        """Plan for another machine; an unknown key changes nothing."""
        if key != self._key and (key == THIS or key in self._machines):
            self._key = key
            self.changed.emit()

    def choose_file(self, path: Path) -> None:
        """Plan for the machine a JSON file describes (docs/fit.md)."""
        key = f"file:{path}"

        def on_done(machine: PlanMachine) -> None:
            self._machines[key] = PlannedMachine(machine, fitted_efficiencies())
            self._key = key
            self.choices_changed.emit()
            self.changed.emit()

        work = asyncio.to_thread(load_machine, str(path))
        self._bridge.submit(work, on_done=on_done, on_error=self._on_error)

    # -- inside ------------------------------------------------------------------------------------

    def _on_presets(self, machines: tuple[PlanMachine, ...]) -> None:
        fitted = fitted_efficiencies()
        self._machines.update((one.id, PlannedMachine(one, fitted)) for one in machines)
        self.choices_changed.emit()

    def _on_probed(self, found: PlannedMachine) -> None:
        self._machines[THIS] = found
        if self._key == THIS:
            self.changed.emit()

    def _on_error(self, error: Exception) -> None:
        if not isinstance(error, M1DeskError):
            raise error
        self.failed.emit(error)


def _presets() -> tuple[PlanMachine, ...]:
    machines = (load_machine(name) for name in preset_names())
    return tuple(sorted(machines, key=lambda one: one.name.casefold()))
