"""Ten minutes of what the machine and the engine did, sampled once a second off the GUI thread."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from PySide6.QtCore import QObject, Signal

from m1desk.errors import M1DeskError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from m1desk.engines import EngineRates
    from m1desk.hardware import DeviceSample, Sample
    from m1desk.ui.bridge import Bridge, Submission

_log = logging.getLogger(__name__)

HISTORY_SECONDS: Final = 600
_PERIOD_SECONDS: Final = 1.0
_FRESH_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class MonitorSample:
    """One second: the machine, and the engine if one answers."""

    machine: Sample
    engine: EngineRates | None


class MachineSampler(Protocol):
    """What the monitor needs of `hardware.Sampler`."""

    def sample(self) -> Sample:
        """The machine now; blocks for some milliseconds."""


class History:
    """The last ten minutes of one figure; a second without a value counts as nothing."""

    def __init__(self) -> None:
        self._values: deque[tuple[float, float]] = deque(maxlen=HISTORY_SECONDS)

    def add(self, moment: float, value: float) -> None:
        """Note a value at a moment (seconds of the monotonic clock)."""
        self._values.append((moment, value))

    def points(self, now: float) -> tuple[list[float], list[float]]:
        """Ages (seconds, 0 is now, the past is negative) and values, oldest first."""
        return [moment - now for moment, _ in self._values], [value for _, value in self._values]

    def latest(self, now: float) -> float | None:
        """The last value, None where there was none in the last seconds."""
        if not self._values or now - self._values[-1][0] > _FRESH_SECONDS:
            return None
        return self._values[-1][1]

    @property
    def largest(self) -> float:
        """The largest value kept, 0.0 when there is none."""
        return max((value for _, value in self._values), default=0.0)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was ever noted."""
        return not self._values


class MonitorViewModel(QObject):
    """Keeps the histories whether or not anybody looks.

    `rates` is awaited on the loop's thread once a second and gives None when no engine answers.

    Signals:
        sampled: the new MonitorSample.
    """

    sampled = Signal(object)

    def __init__(
        self,
        bridge: Bridge,
        rates: Callable[[], Awaitable[EngineRates | None]],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._rates = rates
        self._work: Submission | None = None
        self._histories: dict[str, History] = {}
        self._latest: MonitorSample | None = None
        bridge.events.connect(self._on_events)

    @property
    def latest(self) -> MonitorSample | None:
        """The last sample, None before the first."""
        return self._latest

    def history(self, figure: str) -> History:
        """The history of a figure: "prefill", "decode", "cpu", "ram", "vram:ID", "load:ID" ..."""
        return self._histories.setdefault(figure, History())

    def start(self, sampler: MachineSampler) -> None:
        """Sample once a second from now on."""
        self.stop()
        self._work = self._bridge.submit(self._watch(sampler))

    def stop(self) -> None:
        """Sample no more."""
        if self._work is not None:
            self._work.cancel()
            self._work = None

    async def _watch(self, sampler: MachineSampler) -> None:
        clock = asyncio.get_running_loop().time
        due = clock()
        while True:
            machine = await asyncio.to_thread(sampler.sample)
            self._bridge.post(MonitorSample(machine, await self._ask_engine()))
            due = max(due + _PERIOD_SECONDS, clock())
            await asyncio.sleep(due - clock())

    async def _ask_engine(self) -> EngineRates | None:
        try:
            return await self._rates()
        except M1DeskError as error:  # it may be starting, stopping, or dying: others tell that
            _log.debug("the engine's figures could not be read: %s", error)
            return None

    def _on_events(self, events: tuple[object, ...]) -> None:
        for event in events:
            if isinstance(event, MonitorSample):
                self._take(event)

    def _take(self, sample: MonitorSample) -> None:
        self._latest = sample
        now = sample.machine.monotonic
        for figure, value in _figures(sample):
            if value is not None:
                self.history(figure).add(now, value)
        self.sampled.emit(sample)


def _figures(sample: MonitorSample) -> Iterable[tuple[str, float | None]]:
    engine = sample.engine
    yield "prefill", engine.prefill_tokens_per_second if engine else 0.0
    yield "decode", engine.decode_tokens_per_second if engine else 0.0
    yield "kv", 100 * engine.kv_fraction if engine and engine.kv_fraction is not None else 0.0
    yield "cpu", sample.machine.cpu_percent
    yield "ram", sample.machine.ram_used_bytes
    for device in sample.machine.devices:
        yield from _device_figures(device)


def _device_figures(device: DeviceSample) -> Iterable[tuple[str, float | None]]:
    yield f"vram:{device.id}", device.used_bytes
    yield f"load:{device.id}", device.utilisation_percent
    yield f"power:{device.id}", device.power_watts
    yield f"temperature:{device.id}", device.temperature_celsius
