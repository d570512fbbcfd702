"""The machine as JSON for scripts and as text for people."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from support.hardware_recordings import RECORDINGS, load, play

from m1desk.hardware import Machine, machine_to_json, machine_to_text, probe_machine


def probed(name: str, root: Path, folders: tuple[Path, ...] = ()) -> Machine:
    return probe_machine(folders, sources=play(load(name), root))


def keys(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value) | {key for entry in value.values() for key in keys(entry)}
    if isinstance(value, list | tuple):
        return {key for entry in value for key in keys(entry)}
    return set()


def test_every_key_is_documented_and_every_documented_key_is_there(tmp_path: Path) -> None:
    documented = set(re.findall(r"`([a-z_]+)`", machine_to_json.__doc__ or ""))
    data = keys(machine_to_json(probed("two_3090_nvlink", tmp_path, (tmp_path,))))
    assert data - documented == set()
    assert documented - data == set()


@pytest.mark.parametrize("name", sorted(path.stem for path in RECORDINGS.glob("*.json")))
def test_every_machine_survives_json(name: str, tmp_path: Path) -> None:
    machine = probed(name, tmp_path)
    data = json.loads(json.dumps(machine_to_json(machine), allow_nan=False))
    assert data["ram"]["usable_bytes"] == machine.ram.usable_bytes
    assert data["unified_memory"] == machine.has_unified_memory
    assert [entry["usable_by_engine"] for entry in data["accelerators"]] == [
        device.usable_by_engine for device in machine.accelerators
    ]


def test_a_person_reads_what_the_machine_has(tmp_path: Path) -> None:
    text = machine_to_text(probed("two_3090_nvlink", tmp_path, (tmp_path,)))
    assert "NVIDIA GeForce RTX 3090: the engine's CUDA0, Vulkan0, 23.6 GiB of its own" in text
    assert "936 GB/s" in text
    assert "PCIe 4 x16" in text
    assert "accelerator 1 and accelerator 2: 4 NVLinks, 56 GB/s each way" in text
    assert "free of" in text
    assert "Notes" not in text


def test_links_through_switches_are_called_so(tmp_path: Path) -> None:
    text = machine_to_text(probed("eight_h100", tmp_path))
    assert "accelerator 1 and accelerator 8: 18 NVLinks through switches, 478 GB/s each way" in text


def test_hints_and_notes_are_shown(tmp_path: Path) -> None:
    assert "amd-ttm" in machine_to_text(probed("strix_halo", tmp_path / "a"))
    text = machine_to_text(probed("broken_nvml", tmp_path / "b"))
    assert text.splitlines()[-1].startswith("Notes")
    assert "restart the machine" in text


def test_a_machine_without_gpu_reads_as_normal(tmp_path: Path) -> None:
    text = machine_to_text(probed("no_gpu", tmp_path))
    assert "AMD EPYC (2 cores, 2 threads)" in text
    assert "none: the engine computes on the processor" in text
