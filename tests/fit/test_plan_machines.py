"""Machines from files: those that come with the program and the user's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from m1desk.errors import BadInput
from m1desk.fit import load_machine, machine_from_json, machine_from_probe, preset_names
from m1desk.hardware import Accelerator, Cpu, Machine, OperatingSystem, Ram

GIB = 1 << 30
PLAIN = {"name": "mine", "ram_gib": 64, "ram_bandwidth_gb_s": 80, "cpu_tflops": 1}


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_is_complete_and_says_where_it_is_from(name: str) -> None:
    machine = load_machine(name)
    assert machine.sources
    assert machine.price_usd
    assert machine.busy_watts
    assert machine.ram_usable_bytes > 8 * GIB


def test_the_machines_people_ask_about_are_there() -> None:
    assert {
        "strix-halo-128", "dgx-spark", "mac-studio-m3-ultra-512", "rtx-5090-x1", "rtx-5090-x2",
        "rtx-5090-x4", "h100-x4", "h100-x8", "h200-x8", "h20-x8", "epyc-768-rtx-4090",
    } <= set(preset_names())  # fmt: skip


def test_a_file_of_ones_own_is_read(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    device = {
        "name": "RTX 3090", "hardware_class": "nvidia", "count": 2, "memory_gib": 24,
        "bandwidth_gb_s": 936, "half_precision_tflops": 142,
    }  # fmt: skip
    path.write_text(json.dumps({**PLAIN, "devices": [device]}))
    machine = load_machine(str(path))
    assert machine.id == "mine"
    assert [one.name for one in machine.devices] == ["RTX 3090 1", "RTX 3090 2"]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"ram_gib": -1}, "ram_gib"),
        ({"ram_gib": "much"}, "ram_gib"),
        ({"colour": "green"}, "colour"),
        ({"devices": [{"name": "GPU"}]}, "devices.0.memory_gib"),
    ],
)
def test_what_is_wrong_with_a_machine_is_named(change: dict[str, object], word: str) -> None:
    with pytest.raises(BadInput) as caught:
        machine_from_json("mine", {**PLAIN, **change})
    assert word in caught.value.why


def test_an_unknown_machine_is_answered_with_those_there_are() -> None:
    with pytest.raises(BadInput, match="no machine called") as caught:
        load_machine("cray-1")
    assert "dgx-spark" in caught.value.why


def test_a_file_that_is_no_json_is_said_to_be_so(tmp_path: Path) -> None:
    path = tmp_path / "broken.json"
    path.write_text("{")
    with pytest.raises(BadInput, match="can't be read"):
        load_machine(str(path))


def probed(*devices: Accelerator) -> Machine:
    return Machine(
        system=OperatingSystem("linux", "Linux", "6", "x86_64"),
        cpu=Cpu("a processor", 8, 16, 16),
        ram=Ram(64 * GIB, 40 * GIB, bandwidth_bytes_per_second=7e10),
        accelerators=devices,
    )


def test_this_machine_is_taken_as_it_is_now() -> None:
    card = Accelerator(
        "id", "nvidia", "NVIDIA GeForce RTX 4090", "gpu", unified=False,
        total_bytes=24 * GIB, free_bytes=20 * GIB, engine_names=("CUDA0",),
        compute_capability="8.9",
    )  # fmt: skip
    machine = machine_from_probe(probed(card))
    assert machine.ram_used_bytes == 24 * GIB
    assert machine.devices[0].used_bytes == 4 * GIB
    assert machine.devices[0].bandwidth == pytest.approx(1008e9)
    assert machine.devices[0].compute_capability == "8.9"
    assert not machine.set_up


def test_a_card_the_engine_can_not_use_does_not_count() -> None:
    card = Accelerator("id", "intel", "Arc", "gpu", False, 16 * GIB, 16 * GIB)
    machine = machine_from_probe(probed(card))
    assert machine.devices == ()
    assert machine.hardware_class == "cpu"


def test_a_unified_device_can_be_raised_to_the_machines_memory() -> None:
    halo = Accelerator(
        "id", "amd", "AMD Radeon 8060S", "igpu", unified=True, total_bytes=32 * GIB,
        free_bytes=32 * GIB, engine_names=("Vulkan0",), hints=("Raise ttm.pages_limit.",),
    )  # fmt: skip
    device = machine_from_probe(probed(halo)).devices[0]
    assert device.hardware_class == "amd_unified"
    assert device.raisable_bytes == 64 * GIB
    assert device.used_bytes == 0
