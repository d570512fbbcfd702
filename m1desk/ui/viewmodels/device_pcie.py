"""The PCIe links of the accelerators in words, and whether one is slower than it could be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from m1desk.hardware import PcieLink

if TYPE_CHECKING:
    from m1desk.hardware import DeviceSample

_BUSY_PERCENT: Final = 50.0
_BUSY_SAMPLES: Final = 5
"""A link is judged after so many seconds of work: idle cards slow theirs, and need a moment."""


class PcieWatch:
    """Judges each device's link from its samples, once a second."""

    def __init__(self) -> None:
        self._busy: dict[str, int] = {}
        self._slow: set[str] = set()

    def note(self, device: DeviceSample) -> None:
        """Take another sample. A slow link stays one until it is seen at its full generation."""
        link = device.pcie or PcieLink()
        busy = (device.utilisation_percent or 0) >= _BUSY_PERCENT
        self._busy[device.id] = self._busy.get(device.id, 0) + 1 if busy else 0
        if link.current_generation is None or link.max_generation is None:
            return
        if link.current_generation >= link.max_generation:
            self._slow.discard(device.id)
        elif self._busy[device.id] >= _BUSY_SAMPLES:
            self._slow.add(device.id)

    def hints(self, device: DeviceSample) -> tuple[str, ...]:
        """What is slower than it could be, in sentences; nothing of a link that does not say."""
        link = device.pcie or PcieLink()
        found = []
        if link.current_width and link.max_width and link.current_width < link.max_width:
            found.append(
                f"Its PCIe link uses {link.current_width} of {link.max_width} lanes, so models "
                "load slower: look at the slot, at a riser cable, and in the firmware's settings."
            )
        if device.id in self._slow:
            found.append(
                f"Its PCIe link stays at generation {link.current_generation} of "
                f"{link.max_generation} under load, so models load slower: look at the slot, at a "
                "riser cable, and in the firmware's settings."
            )
        return tuple(found)


def link_text(generation: int | None, width: int | None) -> str:
    """Write "gen 5 x16", or the half of it that is known, or ""."""
    halves = (
        f"gen {generation}" if generation is not None else "",
        f"x{width}" if width is not None else "",
    )
    return " ".join(half for half in halves if half)
