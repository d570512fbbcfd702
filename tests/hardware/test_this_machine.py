"""The machine the tests run on, probed for real."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
from support.hardware_recordings import load, play

from m1desk.hardware import probe_machine
from m1desk.hardware.memory import measure_read_bandwidth


def test_this_machine_describes_itself(tmp_path: Path) -> None:
    machine = probe_machine([tmp_path])
    assert machine.cpu.model != "unknown processor"
    assert machine.cpu.logical_cores == psutil.cpu_count()
    assert 1 <= machine.cpu.usable_cores <= machine.cpu.logical_cores
    assert machine.cpu.instruction_sets
    assert machine.ram.total_bytes == psutil.virtual_memory().total
    assert 0 < machine.ram.available_bytes <= machine.ram.usable_bytes
    assert machine.ram.bandwidth_bytes_per_second is None
    assert [device.kind for device in machine.engine_devices].count("cpu") == 1
    assert machine.disks[0].folders == (str(tmp_path),)
    assert not any("engine's own list" in note for note in machine.notes)


def test_reading_memory_is_measured_in_plausible_numbers() -> None:
    assert 2e8 < measure_read_bandwidth(2, 64 << 20) < 5e13


def test_a_measured_bandwidth_is_remembered_for_the_same_machine_only(tmp_path: Path) -> None:
    class Memory(dict[str, Any]):
        put = dict.__setitem__

    recording, memory = load("no_gpu"), Memory()
    recording["ram"]["available_bytes"] = 64 << 20
    sources = play(recording, tmp_path)
    first = probe_machine([], measure_bandwidth=True, measurements=memory, sources=sources)
    measured = first.ram.bandwidth_bytes_per_second
    assert measured is not None
    again = probe_machine([], measurements=memory, sources=sources)
    assert again.ram.bandwidth_bytes_per_second == measured
    recording["cores"] = [8, 8, 8]
    other = probe_machine([], measurements=memory, sources=play(recording, tmp_path / "other"))
    assert other.ram.bandwidth_bytes_per_second is None


@pytest.mark.parametrize(
    "module", ["numpy", "pynvml", "llama_cpp", "m1desk.llama_worker", "PySide6"]
)
def test_the_front_door_loads_nothing_heavy(module: str) -> None:
    code = f"import m1desk.hardware, sys; raise SystemExit({module!r} in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parents[2])
    assert done.returncode == 0
