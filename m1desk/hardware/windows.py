"""Windows, where only NVIDIA's cards have a probe so far; the engine describes the others."""

from __future__ import annotations

from typing import Final

from m1desk.hardware.machine import DeviceReading
from m1desk.hardware.vendor import Findings

_NOTE: Final = (
    "On Windows, GPUs of AMD and Intel are described by the engine alone; "
    "their load, power and temperature are not shown."
)


class WindowsProbe:
    """Says what Windows doesn't let us read yet.

    The size and use of the memory of AMD's and Intel's cards would come from DXGI's
    QueryVideoMemoryInfo. Win32_VideoController.AdapterRAM, which is easier to ask, never says more
    than 4 GiB, so it is not asked.
    """

    vendor = "Windows"

    def find(self) -> Findings:
        """No device, and a note that says what is missing."""
        return Findings(notes=(_NOTE,))

    def read(self, device_id: str) -> DeviceReading:  # noqa: ARG002 - there are none
        """Nothing."""
        return DeviceReading()

    def close(self) -> None:
        """Nothing is held."""
