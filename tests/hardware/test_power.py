"""What the machine takes of electricity, by recorded files of its sensors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.hardware_recordings import load, play, write_tree

from m1desk.hardware import PowerMeter, Sampler, Sources, probe_machine
from m1desk.hardware.power import Energy

if TYPE_CHECKING:
    from collections.abc import Callable

RAPL = "sys/class/powercap/intel-rapl:0"
BATTERY = "sys/class/power_supply/BAT0"


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def meter(tmp_path: Path, clock: Clock) -> Callable[..., PowerMeter]:
    def make(files: dict[str, str]) -> PowerMeter:
        write_tree(tmp_path, files)
        sources = replace(Sources.of_this_machine(), root=tmp_path)
        bare = replace(probe_machine([]), accelerators=())
        return PowerMeter(lambda: bare, sources, clock)

    return make


def test_a_processors_counter_is_read_and_begins_anew(
    meter: Callable[..., PowerMeter], clock: Clock, tmp_path: Path
) -> None:
    zone = {f"{RAPL}/name": "package-0", f"{RAPL}/max_energy_range_uj": "1000000000"}
    cores = {f"{RAPL}:0/name": "core", f"{RAPL}:0/energy_uj": "5"}
    made = meter({**zone, **cores, f"{RAPL}/energy_uj": "900000000"})
    assert made.take() is None
    clock.now += 10
    write_tree(tmp_path, {f"{RAPL}/energy_uj": "950000000", f"{RAPL}:0/energy_uj": "40000000"})
    assert made.take() == Energy(50.0, 10.0, "processor")
    clock.now += 10
    write_tree(tmp_path, {f"{RAPL}/energy_uj": "50000000"})
    assert made.take() == Energy(100.0, 10.0, "processor")


def test_a_battery_that_is_emptied_knows_of_the_whole_computer(
    meter: Callable[..., PowerMeter], clock: Clock, tmp_path: Path
) -> None:
    mouse = {"sys/class/power_supply/hid-1/status": "Discharging",
             "sys/class/power_supply/hid-1/scope": "Device",
             "sys/class/power_supply/hid-1/power_now": "9000000"}  # fmt: skip
    made = meter({**mouse, f"{BATTERY}/status": "Discharging", f"{BATTERY}/power_now": "20000000"})
    made.take()
    clock.now += 10
    write_tree(tmp_path, {f"{BATTERY}/power_now": "30000000"})
    assert made.take() == Energy(250.0, 10.0, "computer")
    (tmp_path / BATTERY / "power_now").unlink()
    write_tree(
        tmp_path, {f"{BATTERY}/current_now": "-2000000", f"{BATTERY}/voltage_now": "15000000"}
    )
    clock.now += 10
    assert made.take() == Energy(300.0, 10.0, "computer")
    write_tree(tmp_path, {f"{BATTERY}/status": "Charging"})
    clock.now += 10
    assert made.take() is None


def test_after_a_sleep_nothing_is_claimed(
    meter: Callable[..., PowerMeter], clock: Clock, tmp_path: Path
) -> None:
    made = meter({f"{RAPL}/name": "package-0", f"{RAPL}/energy_uj": "0"})
    made.take()
    clock.now += 8 * 3600
    write_tree(tmp_path, {f"{RAPL}/energy_uj": "99000000"})
    assert made.take() is None


def test_a_machine_without_sensors_says_nothing(
    meter: Callable[..., PowerMeter], clock: Clock
) -> None:
    made = meter({})
    for _ in range(3):
        clock.now += 5
        assert made.take() is None


@pytest.mark.parametrize("name", ["rtx_4090", "two_3090_nvlink", "h100_mig"])
def test_cards_tell_their_watts(name: str, clock: Clock, tmp_path: Path) -> None:
    sources = play(load(name), tmp_path)
    made = PowerMeter(lambda: probe_machine([], sources=sources), sources, clock)
    made.take()
    clock.now += 10
    taken = made.take()
    made.close()
    with Sampler(probe_machine([], sources=sources), sources) as sampler:
        shown = [one.power_watts or 0.0 for one in sampler.sample().devices]
    watts = max(shown) if name == "h100_mig" else sum(shown)  # two slices of one card
    assert watts > 0
    assert taken is not None
    assert (taken.seconds, taken.source) == (10.0, "graphics cards")
    assert taken.joules == pytest.approx(10 * watts)


def test_graphics_on_the_processors_chip_count_once(clock: Clock, tmp_path: Path) -> None:
    sources = play(load("strix_halo"), tmp_path)
    machine = probe_machine([], sources=sources)
    made = PowerMeter(lambda: machine, sources, clock)
    made.take()
    clock.now += 10
    taken = made.take()
    assert taken is not None
    assert taken.source == "graphics cards"
    assert taken.joules == pytest.approx(210.43)
    write_tree(tmp_path, {f"{RAPL}/name": "package-0", f"{RAPL}/energy_uj": "0"})
    made.take()
    write_tree(tmp_path, {f"{RAPL}/energy_uj": "700000000"})
    clock.now += 10
    assert made.take() == Energy(700.0, 10.0, "processor")
