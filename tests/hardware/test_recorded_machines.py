"""What is said of machines of every kind, from recordings of what their drivers answer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.hardware_recordings import RECORDINGS, load, play, write_tree

from m1desk.hardware import Accelerator, Machine, PcieLink, probe_machine

GIB = 1 << 30


def probed(recording: str | dict[str, Any], root: Path) -> Machine:
    content = load(recording) if isinstance(recording, str) else recording
    return probe_machine([], sources=play(content, root))


def only(machine: Machine) -> Accelerator:
    (device,) = machine.accelerators
    return device


def test_a_gaming_card_has_its_own_memory_and_its_bandwidth_is_computed(tmp_path: Path) -> None:
    machine = probed("rtx_4090", tmp_path)
    card = only(machine)
    assert (card.name, card.vendor, card.kind) == ("NVIDIA GeForce RTX 4090", "nvidia", "gpu")
    assert card.engine_names == ("CUDA0",)
    assert card.usable_by_engine
    assert not card.unified
    assert not machine.has_unified_memory
    # The engine's figures: what it can have, after the driver's own share.
    assert (card.total_bytes, card.free_bytes) == (25_249_710_080, 24_700_000_000)
    assert card.bandwidth_bytes_per_second == pytest.approx(1008e9, rel=1e-3)
    assert card.pci_id == "0000:01:00.0"
    assert card.compute_capability == "8.9"
    assert card.driver == "570.133.07"
    assert card.power_limit_watts == 450
    assert card.pcie is not None
    assert (card.pcie.max_generation, card.pcie.max_width) == (4, 16)
    assert machine.notes == ()


def test_two_backends_of_the_engine_do_not_double_the_cards(tmp_path: Path) -> None:
    machine = probed("two_3090_nvlink", tmp_path)
    assert [card.engine_names for card in machine.accelerators] == [
        ("CUDA0", "Vulkan0"),
        ("CUDA1", "Vulkan1"),
    ]
    assert {card.bandwidth_bytes_per_second for card in machine.accelerators} == {936.096e9}


def test_a_bridge_between_two_cards_is_seen_with_its_lanes(tmp_path: Path) -> None:
    (link,) = probed("two_3090_nvlink", tmp_path).links
    assert (link.first, link.second) == ("GPU-3090-a", "GPU-3090-b")
    assert (link.kind, link.lanes) == ("nvlink", 4)
    assert not link.through_switches
    assert link.bytes_per_second == 4 * 14_062e6


def test_two_cards_without_a_bridge_meet_where_the_topology_says(tmp_path: Path) -> None:
    recording = load("two_3090_nvlink")
    lanes = recording["nvml"]["nvmlDeviceGetNvLinkState"]
    lanes.update(dict.fromkeys(lanes, 0))
    (link,) = probed(recording, tmp_path).links
    assert (link.kind, link.lanes) == ("same_node", 0)


def test_cards_behind_switches_reach_each_other(tmp_path: Path) -> None:
    recording = load("two_3090_nvlink")
    kinds = recording["nvml"]["nvmlDeviceGetNvLinkRemoteDeviceType"]
    kinds.update(dict.fromkeys(kinds, 2))
    (link,) = probed(recording, tmp_path).links
    assert (link.kind, link.lanes) == ("nvlink", 4)
    assert link.through_switches


def test_eight_cards_behind_switches_all_reach_each_other(tmp_path: Path) -> None:
    machine = probed("eight_h100", tmp_path)
    assert len(machine.accelerators) == 8
    assert len(machine.links) == 28
    assert {(link.kind, link.lanes, link.through_switches) for link in machine.links} == {
        ("nvlink", 18, True)
    }
    assert {link.bytes_per_second for link in machine.links} == {18 * 26_562e6}


@pytest.mark.parametrize(
    "answer",
    [
        {"error": 3},
        [{"nvmlReturn": 3, "valueType": 1, "value": {"uiVal": 0}}],
        [{"nvmlReturn": 0, "valueType": 1, "value": {"uiVal": 0}}],
        [{"nvmlReturn": 0, "valueType": 0, "value": {"dVal": 1.5}}],
    ],
)
def test_a_speed_of_nvlink_that_is_not_said_is_not_made_up(tmp_path: Path, answer: Any) -> None:
    recording = load("two_3090_nvlink")
    recording["nvml"]["nvmlDeviceGetFieldValues"] = {"gpu0,[90]": answer}
    (link,) = probed(recording, tmp_path).links
    assert link.lanes == 4
    assert link.bytes_per_second is None


def test_cards_of_two_makers_stand_side_by_side(tmp_path: Path) -> None:
    machine = probed("mixed", tmp_path)
    assert [card.engine_names for card in machine.accelerators] == [("CUDA0",), ("CUDA1",), ()]
    radeon = machine.accelerators[2]
    assert (radeon.vendor, radeon.unified) == ("amd", True)
    (hint,) = radeon.hints
    assert "ROCm or Vulkan" in hint
    (link,) = machine.links
    assert link.kind == "host_bridge"


def test_cards_bridged_to_third_ones_are_not_linked_to_each_other(tmp_path: Path) -> None:
    recording = load("two_3090_nvlink")
    ends = recording["nvml"]["nvmlDeviceGetNvLinkRemotePciInfo"]
    ends.update({lane: {"busId": "00000000:99:00.0"} for lane in ends})
    (link,) = probed(recording, tmp_path).links
    assert link.kind == "same_node"


def test_a_dgx_spark_computes_in_the_machines_memory(tmp_path: Path) -> None:
    machine = probed("gb10", tmp_path)
    device = only(machine)
    assert device.unified
    assert device.kind == "igpu"
    assert machine.has_unified_memory
    assert device.total_bytes == machine.ram.total_bytes
    # The engine calls all of it free; other processes' memory is not.
    assert device.free_bytes == machine.ram.available_bytes == 112 * GIB
    assert device.bandwidth_bytes_per_second == 273e9
    assert device.compute_capability == "12.1"
    assert device.pci_id == "000f:01:00.0"


def test_a_lost_card_is_not_taken_for_unified_memory(tmp_path: Path) -> None:
    recording = load("rtx_4090")
    recording["engine"] = recording["engine"][1:]
    recording["nvml"]["nvmlDeviceGetMemoryInfo"]["gpu0"] = {"error": 15}
    device = only(probed(recording, tmp_path))
    assert not device.unified
    assert device.total_bytes is None


def test_slices_of_a_card_are_told_apart(tmp_path: Path) -> None:
    machine = probed("h100_mig", tmp_path)
    used, idle = machine.accelerators
    assert used.name.endswith("MIG 3g.40gb")
    assert used.engine_names == ("CUDA0",)
    assert used.total_bytes == 42_144_366_592
    assert used.part_of == idle.part_of == "GPU-h100"
    # Half of the card's memory has half of its 3.35 TB/s.
    assert used.bandwidth_bytes_per_second == pytest.approx(3352e9 / 2, rel=0.02)
    assert idle.name.endswith("MIG 2g.20gb")
    assert not idle.usable_by_engine
    assert any("one MIG instance" in hint for hint in idle.hints)


def test_a_card_in_mig_mode_without_instances_is_explained(tmp_path: Path) -> None:
    recording = load("h100_mig")
    recording["engine"] = recording["engine"][1:]
    recording["nvml"]["nvmlDeviceGetMaxMigDeviceCount"]["gpu0"] = 0
    (note,) = probed(recording, tmp_path).notes
    assert "MIG mode without an instance" in note


def test_strix_halo_has_more_than_its_carve_out_and_can_have_more_still(tmp_path: Path) -> None:
    machine = probed("strix_halo", tmp_path)
    device = only(machine)
    assert device.unified
    assert device.name == "Radeon 8060S Graphics"
    assert device.engine_names == ("Vulkan0",)
    assert device.total_bytes == 536_870_912 + 66_950_000_640
    assert device.bandwidth_bytes_per_second == 256e9
    (hint,) = device.hints
    wish = 109  # 133.9e9 bytes less an eighth, in whole GiB
    assert f"amd-ttm --set {wish}" in hint
    assert f"ttm.pages_limit={wish * GIB // 4096}" in hint
    assert machine.notes == ()


def test_strix_halo_with_little_free_memory_is_not_promised_more(tmp_path: Path) -> None:
    recording = load("strix_halo")
    recording["ram"]["available_bytes"] = 10 * GIB
    free = only(probed(recording, tmp_path)).free_bytes
    assert free == 10 * GIB + (536_870_912 - 134_217_728)


def test_a_large_carve_out_counts_though_the_kernels_memory_lacks_it(tmp_path: Path) -> None:
    recording = load("strix_halo")
    recording["ram"] = {"total_bytes": 31 * GIB, "available_bytes": 28 * GIB}
    folder = "sys/bus/pci/devices/0000:c5:00.0/"
    recording["files"][f"{folder}mem_info_vram_total"] = str(96 * GIB)
    recording["files"][f"{folder}mem_info_gtt_total"] = str(15 * GIB)
    recording["engine"][0].update(total_bytes=111 * GIB, free_bytes=110 * GIB)
    device = only(probed(recording, tmp_path))
    assert device.total_bytes == 111 * GIB
    assert device.free_bytes == 110 * GIB


def test_an_old_kernel_that_promises_more_than_there_is_is_corrected(tmp_path: Path) -> None:
    recording = load("strix_halo")
    recording["engine"] = recording["engine"][1:]
    folder = "sys/bus/pci/devices/0000:c5:00.0/"
    recording["files"][f"{folder}mem_info_gtt_total"] = str(200 * GIB)
    machine = probed(recording, tmp_path)
    assert only(machine).total_bytes == 133_900_000_000 + 536_870_912
    (note,) = machine.notes
    assert "200.0 GiB" in note


def test_a_radeon_card_is_named_and_measured(tmp_path: Path) -> None:
    card = only(probed("rx_7900", tmp_path))
    assert card.name == "Navi 31 [Radeon RX 7900 XT/7900 XTX]"
    assert not card.unified
    assert card.engine_names == ("ROCm0",)
    assert card.bandwidth_bytes_per_second == 960e9
    assert card.power_limit_watts == 339
    assert card.pcie is not None
    assert (card.pcie.max_generation, card.pcie.current_generation) == (4, 1)
    assert card.hints == ()


def test_the_slot_counts_where_a_card_has_a_switch_of_its_own(tmp_path: Path) -> None:
    """The chip of an Arc card calls its link to that switch "1 x1"."""
    recording = load("arc_a770")
    files = recording["files"]
    listed, real = "sys/bus/pci/devices/0000:03:00.0", "sys/devices/pci0000:00/0000:00:01.0"
    upstream, downstream = f"{real}/0000:01:00.0", f"{real}/0000:01:00.0/0000:02:01.0"
    for name in [name for name in files if name.startswith(f"{listed}/")]:
        files[name.replace(listed, f"{downstream}/0000:03:00.0")] = files.pop(name)
    for bridge in (upstream, downstream):
        files.update({f"{bridge}/vendor": "0x8086", f"{bridge}/class": "0x060400"})
    for end, speed, width in (("max", "16.0 GT/s PCIe", "16"), ("current", "8.0 GT/s PCIe", "4")):
        files.update({f"{upstream}/{end}_link_speed": speed, f"{upstream}/{end}_link_width": width})
        chip = f"{downstream}/0000:03:00.0/{end}_link"
        files.update({f"{chip}_speed": "2.5 GT/s PCIe", f"{chip}_width": "1"})
    recording["links"] = {
        link.replace(listed, f"{downstream}/0000:03:00.0"): driver
        for link, driver in recording["links"].items()
    }
    sources = play(recording, tmp_path)
    (tmp_path / "sys/bus/pci/devices").mkdir(parents=True, exist_ok=True)
    (tmp_path / listed).symlink_to(tmp_path / f"{downstream}/0000:03:00.0")
    card = next(d for d in probe_machine([], sources=sources).accelerators if "A770" in d.name)
    assert card.pcie == PcieLink(4, 16, 3, 4)


def test_a_radeon_without_its_driver_is_a_note(tmp_path: Path) -> None:
    recording = load("rx_7900")
    recording["engine"] = recording["engine"][1:]
    del recording["files"]["sys/bus/pci/devices/0000:03:00.0/mem_info_vram_total"]
    machine = probed(recording, tmp_path)
    assert machine.accelerators == ()
    (note,) = machine.notes
    assert "0000:03:00.0" in note
    assert "amdgpu" in note


def test_an_apple_chip_gives_the_engine_what_metal_recommends(tmp_path: Path) -> None:
    machine = probed("m3_ultra", tmp_path)
    device = only(machine)
    assert device.name == "Apple M3 Ultra"
    assert device.unified
    assert device.engine_names == ("MTL0",)
    assert device.total_bytes == 498_216_206_336
    assert device.free_bytes == 430 * GIB  # other programs use the rest
    assert device.bandwidth_bytes_per_second == 819e9
    assert machine.cpu.model == "Apple M3 Ultra"
    assert machine.cpu.instruction_sets == ("NEON", "DOTPROD", "MATMUL_INT8", "BF16")
    assert machine.system.name == "macOS 15.5"


def test_the_smaller_m4_max_is_the_slower_one(tmp_path: Path) -> None:
    recording = load("m3_ultra")
    recording["sysctl"].update({"machdep.cpu.brand_string": "Apple M4 Max", "hw.physicalcpu": "14"})
    recording["engine"][0]["description"] = "Apple M4 Max"
    assert only(probed(recording, tmp_path)).bandwidth_bytes_per_second == 410e9


def test_an_arc_card_and_integrated_graphics_side_by_side(tmp_path: Path) -> None:
    machine = probed("arc_a770", tmp_path)
    card, integrated = machine.accelerators
    assert card.name == "DG2 [Arc A770]"
    assert not card.unified
    assert card.total_bytes == 16_225_243_136
    assert card.bandwidth_bytes_per_second == 560e9
    assert card.driver == "xe"
    assert card.power_limit_watts == 190
    assert integrated.unified
    assert integrated.driver == "i915"
    assert integrated.free_bytes == machine.ram.available_bytes


def test_no_gpu_is_a_normal_machine(tmp_path: Path) -> None:
    machine = probed("no_gpu", tmp_path)
    assert machine.accelerators == ()
    assert machine.notes == ()
    assert machine.cpu.model == "AMD EPYC"
    assert {"AVX2", "AVX512_VNNI"} <= set(machine.cpu.instruction_sets)
    assert machine.system.name == "Debian GNU/Linux 12 (bookworm)"
    (cpu,) = machine.engine_devices
    assert cpu.free_bytes == machine.ram.available_bytes  # the engine would call all of it free


def test_a_driver_updated_under_a_running_system_is_explained(tmp_path: Path) -> None:
    machine = probed("broken_nvml", tmp_path)
    assert machine.accelerators == ()
    (note,) = machine.notes
    assert "GeForce RTX 4090" in note
    assert "restart" in note


def test_one_broken_probe_does_not_stop_the_others(tmp_path: Path) -> None:
    """An NVML that fails in a way nobody foresaw, beside a Radeon that works."""
    recording = load("rx_7900")
    recording["nvml"] = load("rtx_4090")["nvml"]
    recording["nvml"]["nvmlDeviceGetMemoryInfo"]["gpu0"] = {"total": "nonsense\nover two lines"}
    machine = probed(recording, tmp_path)
    assert only(machine).engine_names == ("ROCm0",)
    (note,) = machine.notes
    assert note.startswith("NVIDIA's devices could not be read")
    assert "\n" not in note


def test_a_missing_nvml_package_is_a_note(tmp_path: Path) -> None:
    def missing() -> Any:
        raise ImportError("No module named 'pynvml'")

    sources = play(load("rx_7900"), tmp_path)
    machine = probe_machine([], sources=replace(sources, load_nvml=missing))
    assert len(machine.accelerators) == 1
    assert "nvidia-ml-py" in machine.notes[0]


def test_a_card_the_engine_cannot_use_says_what_would(tmp_path: Path) -> None:
    recording = load("rtx_4090")
    recording["engine"] = recording["engine"][1:]
    card = only(probed(recording, tmp_path))
    assert not card.usable_by_engine
    assert card.total_bytes == 24564 << 20  # by NVML
    (hint,) = card.hints
    assert "CUDA or Vulkan" in hint


def test_cards_that_only_the_engine_knows_are_listed(tmp_path: Path) -> None:
    recording = load("rtx_4090")
    recording["platform"] = "win32"
    recording["nvml"] = {"nvmlInit": {"": {"error": 12}}}
    recording["engine"][0]["description"] = "AMD Radeon RX 7800 XT"
    machine = probed(recording, tmp_path)
    card = only(machine)
    assert (card.vendor, card.total_bytes) == ("amd", 25_249_710_080)
    assert any("Windows" in note for note in machine.notes)


def test_an_engine_without_pci_ids_is_matched_by_vendor_and_in_order(tmp_path: Path) -> None:
    recording = load("two_3090_nvlink")
    for device in recording["engine"]:
        device["pci_id"] = None
    machine = probed(recording, tmp_path)
    assert [card.id for card in machine.accelerators] == ["GPU-3090-a", "GPU-3090-b"]
    assert [len(card.engine_names) for card in machine.accelerators] == [2, 2]


def test_a_container_limits_what_a_unified_device_can_have(tmp_path: Path) -> None:
    recording = load("gb10")
    write_tree(
        tmp_path,
        {
            "proc/self/cgroup": "0::/",
            "proc/self/mountinfo": "1 0 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup rw",
            "sys/fs/cgroup/memory.max": str(32 * GIB),
            "sys/fs/cgroup/memory.current": str(2 * GIB),
        },
    )
    machine = probed(recording, tmp_path)
    assert machine.ram.limit_bytes == machine.ram.usable_bytes == 32 * GIB
    assert only(machine).total_bytes == 32 * GIB
    assert only(machine).free_bytes == 30 * GIB


@pytest.mark.parametrize("name", sorted(path.stem for path in RECORDINGS.glob("*.json")))
def test_every_recorded_machine_names_its_devices_uniquely(name: str, tmp_path: Path) -> None:
    devices = probed(name, tmp_path).accelerators
    assert len({device.id for device in devices}) == len(devices)
    assert all(device.name and device.vendor for device in devices)
