"""Speeds: against published measurements, with depth, and learned from real runs."""

from __future__ import annotations

from dataclasses import replace
from statistics import median
from typing import Any

import pytest

from bench.speed import read_measurements
from m1desk.fit import (
    SpeedRecord,
    Variant,
    Wished,
    efficiencies_here,
    fitted_efficiencies,
    keep_record,
    load_machine,
    plan,
    read_records,
    record_of,
)


def test_predictions_are_near_published_measurements() -> None:
    errors = [abs(one.error(fitted_efficiencies())) for one in read_measurements()]
    assert len(errors) >= 30
    assert median(errors) <= 0.25


@pytest.mark.parametrize(
    ("machine", "variant", "low", "high"),
    [
        ("strix-halo-128", "IQ1_M", 8, 11),
        ("dgx-spark", "IQ1_M", 8, 12),
        ("mac-studio-m3-ultra-512", "Q4_K_M", 12, 17),
        ("rtx-5090-x4", "IQ1_M", 40, 60),
        ("epyc-768", "Q4_K_M", 7, 9),
    ],
)
def test_m1s_expected_speed_lies_in_the_range_given(
    machine: str, variant: str, low: float, high: float, m1: dict[str, Variant]
) -> None:
    decode = plan(load_machine(machine), m1[variant], Wished(8192)).decode
    assert decode.low < high
    assert decode.high > low
    assert low * 0.8 <= decode.middle <= high * 1.25


def test_a_deep_context_slows_both(m1: dict[str, Variant]) -> None:
    machine = load_machine("strix-halo-128")
    shallow = plan(machine, m1["IQ1_M"], Wished(262_144))
    deep = plan(machine, m1["IQ1_M"], Wished(262_144, depth_tokens=200_000))
    assert deep.decode.middle < shallow.decode.middle
    assert deep.prefill.middle < shallow.prefill.middle


def test_layers_on_several_gpus_run_one_after_the_other(m1: dict[str, Variant]) -> None:
    four = plan(load_machine("h100-x4"), m1["Q4_K_M"], Wished(8192))
    eight = plan(load_machine("h100-x8"), m1["Q4_K_M"], Wished(8192))
    assert eight.decode.middle == pytest.approx(four.decode.middle)


def test_reading_from_the_disk_is_slow_and_said_so(m1: dict[str, Variant]) -> None:
    fit = plan(load_machine("rtx-5090-x1"), m1["Q4_K_M"], Wished(8192))
    assert fit.verdict == "fits_disk"
    assert fit.decode.high < 1
    assert "slow" in fit.reasons[1]


def test_longer_inputs_wait_longer_for_the_first_token(m1: dict[str, Variant]) -> None:
    machine = load_machine("mac-studio-m3-ultra-512")
    short = plan(machine, m1["Q4_K_M"], Wished(131_072, input_tokens=1000))
    long = plan(machine, m1["Q4_K_M"], Wished(131_072, input_tokens=100_000))
    # attention grows with depth, so a hundred times the tokens take more than that
    assert long.first_token_seconds.low > 100 * short.first_token_seconds.low
    assert long.total_seconds.low > long.first_token_seconds.low


class Kept(dict[str, Any]):
    """Measurements in memory."""

    def put(self, key: str, value: object) -> None:
        self[key] = value


def test_real_runs_make_the_next_prediction_right(m1: dict[str, Variant]) -> None:
    machine, start, store = load_machine("dgx-spark"), fitted_efficiencies(), Kept()
    first = plan(machine, m1["IQ1_M"], Wished(8192), efficiencies=start)
    for actual in (6.0, 6.2, 5.8):
        keep_record(store, "here", record_of(first, start, (actual, 150.0), time=1.0))
    records = read_records(store, "here")
    assert [one.decode_error > 0 for one in records] == [True] * 3
    learned = efficiencies_here(start, machine, records)
    second = plan(machine, m1["IQ1_M"], Wished(8192), efficiencies=learned)
    assert second.decode.middle == pytest.approx(6.0, rel=0.01)
    width = (second.decode.high - second.decode.low) / second.decode.middle
    assert width < (first.decode.high - first.decode.low) / first.decode.middle


def test_the_engines_benchmark_replaces_the_fitted_efficiency(m1: dict[str, Variant]) -> None:
    machine = load_machine("epyc-768")
    slow = efficiencies_here(fitted_efficiencies(), machine, (), (100.0, 2000.0))
    fast = efficiencies_here(fitted_efficiencies(), machine, (), (400.0, 2000.0))
    assert fast.of("cpu") == pytest.approx(4 * slow.of("cpu"), rel=0.01)
    wished = Wished(8192)
    assert (
        plan(machine, m1["IQ1_M"], wished, efficiencies=fast).decode.middle
        > plan(machine, m1["IQ1_M"], wished, efficiencies=slow).decode.middle
    )


def test_unreadable_records_are_left_out_and_old_ones_dropped() -> None:
    store = Kept()
    record = SpeedRecord("m", "Q4", "cpu", 0, 1.0, 1.0, 1.0, 1.0, 0.5)
    store.put("fit-speeds/here", {"records": [{"nonsense": 1}]})
    for number in range(205):
        keep_record(store, "here", replace(record, time=float(number)))
    records = read_records(store, "here")
    assert len(records) == 200
    assert records[-1].time == 204.0
