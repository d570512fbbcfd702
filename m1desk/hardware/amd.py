"""AMD's accelerators on Linux, from what the kernel's amdgpu driver writes under /sys."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from m1desk.hardware.chips import amd_bandwidth
from m1desk.hardware.machine import DeviceReading, VendorDevice
from m1desk.hardware.sysfs import PciDevice, pci_devices, pci_name, read_number, read_text
from m1desk.hardware.vendor import Findings

_VENDOR_ID: Final = 0x1002
_GIB: Final = 1 << 30
_PAGE: Final = 4096
_MI300A: Final = 0x74A0  # the one APU without a "vddnb" sensor


class AmdProbe:
    """Cards and APUs: VRAM, GTT (RAM the GPU may map), load, watts, degrees.

    Args:
        root: the folder that holds /sys.
        ram_total_bytes: the RAM the kernel manages; it judges what an APU can really map.
    """

    vendor = "AMD"

    def __init__(self, root: Path, ram_total_bytes: int) -> None:
        self._root = root
        self._ram = ram_total_bytes
        self._found: dict[str, PciDevice] = {}

    def find(self) -> Findings:
        """All cards that the amdgpu driver runs; one it doesn't run is a note."""
        devices, notes = [], []
        for card in pci_devices(self._root, _VENDOR_ID):
            if read_number(card.folder / "mem_info_vram_total") is None:
                notes.append(f"An AMD GPU (at {card.pci_id}) is here but the amdgpu driver is not.")
                continue
            self._found[card.pci_id] = card
            devices.append(self._describe(card))
            notes.extend(self._contradictions(card))
        return Findings(tuple(devices), notes=tuple(notes))

    def read(self, device_id: str) -> DeviceReading:
        """Of an APU the memory is left to the machine's RAM; a sleeping card is left asleep."""
        card = self._found.get(device_id)
        if card is None or card.is_asleep:
            return DeviceReading()
        apu = _is_apu(card)
        busy = read_number(card.folder / "gpu_busy_percent")
        milli_celsius = read_number(card.hwmon() / "temp1_input")
        return DeviceReading(
            used_bytes=None if apu else read_number(card.folder / "mem_info_vram_used"),
            total_bytes=None if apu else read_number(card.folder / "mem_info_vram_total"),
            utilisation_percent=None if busy is None else float(busy),
            power_watts=_watts(card.hwmon(), "power1_average", "power1_input"),
            temperature_celsius=None if milli_celsius is None else milli_celsius / 1000,
            pcie=None if apu else card.pcie_link(),
        )

    def close(self) -> None:
        """Nothing is held."""

    def _describe(self, card: PciDevice) -> VendorDevice:
        apu = _is_apu(card)
        total = read_number(card.folder / "mem_info_vram_total") or 0
        free = max(0, total - (read_number(card.folder / "mem_info_vram_used") or 0))
        mappable = self._mappable(card) if apu else 0
        mapped = (read_number(card.folder / "mem_info_gtt_used") or 0) if apu else 0
        return VendorDevice(
            id=card.pci_id,
            vendor="amd",
            name=self._name(card),
            unified=apu,
            pci_id=card.pci_id,
            total_bytes=total + mappable,
            free_bytes=free + max(0, mappable - mapped),
            carve_out_bytes=total if apu else 0,
            carve_out_free_bytes=free if apu else 0,
            bandwidth_bytes_per_second=amd_bandwidth(card.device, card.revision),
            driver="amdgpu",
            pcie=None if apu else card.pcie_link(),
            power_limit_watts=_watts(card.hwmon(), "power1_cap"),
            hints=tuple(self._hints(card)) if apu else (),
        )

    def _mappable(self, card: PciDevice) -> int:
        """GTT of an APU, never more than the RAM there is."""
        return min(read_number(card.folder / "mem_info_gtt_total") or 0, self._ram)

    def _contradictions(self, card: PciDevice) -> Iterator[str]:
        claimed = read_number(card.folder / "mem_info_gtt_total") or 0
        if _is_apu(card) and claimed > self._ram:
            yield (
                f"The kernel says the GPU may map {claimed / _GIB:.1f} GiB of RAM, but there are "
                f"only {self._ram / _GIB:.1f} GiB; the smaller number counts."
            )

    def _hints(self, card: PciDevice) -> Iterator[str]:
        """By default the kernel lets an APU map half of the RAM; a big model wants more of it.

        Only chips fast enough to be worth it are spoken of; they are those of known bandwidth.
        """
        mappable = self._mappable(card)
        if amd_bandwidth(card.device, card.revision) is None:
            return
        wish = (self._ram - max(4 * _GIB, self._ram // 8)) // _GIB
        if self._ram < 16 * _GIB or mappable > 0.6 * self._ram or wish * _GIB <= mappable:
            return
        yield (
            f"The GPU may use {mappable / _GIB:.1f} of {self._ram / _GIB:.1f} GiB RAM. The kernel "
            f"parameter ttm.pages_limit={wish * _GIB // _PAGE} (or `amd-ttm --set {wish}`) and a "
            f"restart raise that to {wish} GiB."
        )

    def _name(self, card: PciDevice) -> str:
        """The card's own word, AMD's list of products, the list of PCI ids, or a plain name."""
        return (
            read_text(card.folder / "product_name")
            or _product(self._root / "usr/share/libdrm/amdgpu.ids", card)
            or pci_name(self._root, _VENDOR_ID, card.device)
            or f"AMD GPU {card.device:04x}"
        )


def _is_apu(card: PciDevice) -> bool:
    """Whether it shares the machine's RAM: only APUs have the northbridge's voltage sensor."""
    return card.device == _MI300A or read_text(card.hwmon() / "in1_label") == "vddnb"


def _watts(hwmon: Path, *names: str) -> float | None:
    for name in names:
        microwatts = read_number(hwmon / name)
        if microwatts is not None:
            return microwatts / 1e6
    return None


def _product(path: Path, card: PciDevice) -> str:
    """The name in libdrm's list, whose lines are "744C, C8, AMD Radeon RX 7900 XTX"."""
    for line in read_text(path).splitlines():
        parts = [part.strip() for part in line.split(",", 2)]
        if len(parts) == 3 and parts[:2] == [f"{card.device:04X}", f"{card.revision:02X}"]:
            return parts[2]
    return ""
