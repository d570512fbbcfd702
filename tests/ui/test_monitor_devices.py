"""What is written of accelerators: recorded machines through the real probe and sampler."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

import pytest
from support.hardware_recordings import load, play

from m1desk.hardware import (
    Accelerator,
    DeviceSample,
    Link,
    Machine,
    PcieLink,
    Sample,
    Sampler,
    probe_machine,
)
from m1desk.ui.viewmodels.device_links import LinkMap, numbers_text
from m1desk.ui.viewmodels.device_pcie import PcieWatch
from m1desk.ui.viewmodels.devices import Cell, DeviceBoard

if TYPE_CHECKING:
    from pathlib import Path

    from m1desk.hardware.machine import LinkKind


def desk(recording: str | dict[str, Any], root: Path) -> tuple[Machine, Sample]:
    sources = play(load(recording) if isinstance(recording, str) else recording, root)
    machine = probe_machine([], sources=sources)
    with Sampler(machine, sources) as sampler:
        return machine, sampler.sample()


def without_driver(sample: Sample) -> Sample:
    """The same moment, of which no device tells anything."""
    return replace(sample, devices=tuple(DeviceSample(d.id, d.name) for d in sample.devices))


# -- rows ------------------------------------------------------------------------------------------


def test_eight_cards_are_eight_rows(tmp_path: Path) -> None:
    machine, sample = desk("eight_h100", tmp_path)
    board = DeviceBoard(machine)
    rows = board.take(sample)
    assert [row.device.text for row in rows] == [f"GPU {number}" for number in range(8)]
    first = rows[0]
    assert first.device.more == "H100 80GB HBM3"
    assert first.memory.text == "69.0 of 79.6 GiB"
    assert first.memory.fraction == pytest.approx(0.866, abs=0.001)
    assert (first.load.text, first.load.fraction) == ("97 %", 0.97)
    assert (first.power.text, first.power.more) == ("612 W", "of 700 W")
    assert first.temperature.text == "61 °C"
    assert (first.pcie.text, first.pcie.more) == ("gen 5 x16", "of gen 5 x16")
    assert (first.links.text, first.links.more) == ("NVLink: all 7 others", "18 links, 478 GB/s")
    assert [row.engine.text for row in rows] == [f"CUDA{number}" for number in range(8)]
    assert board.memory_sum(sample) == "297.5 of 637.2 GiB of GPU memory in use"
    assert board.link_sentences == (
        "GPU 0–7: NVLink through switches, all to all, 18 links each, 478 GB/s each way.",
    )
    assert board.remarks() == ()


def test_what_a_device_does_not_tell_is_not_said_and_never_zero(tmp_path: Path) -> None:
    machine, sample = desk("eight_h100", tmp_path)
    board = DeviceBoard(machine)
    silent = without_driver(sample)
    for row in board.take(silent):
        assert [c.text for c in (row.load, row.power, row.temperature)] == ["not said"] * 3
        assert row.load.fraction is None
        assert row.memory == Cell("79.1 GiB", "in use: not said")
        assert (row.pcie.text, row.pcie.more) == ("max gen 5 x16", "now: not said")
    assert board.memory_sum(silent) == ""
    unknown = replace(machine.accelerators[0], total_bytes=None, pcie=None)
    (row,) = DeviceBoard(replace(machine, accelerators=(unknown,))).take(None)
    assert (row.memory.text, row.pcie.text) == ("not said", "not said")


def test_the_rows_are_there_before_the_first_sample(tmp_path: Path) -> None:
    machine, _ = desk("two_3090_nvlink", tmp_path)
    rows = DeviceBoard(machine).take(None)
    assert [row.memory.text for row in rows] == ["23.6 GiB", "23.6 GiB"]
    assert [row.engine.text for row in rows] == ["CUDA0, Vulkan0", "CUDA1, Vulkan1"]


def test_cards_of_two_makers_and_graphics_in_the_processor(tmp_path: Path) -> None:
    machine, sample = desk("mixed", tmp_path)
    board = DeviceBoard(machine)
    fast, narrow, integrated = board.take(sample)
    assert (fast.pcie.tone, narrow.pcie.tone) == ("", "warning")
    assert (narrow.pcie.text, narrow.pcie.more) == ("gen 1 x4", "of gen 4 x16")
    assert (fast.links.text, fast.links.more) == ("through the processor", "GPU 1")
    assert integrated.device.more == "Raphael, uses RAM"
    assert (integrated.links.text, integrated.pcie.text) == ("none", "none")
    assert integrated.power.text == "not said"
    assert (integrated.engine.text, integrated.engine.tone) == ("not usable", "warning")
    assert board.link_sentences == ("GPU 0 and 1: PCIe through the processor.",)
    slot, engine = board.remarks()
    assert slot.startswith("GPU 1: Its PCIe link uses 4 of 16 lanes")
    assert engine.startswith("GPU 2: The installed engine (backends: CUDA, CPU) can't use it")
    assert board.memory_sum(sample) == "19.8 of 36.0 GiB of GPU memory in use"


def test_unified_memory_is_the_machines(tmp_path: Path) -> None:
    machine, sample = desk("gb10", tmp_path)
    (row,) = DeviceBoard(machine).take(sample)
    assert (row.device.text, row.device.more) == ("NVIDIA GB10", "uses RAM")
    assert row.memory.fraction == pytest.approx(sample.ram_used_bytes / sample.ram_total_bytes)
    assert row.pcie.text == "none"


def test_a_reason_that_all_devices_share_is_given_once(tmp_path: Path) -> None:
    recording = load("eight_h100")
    recording["engine"] = recording["engine"][-1:]
    machine, sample = desk(recording, tmp_path)
    board = DeviceBoard(machine)
    assert {row.engine.text for row in board.take(sample)} == {"not usable"}
    (reason,) = board.remarks()
    assert reason.startswith("GPU 0–7: The installed engine (backends: CPU) can't use it")


def test_without_the_engines_answer_nobody_knows_whether_it_can_use_a_device(
    tmp_path: Path,
) -> None:
    recording = load("rtx_4090")
    recording["engine"] = []
    machine, sample = desk(recording, tmp_path)
    board = DeviceBoard(replace(machine, notes=("The engine's own list could not be read.",)))
    (row,) = board.take(sample)
    assert row.engine.text == "not said"
    assert "The engine's own list could not be read." in board.remarks()


# -- PCIe ------------------------------------------------------------------------------------------


def moment(generation: int | None, load: float | None, *, width: int = 16) -> DeviceSample:
    link = PcieLink(4, 16, generation, width)
    return DeviceSample("gpu", "GPU", utilisation_percent=load, pcie=link)


def test_an_idle_card_that_slows_its_link_is_no_fault() -> None:
    watch = PcieWatch()
    for _ in range(100):
        watch.note(moment(1, 3.0))
    watch.note(moment(1, 99.0))  # it needs a moment to wake up
    assert watch.hints(moment(1, 99.0)) == ()


def test_a_link_that_stays_slow_under_load_is_told_until_it_was_seen_fast() -> None:
    watch = PcieWatch()
    for _ in range(5):
        watch.note(moment(3, 90.0))
    (hint,) = watch.hints(moment(3, 90.0))
    assert "generation 3 of 4" in hint
    watch.note(moment(1, 0.0))
    assert watch.hints(moment(1, 0.0)) != ()
    watch.note(moment(4, 90.0))
    assert watch.hints(moment(4, 90.0)) == ()


def test_a_card_that_does_not_tell_its_load_is_not_judged_by_generation() -> None:
    watch = PcieWatch()
    for _ in range(50):
        watch.note(moment(1, None))
    assert watch.hints(moment(1, None)) == ()
    assert "8 of 16 lanes" in watch.hints(moment(1, None, width=8))[0]
    assert watch.hints(DeviceSample("gpu", "GPU")) == ()


# -- links -----------------------------------------------------------------------------------------


def cards(count: int, *, unified: tuple[int, ...] = ()) -> list[Accelerator]:
    return [
        Accelerator(f"gpu{n}", "nvidia", "GPU", "gpu", n in unified, None, None)
        for n in range(count)
    ]


def link(first: int, second: int, kind: LinkKind, lanes: int = 0) -> Link:
    return Link(f"gpu{first}", f"gpu{second}", kind, lanes)


def test_two_islands_of_nvlink_in_one_machine() -> None:
    links = [
        link(i, j, "nvlink", 12) if (i < 4) == (j < 4) else link(i, j, "system")
        for i, j in combinations(range(8), 2)
    ]
    ways = LinkMap(cards(8), links)
    assert ways.sentences() == (
        "GPU 0–3, GPU 4–7: NVLink, all to all, 12 links.",
        "All other pairs: PCIe from one processor to the other.",
    )
    linked = ways.of(5)
    assert linked is not None
    assert linked.nearest == "NVLink: GPU 4, 6–7"
    assert linked.rest == "across processors: GPU 0–3"


def test_a_mesh_that_is_no_whole_is_counted_and_told_in_the_rows() -> None:
    """A DGX-1: each of eight cards has NVLinks to four others, two of them doubled."""
    single = [(0, 1), (0, 2), (1, 3), (4, 5), (4, 6), (5, 7), (2, 6), (1, 5)]
    double = [(0, 3), (0, 4), (1, 2), (2, 3), (3, 7), (4, 7), (5, 6), (6, 7)]
    lanes = {**dict.fromkeys(single, 1), **dict.fromkeys(double, 2)}
    links = [
        link(*pair, "nvlink", lanes[pair]) if pair in lanes else link(*pair, "system")
        for pair in combinations(range(8), 2)
    ]
    ways = LinkMap(cards(8), links)
    assert ways.sentences() == (
        "16 of 28 pairs, told in their rows: NVLink, 1 to 2 links.",
        "All other pairs: PCIe from one processor to the other.",
    )
    linked = ways.of(0)
    assert linked is not None
    assert (linked.nearest, linked.rest) == ("NVLink: GPU 1–4", "across processors: GPU 5–7")


def test_pairs_of_which_nothing_is_known_are_not_said() -> None:
    ways = LinkMap(cards(3), [link(0, 1, "one_switch")])
    assert ways.sentences() == (
        "GPU 0 and 1: PCIe through one switch.",
        "All other pairs: how they reach each other is not said.",
    )
    silent = LinkMap(cards(4), [])
    assert silent.sentences() == ("GPU 0–3: how they reach each other is not said.",)
    linked = silent.of(1)
    assert linked is not None
    assert (linked.nearest, linked.rest) == ("not said", "all 3 others")


def test_slices_of_one_card_and_graphics_in_the_processor_have_no_links() -> None:
    slices = [replace(card, part_of="card") for card in cards(2)]
    assert LinkMap(slices, []).sentences() == ()
    assert LinkMap(slices, []).of(0) is None
    assert LinkMap(cards(2, unified=(1,)), []).sentences() == ()


def test_slices_reach_each_other_as_their_cards_do() -> None:
    slices = [replace(c, part_of=f"card{n // 2}") for n, c in enumerate(cards(4))]
    ways = LinkMap(slices, [Link("card0", "card1", "nvlink", 4)])
    assert ways.sentences() == ("From card to card: NVLink, 4 links.",)


@pytest.mark.parametrize(
    ("numbers", "text"),
    [([3], "3"), ([1, 0], "0 and 1"), ([0, 1, 2], "0–2"), ([0, 1, 2, 5, 7, 8], "0–2, 5, 7–8")],
)
def test_numbers_are_drawn_together(numbers: list[int], text: str) -> None:
    assert numbers_text(numbers) == text
