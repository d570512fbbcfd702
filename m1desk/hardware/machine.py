"""What a machine has, as frozen values. Sizes are bytes, speeds bytes per second."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

DeviceKind = Literal["cpu", "gpu", "igpu", "accel", "meta", "unknown"]
"""The engine's own kinds: "igpu" computes in the machine's RAM, "accel" helps the CPU (BLAS)."""

LinkKind = Literal[
    "nvlink", "same_board", "one_switch", "several_switches", "host_bridge", "same_node", "system"
]
"""How two accelerators reach each other, nearest first; "system" crosses processor sockets."""


@dataclass(frozen=True, slots=True)
class OperatingSystem:
    """What runs the machine.

    Attributes:
        platform: `sys.platform`: "linux", "darwin", "win32".
        name: as its maker writes it, with its version.
        kernel: release of the kernel.
        architecture: of the processor: "x86_64", "aarch64", "arm64" ...
        container: "docker", "podman", "kubernetes", "wsl" or "", what it runs inside of.
    """

    platform: str
    name: str
    kernel: str
    architecture: str
    container: str = ""


@dataclass(frozen=True, slots=True)
class Cpu:
    """The processor.

    Attributes:
        physical_cores: None where the system doesn't tell.
        logical_cores: hardware threads.
        usable_cores: logical cores this process may use (affinity, container quota), at least 1.
        instruction_sets: those that matter to the engine, in its spelling ("AVX2", "AVX512_VNNI",
            "DOTPROD").
    """

    model: str
    physical_cores: int | None
    logical_cores: int
    usable_cores: int
    instruction_sets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ram:
    """The machine's memory.

    Attributes:
        total_bytes: what the kernel manages.
        available_bytes: what can be used now without swapping, the limit below considered.
        limit_bytes: what a container or a control group allows, when that is less than the total.
        bandwidth_bytes_per_second: measured by a multithreaded read, None when never measured.
    """

    total_bytes: int
    available_bytes: int
    swap_total_bytes: int = 0
    swap_free_bytes: int = 0
    limit_bytes: int | None = None
    bandwidth_bytes_per_second: float | None = None

    @property
    def usable_bytes(self) -> int:
        """The total, or the limit if there is one."""
        return self.total_bytes if self.limit_bytes is None else self.limit_bytes


@dataclass(frozen=True, slots=True)
class EngineDevice:
    """One device as llama.cpp enumerates it.

    Attributes:
        name: the engine's handle for it: "CPU", "CUDA0", "Vulkan0".
        pci_id: "0000:01:00.0", or "" where the engine doesn't know.
        backend: the engine's backend that drives it: "CPU", "CUDA", "Vulkan".
    """

    name: str
    description: str
    kind: DeviceKind
    free_bytes: int
    total_bytes: int
    pci_id: str = ""
    backend: str = ""


@dataclass(frozen=True, slots=True)
class EngineView:
    """The engine's own account of the machine; `note` says in one line why there is none."""

    devices: tuple[EngineDevice, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class PcieLink:
    """A card's PCIe link. The current one only means something under load: idle cards slow it."""

    max_generation: int | None = None
    max_width: int | None = None
    current_generation: int | None = None
    current_width: int | None = None


@dataclass(frozen=True, slots=True)
class VendorDevice:
    """One accelerator as its vendor's probe describes it; None where it doesn't say.

    Attributes:
        id: stable between starts: the UUID, the PCI id, or a fixed word.
        unified: computes in the machine's RAM.
        total_bytes, free_bytes: what it can use as memory: its own, and RAM as far as its driver
            limits that; None where only the machine's RAM is the limit.
        carve_out_bytes: RAM that firmware gave the device for good; the machine's total lacks it.
        carve_out_free_bytes: the part of it nobody uses now.
        bandwidth_bytes_per_second: of its memory, by specification, not measured.
        part_of: for a slice of a card (MIG), the card's id.
        hints: what the owner can change to get more out of it, in whole sentences.
    """

    id: str
    vendor: str
    name: str
    unified: bool = False
    pci_id: str = ""
    total_bytes: int | None = None
    free_bytes: int | None = None
    carve_out_bytes: int = 0
    carve_out_free_bytes: int = 0
    bandwidth_bytes_per_second: float | None = None
    driver: str = ""
    compute_capability: str = ""
    pcie: PcieLink | None = None
    power_limit_watts: float | None = None
    part_of: str = ""
    hints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Accelerator:
    """An accelerator: the engine's view of it, corrected and explained by its vendor's probe.

    Attributes:
        id: stable between starts; `DeviceSample.id` is the same.
        kind: "gpu" with memory of its own or "igpu" in the machine's RAM, by the engine's word.
        unified: its memory is (part of) the machine's RAM: what it takes, the rest loses.
        total_bytes, free_bytes: what the engine can use; None when nobody knows.
        engine_names: the engine's handles ("CUDA0", "Vulkan0"); empty when this build of the engine
            can't use it.
        part_of: for a slice of a card (MIG), the card's id.
        hints: what the owner can change to get more out of it, in whole sentences.
    """

    id: str
    vendor: str
    name: str
    kind: DeviceKind
    unified: bool
    total_bytes: int | None
    free_bytes: int | None
    engine_names: tuple[str, ...] = ()
    pci_id: str = ""
    bandwidth_bytes_per_second: float | None = None
    driver: str = ""
    compute_capability: str = ""
    pcie: PcieLink | None = None
    power_limit_watts: float | None = None
    part_of: str = ""
    hints: tuple[str, ...] = ()

    @property
    def usable_by_engine(self) -> bool:
        """Whether the engine that is installed can compute on it."""
        return bool(self.engine_names)


@dataclass(frozen=True, slots=True)
class Link:
    """How two accelerators (by id) reach each other.

    Attributes:
        lanes: NVLinks between the two, else 0; of cards behind switches all that each one has.
        through_switches: whether the NVLinks end at switches, which many cards share.
        bytes_per_second: what all lanes carry in one direction, by the driver; None if not said.
    """

    first: str
    second: str
    kind: LinkKind
    lanes: int = 0
    through_switches: bool = False
    bytes_per_second: float | None = None


@dataclass(frozen=True, slots=True)
class Disk:
    """A file system that holds folders of the app.

    Attributes:
        free_bytes: what this user may still write.
        file_size_limit_bytes: the largest file it can hold, when models pass that; else None.
        folders: which of the folders asked about lie on it.
    """

    mount_point: str
    device: str
    file_system: str
    total_bytes: int
    free_bytes: int
    file_size_limit_bytes: int | None = None
    folders: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Machine:
    """All that was found out; `notes` are one-line complaints of probes that failed."""

    system: OperatingSystem
    cpu: Cpu
    ram: Ram
    accelerators: tuple[Accelerator, ...] = ()
    links: tuple[Link, ...] = ()
    disks: tuple[Disk, ...] = ()
    engine_devices: tuple[EngineDevice, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def has_unified_memory(self) -> bool:
        """Whether an accelerator the engine can use computes in the machine's RAM."""
        return any(device.unified and device.usable_by_engine for device in self.accelerators)


@dataclass(frozen=True, slots=True)
class DeviceReading:
    """What a vendor's probe reads of a device at one moment; None where it is unreadable."""

    used_bytes: int | None = None
    total_bytes: int | None = None
    utilisation_percent: float | None = None
    power_watts: float | None = None
    temperature_celsius: float | None = None
    pcie: PcieLink | None = None


@dataclass(frozen=True, slots=True)
class DeviceSample:
    """An accelerator at one moment; `id` and `name` are those of `Accelerator`.

    A unified device's memory is the machine's: used and total are the RAM's.
    """

    id: str
    name: str
    used_bytes: int | None = None
    total_bytes: int | None = None
    utilisation_percent: float | None = None
    power_watts: float | None = None
    temperature_celsius: float | None = None
    pcie: PcieLink | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """The machine at one moment.

    Attributes:
        monotonic: seconds of the monotonic clock, for intervals.
        time: seconds since the epoch.
        cpu_percent: 0 to 100 over all cores since the sample before; None when no time passed.
    """

    monotonic: float
    time: float
    cpu_percent: float | None
    ram_used_bytes: int
    ram_total_bytes: int
    devices: tuple[DeviceSample, ...] = ()
