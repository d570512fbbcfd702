"""The memory estimate of the load dialog: what was measured on M1, and what the planner says."""

from __future__ import annotations

from pathlib import Path

import pytest

from m1desk.engines import LlamaSettings
from m1desk.fit import (
    FreeMemory,
    MemoryEstimate,
    ModelShape,
    Needs,
    PlanDevice,
    PlanMachine,
    Wished,
    estimate_memory,
    expert_layers,
    judge,
    known_variants,
    plan,
    variant_from_header,
)
from m1desk.fit.formulas import compute_bytes
from m1desk.models import GgufHeader, SkippedValue

MIB = 1 << 20
GIB = 1 << 30


@pytest.fixture
def m1() -> GgufHeader:
    """MiniMax-M1 as its header describes it, without weights."""
    keys = {
        "block_count": 80,
        "context_length": 10_240_000,
        "embedding_length": 6144,
        "attention.head_count": 64,
        "attention.head_count_kv": 8,
        "attention.key_length": 128,
        "attention.value_length": 128,
    }
    return GgufHeader(
        path=Path("m1.gguf"),
        parts=(Path("m1.gguf"),),
        version=3,
        size_bytes=0,
        metadata={
            "general.architecture": "minimax-01",
            "tokenizer.ggml.tokens": SkippedValue("string", 200_064),
            **{f"minimax-01.{key}": value for key, value in keys.items()},
        },
        tensors=(),
    )


def settings(context: int, **others: object) -> LlamaSettings:
    return LlamaSettings(Path("m1.gguf"), context_tokens=context, parallel=1, **others)  # type: ignore[arg-type]


def test_the_cache_of_a_million_tokens_takes_40_gibibytes(m1: GgufHeader) -> None:
    assert estimate_memory(m1, settings(1 << 20)).needs.kv_cache == 40 * GIB


def test_a_quantized_cache_takes_about_half(m1: GgufHeader) -> None:
    estimate = estimate_memory(m1, settings(1 << 20, kv_type="q8_0"))
    assert estimate.needs.kv_cache == 21_760 * (1 << 20)


def test_each_parallel_request_adds_its_recurrent_state(m1: GgufHeader) -> None:
    four = LlamaSettings(Path("m1.gguf"), context_tokens=8192, parallel=4)
    assert estimate_memory(m1, settings(8192)).needs.state == 280 * MIB
    assert estimate_memory(m1, four).needs.state == 4 * 280 * MIB


@pytest.mark.parametrize(
    ("context", "ubatch", "measured_mib"),
    [(32_768, 512, 415), (131_072, 512, 444), (1 << 20, 512, 1340), (131_072, 1024, 1273),
     (131_072, 2048, 4082), (131_072, 4096, 14_307)],
)  # fmt: skip
def test_working_memory_agrees_with_what_was_measured(
    m1: GgufHeader, context: int, ubatch: int, measured_mib: int
) -> None:
    estimate = compute_bytes(ModelShape.from_header(m1), context, ubatch)
    assert estimate / MIB == pytest.approx(measured_mib, rel=0.002)


def test_asking_for_few_rows_of_logits_saves_working_memory(m1: GgufHeader) -> None:
    shape = ModelShape.from_header(m1)
    asked = estimate_memory(m1, settings(32_768)).needs.compute
    assert asked < compute_bytes(shape, 32_768, 512)
    assert asked == compute_bytes(shape, 32_768, 512, outputs=1)


def test_without_flash_attention_the_working_memory_grows_with_the_context(m1: GgufHeader) -> None:
    estimate = estimate_memory(m1, settings(32_768, flash_attention=False))
    assert estimate.needs.compute / MIB == pytest.approx(4288, rel=0.05)


NEEDS = Needs(weights=8 * GIB, kv_cache=GIB, state=0, compute=GIB)


def test_what_exceeds_the_free_memory_is_said_to_be_too_big() -> None:
    estimate = MemoryEstimate(NEEDS, gpu_bytes=0, ram_bytes=10 * GIB)
    assert judge(estimate, FreeMemory(16 * GIB)) == "fits"
    assert judge(estimate, FreeMemory(10 * GIB + 1)) == "tight"
    assert judge(estimate, FreeMemory(9 * GIB)) == "too_big"
    assert judge(estimate, None) == "unknown"


def test_a_gpu_that_is_too_small_is_noticed_although_the_ram_is_large() -> None:
    estimate = MemoryEstimate(NEEDS, gpu_bytes=10 * GIB, ram_bytes=GIB)
    assert judge(estimate, FreeMemory(64 * GIB, gpu_bytes=6 * GIB)) == "too_big"
    assert judge(estimate, FreeMemory(64 * GIB, gpu_bytes=16 * GIB)) == "fits"


def test_unified_memory_is_counted_once() -> None:
    estimate = MemoryEstimate(NEEDS, gpu_bytes=50 * GIB, ram_bytes=41 * GIB)
    unified = FreeMemory(100 * GIB, gpu_bytes=60 * GIB, unified=True)
    assert judge(estimate, unified) == "tight"


@pytest.fixture(scope="module")
def llama() -> GgufHeader:
    header = known_variants("Llama-3.1-8B", ("Q8_0",))[0].header
    assert header is not None
    return header


@pytest.fixture(scope="module")
def mixture() -> GgufHeader:
    header = known_variants("Qwen3-30B-A3B", ("Q4_K_M",))[0].header
    assert header is not None
    return header


def machine(ram: int, gpu: int = 0) -> PlanMachine:
    """With 2 GiB of its memory in others' hands."""
    gpus = (PlanDevice("GPU", "nvidia", gpu, 0, 1e12, 1e14),) if gpu else ()
    return PlanMachine("test", "a machine", False, ram, 2 * GIB, 6e10, 1e12, gpus)


def free(there: PlanMachine) -> FreeMemory:
    gpu = there.devices[0].usable_bytes if there.devices else None
    return FreeMemory.beside(there.ram_used_bytes, there.ram_total_bytes, gpu, unified=False)


@pytest.mark.parametrize("quarters", range(30, 60, 3))
def test_the_dialog_and_the_planner_agree_where_a_model_stops_fitting(
    llama: GgufHeader, quarters: int
) -> None:
    there = machine(quarters * GIB // 4)
    estimate = estimate_memory(llama, settings(8192, gpu_layers=0))
    planned = plan(there, variant_from_header(llama), Wished(8192))
    assert estimate.needs == planned.needs
    assert estimate.ram_bytes == planned.placement.ram.model_bytes
    assert (judge(estimate, free(there)) != "too_big") == (planned.verdict == "fits_offload")


@pytest.mark.parametrize("quarters", range(32, 60, 3))
def test_they_agree_about_a_gpu_too(llama: GgufHeader, quarters: int) -> None:
    there = machine(64 * GIB, gpu=quarters * GIB // 4)
    estimate = estimate_memory(llama, settings(8192))
    planned = plan(there, variant_from_header(llama), Wished(8192))
    assert (judge(estimate, free(there)) != "too_big") == (planned.verdict == "fits_gpu")


def test_experts_left_in_main_memory_are_counted_there(mixture: GgufHeader) -> None:
    there = machine(64 * GIB, gpu=12 * GIB)
    planned = plan(there, variant_from_header(mixture), Wished(8192)).placement
    count = planned.expert_layers_in_ram
    assert 0 < count < 48
    layers = expert_layers(count, 48)
    estimate = estimate_memory(mixture, settings(8192, cpu_expert_layers=layers))
    assert estimate.gpu_bytes == pytest.approx(planned.gpus[0].model_bytes, abs=1000)
    assert estimate.ram_bytes == pytest.approx(planned.ram.model_bytes, abs=1000)


def test_some_layers_on_the_gpu_are_counted_as_the_engine_places_them(llama: GgufHeader) -> None:
    there = machine(64 * GIB, gpu=6 * GIB)
    planned = plan(there, variant_from_header(llama), Wished(8192)).placement
    estimate = estimate_memory(llama, settings(8192, gpu_layers=planned.gpu_layers + 1))
    assert estimate.gpu_bytes == pytest.approx(planned.gpus[0].model_bytes, abs=1000)
    assert estimate.ram_bytes == pytest.approx(planned.ram.model_bytes, abs=1000)
