"""How busy the machine is, once a second or so; and the memory of a tree of processes."""

from __future__ import annotations

import threading
import time
from types import TracebackType

import psutil

from m1desk.hardware.machine import (
    Accelerator,
    DeviceReading,
    DeviceSample,
    Machine,
    Ram,
    Sample,
)
from m1desk.hardware.memory import read_ram
from m1desk.hardware.probes import find_safely, probes_for
from m1desk.hardware.sources import Sources
from m1desk.hardware.vendor import VendorProbe


class Sampler:
    """Takes samples of a machine; close it, or use it as a context manager.

    Made in no time and usable from any thread, one sample at a time. The vendors' libraries are
    opened by the first sample, which takes longer than the others.
    """

    def __init__(self, machine: Machine, sources: Sources | None = None) -> None:
        self._devices = machine.accelerators
        self._sources = sources or Sources.of_this_machine()
        vendors = {device.vendor for device in machine.accelerators}
        self._probes: dict[str, VendorProbe] = {
            probe.vendor.lower(): probe
            for probe in probes_for(self._sources, machine.ram.total_bytes)
            if probe.vendor.lower() in vendors
        }
        self._lock = threading.Lock()
        self._opened = False
        self._cpu = _cpu_seconds()

    def __enter__(self) -> Sampler:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def sample(self) -> Sample:
        """The machine now. What can't be read is None; nothing is raised for it."""
        with self._lock:
            self._open()
            ram = read_ram(self._sources)
            return Sample(
                monotonic=time.monotonic(),
                time=time.time(),
                cpu_percent=self._cpu_percent(),
                ram_used_bytes=max(0, ram.usable_bytes - ram.available_bytes),
                ram_total_bytes=ram.usable_bytes,
                devices=tuple(self._device(device, ram) for device in self._devices),
            )

    def close(self) -> None:
        """Gives back what the vendors' libraries hold; a later sample opens them again."""
        with self._lock:
            for probe in self._probes.values():
                probe.close()
            self._opened = False

    def _open(self) -> None:
        if not self._opened:
            self._opened = True
            for probe in self._probes.values():
                find_safely(probe)

    def _device(self, device: Accelerator, ram: Ram) -> DeviceSample:
        reading = self._read(device)
        used, total = reading.used_bytes, reading.total_bytes
        if device.unified:
            used, total = max(0, ram.usable_bytes - ram.available_bytes), ram.usable_bytes
        return DeviceSample(
            id=device.id,
            name=device.name,
            used_bytes=used,
            total_bytes=device.total_bytes if total is None else total,
            utilisation_percent=reading.utilisation_percent,
            power_watts=reading.power_watts,
            temperature_celsius=reading.temperature_celsius,
            pcie=reading.pcie,
        )

    def _read(self, device: Accelerator) -> DeviceReading:
        probe = self._probes.get(device.vendor)
        if probe is None:
            return DeviceReading()
        try:
            return probe.read(device.id)
        except Exception:  # noqa: BLE001 - a card that falls off the bus must not end the monitor
            return DeviceReading()

    def _cpu_percent(self) -> float | None:
        """Own arithmetic: psutil keeps the numbers before by thread, and any may call here."""
        (busy, total), (busy_before, total_before) = _cpu_seconds(), self._cpu
        if total <= total_before:
            return None
        self._cpu = busy, total
        share = (busy - busy_before) / (total - total_before)
        return min(100.0, max(0.0, 100 * share))


def process_memory(pid: int) -> int:
    """Resident memory (bytes) of a process and all its descendants; 0 when it is gone.

    A model file that is mapped counts as far as it is in memory. Pages that several of the
    processes share count once for each.
    """
    try:
        parent = psutil.Process(pid)
        family = [parent, *parent.children(recursive=True)]
    except psutil.Error:
        return 0
    return sum(_resident(process) for process in family)


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def _cpu_seconds() -> tuple[float, float]:
    """Busy and total processor seconds since the start of the machine."""
    times = psutil.cpu_times()._asdict()
    # Linux counts the time of guests in user and nice already.
    total = sum(times.values()) - times.get("guest", 0.0) - times.get("guest_nice", 0.0)
    return total - times["idle"] - times.get("iowait", 0.0), total
