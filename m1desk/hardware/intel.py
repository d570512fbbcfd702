"""Intel's accelerators on Linux, from what the kernel's i915 and xe drivers write under /sys."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from m1desk.hardware.chips import intel_bandwidth
from m1desk.hardware.machine import DeviceReading, VendorDevice
from m1desk.hardware.sysfs import PciDevice, pci_devices, pci_name, read_number
from m1desk.hardware.vendor import Findings

_VENDOR_ID: Final = 0x8086
_DISCRETE: Final = frozenset(
    {0x56A0, 0x56A1, 0x56A5, 0x56A6, 0x56B0, 0x56B1, 0x56C0, 0x56C1, 0xE20B, 0xE20C, 0xE211, 0xE212}
)
"""Arc A and B, Arc Pro, Flex: cards whose driver may not say how much memory they have."""

_PACKAGE_SENSORS: Final = ("temp2_input", "temp1_input")  # xe's, i915's


class IntelProbe:
    """Arc cards and integrated graphics.

    The drivers tell little: the size of a card's memory on some versions, its degrees, and a
    counter of energy that watts are made from. Free memory and load are the engine's to tell, or
    nobody's.
    """

    vendor = "Intel"

    def __init__(self, root: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._root = root
        self._clock = clock
        self._found: dict[str, PciDevice] = {}
        self._energy: dict[str, tuple[float, int]] = {}

    def find(self) -> Findings:
        """All cards and integrated GPUs; one without a driver is a note."""
        devices, notes = [], []
        for card in pci_devices(self._root, _VENDOR_ID):
            driver = (card.folder / "driver").resolve().name if _has_driver(card) else ""
            if not driver:
                notes.append(f"An Intel GPU (at {card.pci_id}) is here but no driver runs it.")
                continue
            self._found[card.pci_id] = card
            devices.append(self._describe(card, driver))
        return Findings(tuple(devices), notes=tuple(notes))

    def read(self, device_id: str) -> DeviceReading:
        """Watts (from the second reading on), degrees, the PCIe link, if they are told."""
        card = self._found.get(device_id)
        if card is None or card.is_asleep:
            return DeviceReading()
        degrees = (read_number(card.hwmon() / name) for name in _PACKAGE_SENSORS)
        milli_celsius = next((value for value in degrees if value is not None), None)
        return DeviceReading(
            total_bytes=_local_memory(card),
            power_watts=self._watts(card),
            temperature_celsius=None if milli_celsius is None else milli_celsius / 1000,
            pcie=card.pcie_link() if _is_discrete(card) else None,
        )

    def close(self) -> None:
        """Nothing is held."""

    def _describe(self, card: PciDevice, driver: str) -> VendorDevice:
        memory, discrete = _local_memory(card), _is_discrete(card)
        limit = read_number(card.hwmon() / "power1_max")
        return VendorDevice(
            id=card.pci_id,
            vendor="intel",
            name=pci_name(self._root, _VENDOR_ID, card.device) or f"Intel GPU {card.device:04x}",
            unified=not discrete,
            pci_id=card.pci_id,
            total_bytes=memory,
            bandwidth_bytes_per_second=intel_bandwidth(card.device),
            driver=driver,
            pcie=card.pcie_link() if discrete else None,
            power_limit_watts=limit / 1e6 if limit else None,
        )

    def _watts(self, card: PciDevice) -> float | None:
        """Energy used (microjoules, an ever growing counter) since the reading before, by time."""
        energy, now = read_number(card.hwmon() / "energy1_input"), self._clock()
        if energy is None:
            return None
        before = self._energy.get(card.pci_id)
        self._energy[card.pci_id] = (now, energy)
        if before is None or now <= before[0] or energy < before[1]:
            return None
        return (energy - before[1]) / 1e6 / (now - before[0])


def _is_discrete(card: PciDevice) -> bool:
    return card.device in _DISCRETE or _local_memory(card) is not None


def _has_driver(card: PciDevice) -> bool:
    return bool(card.drm_cards()) and (card.folder / "driver").exists()


def _local_memory(card: PciDevice) -> int | None:
    """The card's own memory (bytes): xe tells it by tile, Intel's i915 package by card."""
    tiles = (read_number(path) for path in card.folder.glob("tile*/physical_vram_size_bytes"))
    total = sum(size for size in tiles if size)
    if total:
        return total
    sizes = (read_number(folder / "lmem_total_bytes") for folder in card.drm_cards())
    return next((size for size in sizes if size), None)
