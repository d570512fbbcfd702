"""Reading the small text files of /sys and /proc, and the graphics cards listed there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from m1desk.hardware.machine import PcieLink

_DISPLAY_CLASS: Final = "0x03"  # VGA, 3D and other display controllers
_BRIDGE_CLASS: Final = "0x0604"  # PCI to PCI
_ACCELERATOR_CLASS: Final = "0x12"  # "processing accelerators": compute cards without an output

_GENERATION_BY_SPEED: Final = {
    "2.5": 1, "5.0": 2, "5": 2, "8.0": 3, "16.0": 4, "32.0": 5, "64.0": 6, "128.0": 7,
}  # fmt: skip


def read_text(path: Path) -> str:
    """The file's text without surrounding blanks, or "" when it can't be read.

    Drivers answer EPERM, EINVAL or EBUSY for what a device can't say now; that is no error here.
    """
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip().strip("\0")
    except OSError:
        return ""


def read_number(path: Path) -> int | None:
    """The integer in the file (decimal or 0x...), or None."""
    try:
        return int(read_text(path), 0)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class PciDevice:
    """A PCI device's folder under /sys, and who it is."""

    folder: Path
    pci_id: str
    vendor: int
    device: int
    revision: int
    class_code: str

    @property
    def is_display(self) -> bool:
        """Whether it is a graphics or compute card."""
        return self.class_code.startswith((_DISPLAY_CLASS, _ACCELERATOR_CLASS))

    @property
    def is_asleep(self) -> bool:
        """Whether the kernel powered it down; reading its sensors could wake it each second."""
        return read_text(self.folder / "power" / "runtime_status") == "suspended"

    def hwmon(self) -> Path:
        """The folder of its sensors; one that doesn't exist when there are none."""
        found = sorted((self.folder / "hwmon").glob("hwmon*"))
        return found[0] if found else self.folder / "hwmon" / "none"

    def drm_cards(self) -> tuple[Path, ...]:
        """Its folders as a graphics card (/sys/class/drm/card0 is a link to one)."""
        return tuple(sorted((self.folder / "drm").glob("card[0-9]*")))

    def pcie_link(self) -> PcieLink | None:
        """Its link to the machine, None when the kernel doesn't say."""
        end = self._end_at_the_slot()
        link = PcieLink(
            max_generation=_generation(end / "max_link_speed"),
            max_width=_width(end / "max_link_width"),
            current_generation=_generation(end / "current_link_speed"),
            current_width=_width(end / "current_link_width"),
        )
        return None if link == PcieLink() else link

    def _end_at_the_slot(self) -> Path:
        """The folder that tells of the slot's link.

        Many Radeon and Arc cards carry a PCIe switch of their own (two bridges of the card's
        vendor); the chip's own link then only leads to that switch, and Arc's says "1 x1" of it.
        """
        inner = self.folder.resolve().parent
        outer = inner.parent
        is_own_switch = all(
            read_number(bridge / "vendor") == self.vendor
            and read_text(bridge / "class").startswith(_BRIDGE_CLASS)
            for bridge in (inner, outer)
        )
        return outer if is_own_switch else self.folder


def pci_devices(root: Path, vendor: int) -> Iterator[PciDevice]:
    """The graphics and compute cards of one vendor, in the order of their PCI ids."""
    for folder in sorted((root / "sys" / "bus" / "pci" / "devices").glob("*")):
        if read_number(folder / "vendor") != vendor:
            continue
        device = PciDevice(
            folder=folder,
            pci_id=folder.name.lower(),
            vendor=vendor,
            device=read_number(folder / "device") or 0,
            revision=read_number(folder / "revision") or 0,
            class_code=read_text(folder / "class"),
        )
        if device.is_display:
            yield device


def pci_name(root: Path, vendor: int, device: int) -> str:
    """The device's name in the system's list of PCI ids, or "" when there is no list or entry."""
    for place in ("usr/share/misc/pci.ids", "usr/share/hwdata/pci.ids"):
        name = _search_ids(root / place, f"{vendor:04x}", f"{device:04x}")
        if name:
            return name
    return ""


def _search_ids(path: Path, vendor: str, device: str) -> str:
    inside = False
    for line in read_text(path).splitlines():
        if not line.startswith(("\t", "#")):
            inside = line.startswith(f"{vendor}  ")
        elif inside and line.startswith(f"\t{device}  "):
            return line.split("  ", 1)[1].strip()
    return ""


def _generation(path: Path) -> int | None:
    """PCIe generation of "16.0 GT/s PCIe"."""
    return _GENERATION_BY_SPEED.get(read_text(path).split(" ")[0])


def _width(path: Path) -> int | None:
    width = read_number(path)
    return width if width and width < 255 else None  # 255 and 0 stand for unknown
