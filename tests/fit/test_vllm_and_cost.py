"""What vLLM can do with M1, and what tokens cost."""

from __future__ import annotations

from dataclasses import replace

import pytest

from m1desk.fit import (
    ASSUMPTION_SOURCES,
    CostAssumptions,
    Variant,
    VllmWish,
    assumption_lines,
    load_machine,
    plan_cost,
    plan_vllm,
    refuse,
    tensor_parallel_sizes,
)

GIB = 1 << 30
KV_HEADS = 8


def test_m1_can_be_split_over_powers_of_two(m1: dict[str, Variant]) -> None:
    assert tensor_parallel_sizes(m1["BF16"].shape, KV_HEADS) == (1, 2, 4, 8, 16, 32, 64)


def test_eight_h100_hold_the_experts_in_eight_bits(m1: dict[str, Variant]) -> None:
    wish = VllmWish(quantization="experts_int8")
    fits = plan_vllm(load_machine("h100-x8"), m1["BF16"], KV_HEADS, wish)
    assert [one.tensor_parallel for one in fits] == [1, 2, 4, 8]
    last = fits[-1]
    assert last.weights_bytes / GIB == pytest.approx(55.9, rel=0.01)
    assert last.fits
    assert last.cache_tokens > 1_500_000
    assert not fits[-2].fits
    assert "--mamba-cache-dtype" in last.arguments


def test_bf16_wants_eight_h200(m1: dict[str, Variant]) -> None:
    wish = VllmWish(131_072)
    assert not plan_vllm(load_machine("h100-x8"), m1["BF16"], KV_HEADS, wish)[-1].fits
    assert plan_vllm(load_machine("h200-x8"), m1["BF16"], KV_HEADS, wish)[-1].fits


@pytest.mark.parametrize(("version", "works"), [("0.9.1", False), ("0.9.2", True),
                                                ("0.23.0", True), ("0.24.0", False)])  # fmt: skip
def test_only_some_versions_know_m1(version: str, works: bool, m1: dict[str, Variant]) -> None:
    why = refuse(load_machine("h100-x8"), m1["BF16"], version)
    assert (why == "") is works


def test_vllm_is_refused_where_there_is_no_gpu_for_it(m1: dict[str, Variant]) -> None:
    assert "NVIDIA" in refuse(load_machine("epyc-768"), m1["BF16"])
    assert plan_vllm(load_machine("strix-halo-128"), m1["BF16"], KV_HEADS, VllmWish()) == ()


@pytest.mark.parametrize(
    ("name", "capability", "is_old"),
    [
        ("NVIDIA GeForce RTX 2080 Ti", "", True),
        ("Tesla T4", "", True),
        ("NVIDIA GeForce RTX 2050", "", False),
        ("NVIDIA RTX 2000 Ada Generation", "", False),
        ("NVIDIA RTX 2000 Ada Generation", "8.9", False),
        ("NVIDIA GeForce RTX 5090", "12.0", False),
        ("Quadro RTX 5000", "7.5", True),
    ],
)
def test_gpus_of_before_ampere_are_refused(
    name: str, capability: str, is_old: bool, m1: dict[str, Variant]
) -> None:
    machine = load_machine("rtx-5090-x1")
    device = replace(machine.devices[0], name=name, compute_capability=capability)
    why = refuse(replace(machine, devices=(device,)), m1["BF16"])
    assert ("is older" in why) is is_old


def test_a_model_without_layers_has_no_plan(m1: dict[str, Variant]) -> None:
    empty = replace(m1["BF16"], shape=replace(m1["BF16"].shape, layers=0))
    assert plan_vllm(load_machine("h100-x8"), empty, KV_HEADS, VllmWish()) == ()


def test_every_assumption_has_a_source_in_words() -> None:
    lines = assumption_lines(CostAssumptions())
    assert len(lines) == len(ASSUMPTION_SOURCES)
    assert all("assumption" in line or "measured" in line for line in lines)


def test_the_sum_is_plain_arithmetic() -> None:
    given = CostAssumptions(
        hardware_usd=3600, resale_share=0.0, years=3, busy_watts=1000, idle_watts=0,
        electricity_usd_kwh=0.5, rent_usd_hour=3, api_input_usd=1, api_output_usd=10,
        input_tokens_month=36e6, output_tokens_month=3.6e6,
        prefill_tokens_per_second=1000, decode_tokens_per_second=100,
    )  # fmt: skip
    cost = plan_cost(given)
    assert cost.busy_hours_month == pytest.approx(20)
    assert cost.own_hardware == pytest.approx(100)
    assert cost.own_energy == pytest.approx(10)
    assert cost.rent == pytest.approx(60)
    assert cost.api == pytest.approx(72)
    assert cost.break_even_months_api == pytest.approx(3600 / 62)
    assert cost.break_even_months_rent == pytest.approx(72)
    assert cost.possible


def test_a_machine_whose_energy_costs_more_never_pays_off() -> None:
    cost = plan_cost(CostAssumptions(decode_tokens_per_second=0.3, busy_watts=900))
    assert cost.break_even_months_api is None
    assert not cost.possible
