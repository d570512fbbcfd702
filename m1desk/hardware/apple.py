"""Apple's chips, through macOS's kernel variables (sysctl)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from m1desk.hardware.chips import apple_bandwidth
from m1desk.hardware.machine import DeviceReading, VendorDevice
from m1desk.hardware.vendor import Findings

_ID: Final = "apple-gpu"
_MIB: Final = 1 << 20


class AppleProbe:
    """The GPU of an Apple chip; it computes in the machine's RAM.

    How much of it the GPU may use is the engine's to say (Metal's recommended working set); there
    is no fixed share. Only a limit that the owner set is known here.
    """

    vendor = "Apple"

    def __init__(self, sysctl: Callable[[str], str]) -> None:
        self._sysctl = sysctl

    def find(self) -> Findings:
        """One device on Apple silicon, none on a Mac with an Intel processor."""
        chip = self._sysctl("machdep.cpu.brand_string")
        if not chip.startswith("Apple"):
            return Findings()
        limit = _integer(self._sysctl("iogpu.wired_limit_mb"))
        device = VendorDevice(
            id=_ID,
            vendor="apple",
            name=chip,
            unified=True,
            total_bytes=limit * _MIB if limit else None,  # 0: macOS's own choice
            bandwidth_bytes_per_second=apple_bandwidth(
                chip, _integer(self._sysctl("hw.physicalcpu"))
            ),
            driver="Metal",
        )
        return Findings((device,))

    def read(self, device_id: str) -> DeviceReading:  # noqa: ARG002 - there is only one
        """Nothing: macOS shows load, watts and degrees to its administrators only."""
        return DeviceReading()

    def close(self) -> None:
        """Nothing is held."""


def _integer(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None
