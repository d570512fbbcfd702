"""The memory estimate of the load dialog, against what was measured on MiniMax-M1."""

from __future__ import annotations

from pathlib import Path

import pytest

from m1desk.engines import LlamaSettings
from m1desk.fit import FreeMemory, MemoryEstimate, ModelShape, estimate_memory, judge
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
    assert estimate_memory(m1, settings(1 << 20)).kv_bytes == 40 * GIB


def test_a_quantized_cache_takes_about_half(m1: GgufHeader) -> None:
    estimate = estimate_memory(m1, settings(1 << 20, kv_type="q8_0"))
    assert estimate.kv_bytes == 21_760 * (1 << 20)


def test_each_parallel_request_adds_its_recurrent_state(m1: GgufHeader) -> None:
    four = LlamaSettings(Path("m1.gguf"), context_tokens=8192, parallel=4)
    assert estimate_memory(m1, settings(8192)).state_bytes == 280 * MIB
    assert estimate_memory(m1, four).state_bytes == 4 * 280 * MIB


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
    asked = estimate_memory(m1, settings(32_768)).compute_bytes
    assert asked < compute_bytes(shape, 32_768, 512)
    assert asked == compute_bytes(shape, 32_768, 512, outputs=1)


def test_without_flash_attention_the_working_memory_grows_with_the_context(m1: GgufHeader) -> None:
    estimate = estimate_memory(m1, settings(32_768, flash_attention=False))
    assert estimate.compute_bytes / MIB == pytest.approx(4288, rel=0.05)


def test_what_exceeds_the_free_memory_is_said_to_be_too_big() -> None:
    estimate = MemoryEstimate(8 * GIB, GIB, 0, GIB)
    assert judge(estimate, FreeMemory(16 * GIB)) == "fits"
    assert judge(estimate, FreeMemory(10 * GIB + 1)) == "tight"
    assert judge(estimate, FreeMemory(9 * GIB)) == "too_big"
    assert judge(estimate, None) == "unknown"


def test_a_gpu_that_is_too_small_is_noticed_although_the_ram_is_large() -> None:
    all_on_gpu = MemoryEstimate(8 * GIB, GIB, 0, GIB, gpu_share=1.0)
    assert judge(all_on_gpu, FreeMemory(64 * GIB, gpu_bytes=6 * GIB)) == "too_big"
    half = MemoryEstimate(8 * GIB, GIB, 0, GIB, gpu_share=0.5)
    assert judge(half, FreeMemory(64 * GIB, gpu_bytes=7 * GIB)) == "fits"
    assert half.ram_bytes + half.gpu_bytes == half.total_bytes


def test_unified_memory_is_counted_once() -> None:
    estimate = MemoryEstimate(90 * GIB, GIB, 0, GIB, gpu_share=0.5)
    unified = FreeMemory(100 * GIB, gpu_bytes=60 * GIB, unified=True)
    assert judge(estimate, unified) == "tight"
