"""A machine for scripts (JSON) and for people (text)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, Final

from m1desk.hardware.machine import Accelerator, Disk, Link, Machine

_WIDTH: Final = 14
_GIB: Final = 1 << 30


def machine_to_json(machine: Machine) -> dict[str, Any]:
    """The machine as plain data, ready for `json.dumps`. Keys are stable; null means unknown.

    Sizes (`..._bytes`) are bytes, bandwidths (`..._bytes_per_second`) bytes per second.

    - `system`: `platform`, `name`, `kernel`, `architecture`, `container` ("" for none).
    - `cpu`: `model`, `physical_cores`, `logical_cores`, `usable_cores`, `instruction_sets` (list).
    - `ram`: `total_bytes`, `available_bytes`, `usable_bytes` (total, or the limit if there is one),
      `limit_bytes`, `swap_total_bytes`, `swap_free_bytes`, `bandwidth_bytes_per_second`.
    - `unified_memory`: whether an accelerator the engine can use computes in the RAM.
    - `accelerators` (list): `id`, `vendor`, `name`, `kind` ("gpu" or "igpu"), `unified`,
      `total_bytes`, `free_bytes`, `usable_by_engine`, `engine_names` (list), `pci_id`,
      `bandwidth_bytes_per_second`, `driver`, `compute_capability`, `pcie` (null, or
      `max_generation`, `max_width`, `current_generation`, `current_width`),
      `power_limit_watts`, `part_of` (id of the card it is a slice of), `hints` (list).
    - `links` (list): `first`, `second` (ids), `kind`, `lanes`, `through_switches`,
      `bytes_per_second` (in one direction).
    - `disks` (list): `mount_point`, `device`, `file_system`, `total_bytes`, `free_bytes`,
      `file_size_limit_bytes`, `folders` (list).
    - `engine_devices` (list), the engine's own list, the CPU with the RAM's real figures: `name`,
      `description`, `kind`, `free_bytes`, `total_bytes`, `pci_id`, `backend`.
    - `notes` (list): what could not be found out, one line each.
    """
    data = asdict(machine)
    data["ram"]["usable_bytes"] = machine.ram.usable_bytes
    data["unified_memory"] = machine.has_unified_memory
    for entry, device in zip(data["accelerators"], machine.accelerators, strict=True):
        entry["usable_by_engine"] = device.usable_by_engine
    return data


def machine_to_text(machine: Machine) -> str:
    """The machine as lines for a terminal, without a newline at the end."""
    lines = [
        *_row("System", _system(machine)),
        *_row("Processor", *_cpu(machine)),
        *_row("Memory", _ram(machine)),
        *_row("Accelerators", *_accelerators(machine)),
        *_row("Links", *(_link(machine, link) for link in machine.links)),
        *_row("Disks", *(_disk(disk) for disk in machine.disks)),
        *_row("Notes", *machine.notes),
    ]
    return "\n".join(lines)


def _row(title: str, *texts: str) -> Iterator[str]:
    for position, text in enumerate(texts):
        yield f"{'' if position else title:<{_WIDTH}}{text}"


def _system(machine: Machine) -> str:
    system = machine.system
    inside = f", inside {system.container}" if system.container else ""
    return f"{system.name}, kernel {system.kernel}, {system.architecture}{inside}"


def _cpu(machine: Machine) -> Iterator[str]:
    cpu = machine.cpu
    cores = f"{cpu.logical_cores} threads"
    if cpu.physical_cores is not None:
        cores = f"{cpu.physical_cores} cores, {cores}"
    if cpu.usable_cores < cpu.logical_cores:
        cores += f", {cpu.usable_cores} of them ours"
    yield f"{cpu.model} ({cores})"
    if cpu.instruction_sets:
        yield " ".join(cpu.instruction_sets)


def _ram(machine: Machine) -> str:
    ram = machine.ram
    text = f"{_size(ram.total_bytes)}, {_size(ram.available_bytes)} available"
    if ram.limit_bytes is not None:
        text += f", limited to {_size(ram.limit_bytes)} by a control group"
    if ram.bandwidth_bytes_per_second is not None:
        text += f", read at {_speed(ram.bandwidth_bytes_per_second)}"
    return text


def _accelerators(machine: Machine) -> Iterator[str]:
    if not machine.accelerators:
        yield "none: the engine computes on the processor"
    for device in machine.accelerators:
        yield f"{device.name}: {', '.join(_qualities(device))}"
        yield from (f"  {hint}" for hint in device.hints)


def _qualities(device: Accelerator) -> Iterator[str]:
    names = ", ".join(device.engine_names)
    yield f"the engine's {names}" if names else "not used by the engine"
    if device.total_bytes is not None:
        kind = "shared with the system" if device.unified else "of its own"
        yield f"{_size(device.total_bytes)} {kind}"
    if device.free_bytes is not None:
        yield f"{_size(device.free_bytes)} free"
    if device.bandwidth_bytes_per_second is not None:
        yield _speed(device.bandwidth_bytes_per_second)
    if device.pcie and device.pcie.max_generation and device.pcie.max_width:
        yield f"PCIe {device.pcie.max_generation} x{device.pcie.max_width}"
    if device.compute_capability:
        yield f"compute capability {device.compute_capability}"
    if device.driver:
        yield f"driver {device.driver}"


def _link(machine: Machine, link: Link) -> str:
    places = {device.id: place for place, device in enumerate(machine.accelerators, start=1)}
    ends = [
        f"accelerator {places[end]}" if end in places else end for end in (link.first, link.second)
    ]
    how = f"{link.lanes} NVLinks" if link.kind == "nvlink" else link.kind.replace("_", " ")
    if link.through_switches:
        how += " through switches"
    if link.bytes_per_second is not None:
        how += f", {_speed(link.bytes_per_second)} each way"
    return f"{ends[0]} and {ends[1]}: {how}"


def _disk(disk: Disk) -> str:
    text = (
        f"{disk.mount_point} ({disk.file_system or 'unknown file system'}): "
        f"{_size(disk.free_bytes)} free of {_size(disk.total_bytes)}"
    )
    if disk.file_size_limit_bytes is not None:
        text += f", no file larger than {_size(disk.file_size_limit_bytes)}"
    return text


def _size(count: int) -> str:
    return f"{count / _GIB:.1f} GiB"


def _speed(bytes_per_second: float) -> str:
    return f"{bytes_per_second / 1e9:.0f} GB/s"
