"""Live figures: what the monitor shows each second."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from support.hardware_recordings import load, play, write_tree

from m1desk.hardware import Machine, PcieLink, Sample, Sampler, probe_machine, process_memory
from m1desk.hardware.intel import IntelProbe


def test_this_machine_is_sampled() -> None:
    with Sampler(probe_machine([])) as sampler:
        before = sampler.sample()
        end = time.monotonic() + 0.2
        while time.monotonic() < end:
            sum(range(1000))
        sample = sampler.sample()
    assert sample.monotonic > before.monotonic
    assert abs(sample.time - time.time()) < 60
    assert sample.cpu_percent is not None
    assert 0 < sample.cpu_percent <= 100
    assert 0 < sample.ram_used_bytes < sample.ram_total_bytes <= psutil.virtual_memory().total


def test_every_thread_may_sample() -> None:
    samples: list[Sample] = []
    with Sampler(probe_machine([])) as sampler:
        threads = [
            threading.Thread(target=lambda: samples.append(sampler.sample())) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(samples) == 8


def recorded(name: str, root: Path) -> tuple[Machine, Sampler, dict[str, object]]:
    recording = load(name)
    sources = play(recording, root)
    machine = probe_machine([], sources=sources)
    return machine, Sampler(machine, sources), recording


def test_a_card_shows_memory_load_watts_and_degrees(tmp_path: Path) -> None:
    machine, sampler, _ = recorded("rtx_4090", tmp_path)
    (device,) = sampler.sample().devices
    assert device.id == machine.accelerators[0].id
    assert (device.used_bytes, device.total_bytes) == (512 << 20, 24564 << 20)
    assert (device.utilisation_percent, device.power_watts) == (3, 23.51)
    assert device.temperature_celsius == 38


def test_the_pcie_link_is_read_again_with_each_sample(tmp_path: Path) -> None:
    """An idle card slows it; what the probe saw at the start says nothing of the work."""
    recording = load("two_3090_nvlink")
    sources = play(recording, tmp_path)
    with Sampler(probe_machine([], sources=sources), sources) as sampler:
        assert sampler.sample().devices[1].pcie == PcieLink(4, 16, 1, 16)
        recording["nvml"]["nvmlDeviceGetCurrPcieLinkGeneration"]["gpu1"] = 4
        assert sampler.sample().devices[1].pcie == PcieLink(4, 16, 4, 16)
        for end in ("Max", "Curr"):
            del recording["nvml"][f"nvmlDeviceGet{end}PcieLinkGeneration"]
            del recording["nvml"][f"nvmlDeviceGet{end}PcieLinkWidth"]
        assert sampler.sample().devices[1].pcie is None


def test_a_card_that_disappears_leaves_blanks_not_an_error(tmp_path: Path) -> None:
    recording = load("rtx_4090")
    sources = play(recording, tmp_path)
    machine = probe_machine([], sources=sources)
    with Sampler(machine, sources) as sampler:
        assert sampler.sample().devices[0].used_bytes is not None
        lost = {"gpu0": {"error": 15}, "gpu0,0": {"error": 15}}
        for function in (
            "nvmlDeviceGetMemoryInfo",
            "nvmlDeviceGetUtilizationRates",
            "nvmlDeviceGetPowerUsage",
            "nvmlDeviceGetTemperatureV",
        ):
            recording["nvml"][function].update(lost)
        (device,) = sampler.sample().devices
    assert device.used_bytes is None
    assert device.power_watts is None
    assert device.temperature_celsius is None
    assert device.total_bytes == machine.accelerators[0].total_bytes


def test_a_library_that_fails_in_an_unknown_way_leaves_blanks(tmp_path: Path) -> None:
    recording = load("rtx_4090")
    sources = play(recording, tmp_path)
    with Sampler(probe_machine([], sources=sources), sources) as sampler:
        sampler.sample()
        recording["nvml"]["nvmlDeviceGetMemoryInfo"]["gpu0"] = "nonsense"
        assert sampler.sample().devices[0].used_bytes is None


def test_unified_memory_is_the_machines(tmp_path: Path) -> None:
    machine, sampler, _ = recorded("gb10", tmp_path)
    sample = sampler.sample()
    (device,) = sample.devices
    assert device.total_bytes == sample.ram_total_bytes == machine.ram.total_bytes
    assert device.used_bytes == sample.ram_used_bytes
    assert device.power_watts == 4.2


def test_a_slice_shows_its_own_memory_and_its_cards_heat(tmp_path: Path) -> None:
    _, sampler, _ = recorded("h100_mig", tmp_path)
    used, idle = sampler.sample().devices
    assert (used.used_bytes, idle.used_bytes) == (42 << 20, 46 << 20)
    assert used.power_watts == idle.power_watts == 71
    assert used.utilisation_percent is None


def test_a_radeon_card_and_an_apu(tmp_path: Path) -> None:
    _, sampler, _ = recorded("rx_7900", tmp_path / "card")
    (card,) = sampler.sample().devices
    assert (card.used_bytes, card.utilisation_percent) == (734_003_200, 12)
    assert (card.power_watts, card.temperature_celsius) == (38, 51)
    assert card.pcie == PcieLink(4, 16, 1, 16)
    machine, sampler, _ = recorded("strix_halo", tmp_path / "apu")
    (apu,) = sampler.sample().devices
    assert apu.total_bytes == machine.ram.total_bytes
    assert (apu.utilisation_percent, apu.temperature_celsius) == (7, 43)
    assert apu.pcie is None  # it is part of the processor


def test_a_sleeping_card_is_left_asleep(tmp_path: Path) -> None:
    _, sampler, _ = recorded("rx_7900", tmp_path)
    write_tree(tmp_path, {"sys/bus/pci/devices/0000:03:00.0/power/runtime_status": "suspended"})
    (card,) = sampler.sample().devices
    assert card.used_bytes is None
    assert card.temperature_celsius is None


def test_an_arc_cards_watts_come_from_its_energy_counter(tmp_path: Path) -> None:
    play(load("arc_a770"), tmp_path)
    now = [100.0]
    probe = IntelProbe(tmp_path, clock=lambda: now[0])
    probe.find()
    assert probe.read("0000:03:00.0").power_watts is None  # one reading of a counter says nothing
    now[0] += 2
    counter = "sys/bus/pci/devices/0000:03:00.0/hwmon/hwmon4/energy1_input"
    write_tree(tmp_path, {counter: str(5_000_000 + 90_000_000)})
    reading = probe.read("0000:03:00.0")
    assert reading.power_watts == pytest.approx(45)
    assert reading.temperature_celsius == 47
    assert reading.pcie == PcieLink(4, 16)
    assert probe.read("0000:00:02.0").pcie is None


def test_closing_gives_the_vendors_library_back_and_a_later_sample_opens_it_again(
    tmp_path: Path,
) -> None:
    sources = play(load("rtx_4090"), tmp_path)
    machine = probe_machine([], sources=sources)
    nvml = sources.load_nvml()
    assert nvml.sessions == 0
    sampler = Sampler(machine, sources)
    sampler.sample()
    assert nvml.sessions == 1
    sampler.close()
    assert nvml.sessions == 0
    assert sampler.sample().devices[0].used_bytes is not None
    sampler.close()


def test_memory_of_a_process_includes_its_children() -> None:
    block = 60 << 20
    code = (
        "import subprocess, sys\n"
        f"child = subprocess.Popen([sys.executable, '-c', 'x = bytearray(b\"1\" * {block}); "
        "print(flush=True); input()'], stdin=subprocess.PIPE)\n"
        "input()\nchild.communicate(b'\\n')\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        parent.stdout.readline()  # the grandchild holds its block now
        own = psutil.Process(parent.pid).memory_info().rss
        assert process_memory(parent.pid) > own + block
        parent.stdin.write("\n")
    assert process_memory(parent.pid) == 0
    assert process_memory(os.getpid()) > 0
