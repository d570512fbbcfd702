"""Finding out what the machine has: every probe asked once, the answers put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from m1desk.hardware.cpu import read_cpu
from m1desk.hardware.disks import read_disks
from m1desk.hardware.machine import Cpu, EngineDevice, EngineView, Machine, Ram
from m1desk.hardware.memory import (
    Measurements,
    measure_read_bandwidth,
    read_ram,
    remember_bandwidth,
    remembered_bandwidth,
)
from m1desk.hardware.merge import merge_accelerators
from m1desk.hardware.probes import find_safely, one_line, probes_for
from m1desk.hardware.sources import Sources
from m1desk.hardware.system import read_system
from m1desk.hardware.vendor import Findings


def probe_machine(
    folders: Sequence[Path],
    *,
    measure_bandwidth: bool = False,
    measurements: Measurements | None = None,
    sources: Sources | None = None,
) -> Machine:
    """What this machine has. Blocks: some 0.2 s without a GPU, seconds where drivers must wake up.

    A probe that fails leaves a line in `Machine.notes` and nothing else; nothing is raised for it.

    Args:
        folders: the folders whose disks are described; they need not exist.
        measure_bandwidth: whether to measure the RAM's bandwidth (a second) if it isn't remembered.
        measurements: where that figure is remembered; None measures each time it is asked for.
        sources: where to read from; this machine when left out.
    """
    sources = sources or Sources.of_this_machine()
    cpu, ram = read_cpu(sources), read_ram(sources)
    bandwidth, bandwidth_notes = _bandwidth(cpu, ram, measurements, measure=measure_bandwidth)
    ram = replace(ram, bandwidth_bytes_per_second=bandwidth)
    view = sources.ask_engine()
    found = _ask_vendors(sources, ram)
    disks, disk_notes = read_disks(folders)
    return Machine(
        system=read_system(sources),
        cpu=cpu,
        ram=ram,
        accelerators=merge_accelerators(view, found.devices, ram),
        links=found.links,
        disks=disks,
        engine_devices=_with_real_ram(view, ram),
        notes=tuple(filter(None, (view.note, *found.notes, *bandwidth_notes, *disk_notes))),
    )


def _ask_vendors(sources: Sources, ram: Ram) -> Findings:
    answers = []
    for probe in probes_for(sources, ram.total_bytes):
        answers.append(find_safely(probe))
        probe.close()
    return Findings(
        devices=tuple(device for answer in answers for device in answer.devices),
        links=tuple(link for answer in answers for link in answer.links),
        notes=tuple(note for answer in answers for note in answer.notes),
    )


def _bandwidth(
    cpu: Cpu, ram: Ram, measurements: Measurements | None, *, measure: bool
) -> tuple[float | None, tuple[str, ...]]:
    known = remembered_bandwidth(cpu, ram, measurements)
    if known is not None or not measure:
        return known, ()
    try:
        measured = measure_read_bandwidth(cpu.usable_cores, ram.available_bytes)
    except (ImportError, MemoryError) as error:
        return None, (f"The RAM's bandwidth could not be measured: {one_line(error)}",)
    if measurements is not None:
        remember_bandwidth(cpu, ram, measurements, measured)
    return measured, ()


def _with_real_ram(view: EngineView, ram: Ram) -> tuple[EngineDevice, ...]:
    """The engine calls all RAM free (on Linux) and knows of no container; the kernel does."""
    return tuple(
        replace(device, free_bytes=ram.available_bytes, total_bytes=ram.usable_bytes)
        if device.kind == "cpu"
        else device
        for device in view.devices
    )
