"""The machine this program runs on, as the planner sees it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from m1desk.fit.data import read_resource
from m1desk.fit.machines import HardwareClass, PlanDevice, PlanMachine
from m1desk.hardware import Accelerator, Machine

_GIGA: Final = 1e9
_TERA: Final = 1e12
_UNKNOWN_BANDWIDTH: Final = 40 * _GIGA
_UNKNOWN_CPU_FLOPS_A_CORE: Final = 0.03 * _TERA
_UNKNOWN_GPU_TFLOPS: Final = 10.0


def machine_from_probe(machine: Machine) -> PlanMachine:
    """The machine this program runs on, as it is now: what others hold is counted as used.

    A device whose bandwidth or speed nobody knows is given a cautious one by its chip's name.
    """
    ram = machine.ram
    usable = [device for device in machine.accelerators if device.usable_by_engine]
    bandwidth = ram.bandwidth_bytes_per_second or _UNKNOWN_BANDWIDTH
    frees = [disk.free_bytes for disk in machine.disks if "models" in " ".join(disk.folders)]
    return PlanMachine(
        id="this",
        name="this machine",
        unified=machine.has_unified_memory,
        ram_total_bytes=ram.usable_bytes,
        ram_used_bytes=max(0, ram.usable_bytes - ram.available_bytes),
        ram_bandwidth=bandwidth,
        cpu_flops=(machine.cpu.physical_cores or machine.cpu.usable_cores)
        * _UNKNOWN_CPU_FLOPS_A_CORE,
        devices=tuple(_probed(device, machine, bandwidth) for device in usable),
        disk_free_bytes=min(frees, default=None),
        sources=("probed on this machine",),
    )


def _probed(device: Accelerator, machine: Machine, ram_bandwidth: float) -> PlanDevice:
    chip = _chip(device.name)
    total = device.total_bytes or machine.ram.usable_bytes
    free = total if device.free_bytes is None else device.free_bytes
    # a unified device's memory is the machine's: what others hold is counted there, once
    used = 0 if device.unified else max(0, total - free)
    raisable = machine.ram.usable_bytes if device.unified and device.hints else 0
    return PlanDevice(
        name=device.name,
        hardware_class=chip.get("hardware_class") or _class_of(device),
        total_bytes=total,
        used_bytes=used,
        bandwidth=device.bandwidth_bytes_per_second
        or chip.get("bandwidth_gb_s", 0) * _GIGA
        or ram_bandwidth,
        flops=(chip.get("half_precision_tflops") or _UNKNOWN_GPU_TFLOPS) * _TERA,
        raisable_bytes=raisable if raisable > total else 0,
        raise_hint=" ".join(device.hints),
        power_watts=device.power_limit_watts,
        compute_capability=device.compute_capability,
    )


def _class_of(device: Accelerator) -> HardwareClass:
    vendor = device.vendor.lower()
    if "apple" in vendor:
        return "apple"
    if "nvidia" in vendor:
        return "nvidia_unified" if device.unified else "nvidia"
    if "amd" in vendor:
        return "amd_unified" if device.unified else "amd"
    return "intel"


def _chip(name: str) -> Mapping[str, Any]:
    """Facts of the chip whose name is the longest part of `name`; empty when none is."""
    chips: Mapping[str, Mapping[str, Any]] = read_resource("chips.json")["chips"]
    known = [chip for chip in chips if chip.lower() in name.lower()]
    return chips[max(known, key=len)] if known else {}
