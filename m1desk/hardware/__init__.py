"""What the machine has and how busy it is: `probe_machine`, `Sampler`, and the values they give."""

from __future__ import annotations

from m1desk.hardware.machine import (
    Accelerator,
    Cpu,
    DeviceSample,
    Disk,
    EngineDevice,
    Link,
    Machine,
    OperatingSystem,
    PcieLink,
    Ram,
    Sample,
)
from m1desk.hardware.memory import Measurements
from m1desk.hardware.power import Energy, PowerMeter, PowerSource
from m1desk.hardware.probe import probe_machine
from m1desk.hardware.report import machine_to_json, machine_to_text
from m1desk.hardware.sampler import Sampler, process_memory
from m1desk.hardware.sources import Sources

__all__ = [
    "Accelerator",
    "Cpu",
    "DeviceSample",
    "Disk",
    "Energy",
    "EngineDevice",
    "Link",
    "Machine",
    "Measurements",
    "OperatingSystem",
    "PcieLink",
    "PowerMeter",
    "PowerSource",
    "Ram",
    "Sample",
    "Sampler",
    "Sources",
    "machine_to_json",
    "machine_to_text",
    "probe_machine",
    "process_memory",
]
