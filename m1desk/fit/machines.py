"""A machine as the planner sees it, real or imagined."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

HardwareClass = Literal[
    "nvidia", "nvidia_unified", "nvidia_datacenter", "amd", "amd_unified", "apple", "intel", "cpu"
]
"""Machines of a class share one efficiency in the speed model."""

_GIB: Final = 1 << 30
_GIGA: Final = 1e9
_MOST_RESERVE: Final = 8 * _GIB
_LEAST_RESERVE: Final = 1 * _GIB
_RESERVED_SHARE: Final = 0.05
_KEPT_OF_GPU: Final = 0.02
_UNKNOWN_DISK: Final = 2 * _GIGA


def system_reserve(ram_bytes: int) -> int:
    """Bytes of main memory to leave to the system: a twentieth, from 1 to 8 GiB."""
    return min(max(round(ram_bytes * _RESERVED_SHARE), _LEAST_RESERVE), _MOST_RESERVE)


def driver_reserve(gpu_bytes: int) -> int:
    """Bytes of a GPU's memory to leave to its driver: a fiftieth."""
    return round(gpu_bytes * _KEPT_OF_GPU)


@dataclass(frozen=True, slots=True)
class PlanDevice:
    """One accelerator.

    Attributes:
        total_bytes: what it can use as memory; of a unified one, the share of RAM it may take.
        used_bytes: what others hold of it.
        bandwidth: of its memory (bytes a second).
        flops: dense matrix products in half precision (operations a second), by specification.
        link_bandwidth: to main memory (bytes a second); of a unified one, without meaning.
        raisable_bytes: what `total_bytes` can be raised to by a setting; 0 where it can't.
        raise_hint: which setting that is.
        compute_capability: NVIDIA's, such as "8.9"; "" where unknown.
    """

    name: str
    hardware_class: HardwareClass
    total_bytes: int
    used_bytes: int
    bandwidth: float
    flops: float
    link_bandwidth: float = 25 * _GIGA
    raisable_bytes: int = 0
    raise_hint: str = ""
    power_watts: float | None = None
    compute_capability: str = ""

    @property
    def kept_bytes(self) -> int:
        """Left to the driver."""
        return driver_reserve(self.total_bytes)

    @property
    def usable_bytes(self) -> int:
        """What a model may take: without what others hold and what is left to the driver."""
        return max(0, self.total_bytes - self.used_bytes - self.kept_bytes)


@dataclass(frozen=True, slots=True)
class PlanMachine:
    """A machine, real or imagined. Sizes in bytes, speeds in bytes or operations a second.

    Attributes:
        id: what the command line calls it.
        unified: its accelerator computes in main memory.
        ram_used_bytes: what others hold.
        disk_bandwidth: of reading the model from its disk.
        disk_free_bytes: None where unknown.
        set_up: an imagined machine is thought to be set up for its purpose, so limits that a
            setting raises count as raised; this one is taken as it is.
        idle_watts, busy_watts, price_usd: None where unknown.
        sources: where the figures come from, in words.
    """

    id: str
    name: str
    unified: bool
    ram_total_bytes: int
    ram_used_bytes: int
    ram_bandwidth: float
    cpu_flops: float
    devices: tuple[PlanDevice, ...] = ()
    disk_bandwidth: float = _UNKNOWN_DISK
    disk_free_bytes: int | None = None
    idle_watts: float | None = None
    busy_watts: float | None = None
    price_usd: float | None = None
    set_up: bool = False
    sources: tuple[str, ...] = ()

    @property
    def reserve_bytes(self) -> int:
        """Main memory left to the system."""
        return system_reserve(self.ram_total_bytes)

    @property
    def ram_usable_bytes(self) -> int:
        """What a model may take of main memory."""
        return max(0, self.ram_total_bytes - self.ram_used_bytes - self.reserve_bytes)

    @property
    def hardware_class(self) -> HardwareClass:
        """The class of the accelerators; "cpu" without any."""
        return self.devices[0].hardware_class if self.devices else "cpu"
