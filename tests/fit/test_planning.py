"""Verdicts, places and what would help, on machines real and imagined."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import gguf
import numpy as np
import pytest

from m1desk.errors import BadInput
from m1desk.fit import (
    PlanDevice,
    PlanMachine,
    Variant,
    Wished,
    known_variants,
    load_machine,
    plan,
    variant_from_header,
    verdict_of,
)
from m1desk.models import read_gguf_header

GIB = 1 << 30


def desktop(gpu_gib: float, ram_gib: float, count: int = 1) -> PlanMachine:
    gpus = tuple(
        PlanDevice(f"GPU {number}", "nvidia", round(gpu_gib * GIB), 0, 1e12, 1e14)
        for number in range(count)
    )
    return PlanMachine("test", "a test machine", False, round(ram_gib * GIB), GIB, 6e10, 1e12, gpus)


@pytest.fixture(scope="module")
def llama() -> dict[str, Variant]:
    return {one.name: one for one in known_variants("Llama-3.1-8B")}


@pytest.mark.parametrize(
    ("machine", "variant", "verdict"),
    [
        ("strix-halo-128", "IQ1_M", "fits_gpu"),
        ("strix-halo-128", "Q4_K_M", "fits_disk"),
        ("dgx-spark", "IQ1_M", "fits_gpu"),
        ("mac-studio-m3-ultra-512", "Q4_K_M", "fits_gpu"),
        ("mac-studio-m3-ultra-512", "BF16", "fits_disk"),
        ("rtx-5090-x4", "IQ1_M", "fits_gpu"),
        ("rtx-5090-x4", "Q4_K_M", "fits_offload"),
        ("rtx-5090-x1", "IQ1_M", "fits_offload"),
        ("epyc-768-rtx-4090", "Q4_K_M", "fits_offload"),
        ("epyc-768", "Q8_0", "fits_offload"),
        ("h100-x4", "Q4_K_M", "fits_gpu"),
        ("h200-x8", "BF16", "fits_gpu"),
        ("h20-x8", "Q8_0", "fits_gpu"),
    ],
)
def test_what_m1_does_on_machines_people_ask_about(
    machine: str, variant: str, verdict: str, m1: dict[str, Variant]
) -> None:
    assert verdict_of(load_machine(machine), m1[variant], Wished(32_768)) == verdict


def test_four_small_gpus_are_not_one_pool(llama: dict[str, Variant]) -> None:
    wished = Wished(8192)
    one_large = plan(desktop(16, 32), llama["Q8_0"], wished)
    four_small = plan(desktop(4, 32, count=4), llama["Q8_0"], wished)
    assert one_large.verdict == "fits_gpu"
    # each needs a compute buffer and a driver's overhead of its own
    assert sum(gpu.layers for gpu in four_small.placement.gpus) == 32
    assert four_small.max_context_tokens < one_large.max_context_tokens
    assert all(gpu.free_bytes >= 0 for gpu in four_small.placement.gpus)


def test_everything_has_a_place_and_nothing_two(m1: dict[str, Variant]) -> None:
    for name in ("rtx-5090-x2", "epyc-768-rtx-4090", "h100-x8", "strix-halo-128", "laptop-16"):
        fit = plan(load_machine(name), m1["Q4_K_M"], Wished(65_536))
        places = (*fit.placement.gpus, fit.placement.ram)
        assert sum(one.weights for one in places) == pytest.approx(fit.needs.weights, abs=100)
        assert sum(one.kv_cache for one in places) == pytest.approx(fit.needs.kv_cache, abs=100)
        assert sum(one.state for one in places) == pytest.approx(fit.needs.state, abs=100)
        assert sum(one.layers for one in places) == 80


def test_experts_in_main_memory_leave_fifteen_gibibytes_on_the_gpu(m1: dict[str, Variant]) -> None:
    machine = replace(load_machine("epyc-768-rtx-4090"))
    fit = plan(machine, m1["Q4_K_M"], Wished(32_768))
    gpu = fit.placement.gpus[0]
    assert (gpu.model_bytes - gpu.experts) / GIB == pytest.approx(15, abs=1)
    assert fit.placement.ram.experts / GIB == pytest.approx(242, abs=5)
    assert "experts" in fit.reasons[1]


def test_the_longest_context_fits_and_the_next_one_does_not(llama: dict[str, Variant]) -> None:
    machine = desktop(12, 64)
    fit = plan(machine, llama["Q8_0"], Wished(8192))
    assert fit.verdict == "fits_gpu"
    longest = fit.max_context_tokens
    assert verdict_of(machine, llama["Q8_0"], Wished(longest)) == "fits_gpu"
    assert verdict_of(machine, llama["Q8_0"], Wished(longest + 256)) != "fits_gpu"


def test_what_others_hold_counts(llama: dict[str, Variant]) -> None:
    empty = desktop(12, 64)
    busy = replace(empty, devices=(replace(empty.devices[0], used_bytes=5 * GIB),))
    assert verdict_of(empty, llama["Q8_0"], Wished(8192)) == "fits_gpu"
    assert verdict_of(busy, llama["Q8_0"], Wished(8192)) == "fits_offload"


def test_a_compressed_cache_is_proposed_where_it_is_enough(llama: dict[str, Variant]) -> None:
    fit = plan(desktop(13, 64), llama["Q8_0"], Wished(40_960))
    assert fit.verdict == "fits_offload"
    change = fit.changes[0]
    assert change.kind == "kv_type"
    assert verdict_of(fit.machine, llama["Q8_0"], change.wished) == change.verdict == "fits_gpu"


def test_a_shorter_context_is_proposed_with_its_length(llama: dict[str, Variant]) -> None:
    fit = plan(desktop(12, 64), llama["Q8_0"], Wished(65_536, kv_type="q8_0"))
    change = next(one for one in fit.changes if one.kind == "context")
    assert f"{change.wished.context_tokens:,}" in change.text
    assert verdict_of(fit.machine, llama["Q8_0"], change.wished) == "fits_gpu"


def test_the_largest_smaller_quantization_that_helps_is_proposed(llama: dict[str, Variant]) -> None:
    others = tuple(llama.values())
    fit = plan(desktop(8, 64), llama["Q8_0"], Wished(8192), others=others)
    change = next(one for one in fit.changes if one.kind == "quantization")
    assert verdict_of(fit.machine, llama[change.variant], Wished(8192)) == "fits_gpu"
    larger = [one for one in others if one.weights_bytes > llama[change.variant].weights_bytes]
    assert all(verdict_of(fit.machine, one, Wished(8192)) != "fits_gpu" for one in larger)


def test_a_real_machine_is_told_to_raise_its_limit_and_an_imagined_one_is_set_up(
    m1: dict[str, Variant],
) -> None:
    imagined = load_machine("strix-halo-128")
    real = replace(imagined, set_up=False)
    wished = Wished(32_768)
    as_it_is = plan(real, m1["IQ1_M"], wished)
    assert as_it_is.verdict == "fits_offload"
    assert as_it_is.changes[0].kind == "gpu_limit"
    assert "ttm.pages_limit" in as_it_is.changes[0].text
    fit = plan(imagined, m1["IQ1_M"], wished)
    assert fit.verdict == "fits_gpu"
    assert any("ttm.pages_limit" in reason for reason in fit.reasons)


def test_unified_memory_is_counted_once(m1: dict[str, Variant]) -> None:
    fit = plan(load_machine("dgx-spark"), m1["IQ1_M"], Wished(8192))
    total = sum(gpu.model_bytes for gpu in fit.placement.gpus) + fit.placement.ram.model_bytes
    assert total == pytest.approx(fit.needs.total, rel=0.02)
    assert total < load_machine("dgx-spark").ram_usable_bytes


def test_what_can_not_even_hold_its_cache_does_not_fit(m1: dict[str, Variant]) -> None:
    fit = plan(load_machine("laptop-16"), m1["IQ1_S"], Wished(1 << 20))
    assert fit.verdict == "does_not_fit"
    assert fit.decode.high == 0.0
    assert 0 < fit.max_context_tokens < 1 << 20
    assert "missing" in fit.reasons[1]


def test_the_user_may_place_layers_against_advice(llama: dict[str, Variant]) -> None:
    fit = plan(desktop(24, 64), llama["Q8_0"], Wished(8192, gpu_layers=10))
    assert fit.placement.gpu_layers == 10
    assert fit.verdict == "fits_offload"


def test_a_machine_without_gpu_is_a_normal_machine(llama: dict[str, Variant]) -> None:
    fit = plan(load_machine("laptop-16"), llama["Q4_K_M"], Wished(8192))
    assert fit.verdict == "fits_offload"
    assert fit.decode.low > 1
    assert "processor" in fit.reasons[1]
    assert fit.changes == ()


def test_the_words_name_the_sum(m1: dict[str, Variant]) -> None:
    text = plan(load_machine("h100-x8"), m1["Q4_K_M"], Wished(131_072)).reasons[0]
    assert text == (
        "It takes 264 GiB: 258 GiB of weights, 5.0 GiB of KV cache (131,072 tokens, f16), "
        "280 MiB of recurrent state and 444 MiB to compute in."
    )


def test_an_unknown_type_of_cache_is_refused(llama: dict[str, Variant]) -> None:
    with pytest.raises(BadInput, match="q9_9"):
        plan(desktop(24, 64), llama["Q8_0"], Wished(8192, kv_type="q9_9"))


def test_a_matrix_of_one_dimension_has_no_width(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "odd.gguf", "llama")
    writer.add_feed_forward_length(96)
    writer.add_tensor("blk.0.ffn_up.weight", np.zeros(32, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    variant = variant_from_header(read_gguf_header(tmp_path / "odd.gguf"))
    assert variant.shape.ffn_width == 96
