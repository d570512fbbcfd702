"""The protocol that every vendor's probe speaks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from m1desk.hardware.machine import DeviceReading, Link, VendorDevice


@dataclass(frozen=True, slots=True)
class Findings:
    """What a vendor's probe found; `notes` are one-line complaints about what it could not read."""

    devices: tuple[VendorDevice, ...] = ()
    links: tuple[Link, ...] = ()
    notes: tuple[str, ...] = ()


class VendorProbe(Protocol):
    """Describes one vendor's accelerators.

    A machine without any is normal: `find` answers with nothing and says nothing. What can't be
    read is None in the answer; an exception out of `find` or `read` is a fault that the caller
    turns into a note.
    """

    @property
    def vendor(self) -> str:
        """The vendor's name as it is written in notes."""

    def find(self) -> Findings:
        """All accelerators of the vendor."""

    def read(self, device_id: str) -> DeviceReading:
        """The device as it is now, cheap enough for once a second; an id that `find` gave."""

    def close(self) -> None:
        """Gives back what the vendor's library holds; the probe can be used again after."""
