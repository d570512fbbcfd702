"""How much electricity the machine takes, where it can say: its battery, processors and cards."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from m1desk.hardware.machine import Machine
from m1desk.hardware.sampler import Sampler
from m1desk.hardware.sources import Sources
from m1desk.hardware.sysfs import read_number, read_text

PowerSource = Literal["computer", "processor", "graphics cards", "processor and graphics cards"]
"""What a figure counts. Only a battery that is being emptied knows of the whole computer."""

_LONGEST_SECONDS: Final = 60.0
"""Between two readings; after a longer time the machine may have slept, and nothing is claimed."""

_COUNTED_ZONES: Final = ("package", "dram")
"""Names of RAPL's zones that count something of their own; a package holds its cores."""


@dataclass(frozen=True, slots=True)
class Energy:
    """Electricity taken in some time (seconds), and by what."""

    joules: float
    seconds: float
    source: PowerSource


@dataclass(frozen=True, slots=True)
class _Reading:
    """What the machine shows at one moment.

    Attributes:
        at: seconds of the monotonic clock.
        battery_watts: flowing out of its batteries, None while none is emptied.
        counters: of used energy (microjoules), and where each begins anew, by file.
        card_watts: of all graphics cards, None where none tells.
    """

    at: float
    battery_watts: float | None
    counters: Mapping[Path, tuple[int, int]]
    card_watts: float | None


class PowerMeter:
    """Sums up what the machine takes; of one thread at a time.

    Linux shows processors' counters to its administrator only, unless told otherwise. macOS and
    Windows show nothing of these; NVIDIA's cards tell everywhere.
    """

    def __init__(
        self,
        machine: Callable[[], Machine],
        sources: Sources | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; nothing is read.

        Args:
            machine: says what the machine has; called at the first reading, may block.
            sources: what to read from instead of this machine.
            clock: seconds that are not set.
        """
        self._machine = machine
        self._sources = sources or Sources.of_this_machine()
        self._clock = clock
        self._sampler: Sampler | None = None
        self._unified: frozenset[str] = frozenset()
        self._cards: Mapping[str, str] = {}
        self._before: _Reading | None = None

    def take(self) -> Energy | None:
        """Energy since the call before; None at the first one, and where the machine can't say."""
        before, self._before = self._before, self._read()
        return None if before is None else _between(before, self._before)

    def close(self) -> None:
        """Give back what the vendors' libraries hold."""
        if self._sampler is not None:
            self._sampler.close()

    def _read(self) -> _Reading:
        root = self._sources.root
        counters = _counters(root)
        return _Reading(
            self._clock(), _battery_watts(root), counters, self._card_watts(bool(counters))
        )

    def _card_watts(self, processor_is_counted: bool) -> float | None:  # noqa: FBT001
        if self._sampler is None:
            machine = self._machine()
            self._unified = frozenset(one.id for one in machine.accelerators if one.unified)
            self._cards = {one.id: one.part_of or one.id for one in machine.accelerators}
            self._sampler = Sampler(machine, self._sources)
        watts = {
            self._cards[device.id]: device.power_watts  # slices of a card all tell the card's
            for device in self._sampler.sample().devices
            # one that shares the processor's chip is in its counter already
            if device.power_watts is not None
            and not (processor_is_counted and device.id in self._unified)
        }
        return sum(watts.values()) if watts else None


def _between(before: _Reading, now: _Reading) -> Energy | None:
    seconds = now.at - before.at
    if not 0 < seconds <= _LONGEST_SECONDS:
        return None
    battery = _mean(before.battery_watts, now.battery_watts)
    if battery is not None:
        return Energy(battery * seconds, seconds, "computer")
    processor = _counted(before.counters, now.counters)
    cards = _mean(before.card_watts, now.card_watts)
    if processor is not None and cards is not None:
        return Energy(processor + cards * seconds, seconds, "processor and graphics cards")
    if processor is not None:
        return Energy(processor, seconds, "processor")
    return None if cards is None else Energy(cards * seconds, seconds, "graphics cards")


def _mean(before: float | None, now: float | None) -> float | None:
    return None if before is None or now is None else (before + now) / 2


def _counted(
    before: Mapping[Path, tuple[int, int]], now: Mapping[Path, tuple[int, int]]
) -> float | None:
    """Joules by the counters that were there both times; None when there are none."""
    both = before.keys() & now.keys()
    used = 0
    for path in both:
        difference = now[path][0] - before[path][0]
        used += difference if difference >= 0 else difference + now[path][1]
    return used / 1e6 if both else None


def _counters(root: Path) -> dict[Path, tuple[int, int]]:
    """RAPL's counters, which AMD's processors have too."""
    found = {}
    for zone in sorted((root / "sys" / "class" / "powercap").glob("intel-rapl:*")):
        used = read_number(zone / "energy_uj")
        if used is not None and read_text(zone / "name").startswith(_COUNTED_ZONES):
            found[zone] = used, read_number(zone / "max_energy_range_uj") or 0
    return found


def _battery_watts(root: Path) -> float | None:
    """Watts that flow out of the batteries of the machine, None while none is emptied."""
    watts = 0.0
    for supply in sorted((root / "sys" / "class" / "power_supply").glob("*")):
        if read_text(supply / "status") != "Discharging" or read_text(supply / "scope") == "Device":
            continue  # a mouse has a battery too
        microwatts = read_number(supply / "power_now")
        if microwatts is None:
            current, voltage = (
                read_number(supply / name) for name in ("current_now", "voltage_now")
            )
            microwatts = 0 if current is None or voltage is None else current * voltage // 10**6
        watts += abs(microwatts) / 1e6
    return watts or None
