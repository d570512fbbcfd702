"""MiniMax-M1's sizes against what was measured on a full-size, weightless model."""

from __future__ import annotations

import pytest

from m1desk.fit import Variant, Wished, load_machine, plan, preset_names

GIB = 1 << 30
MEASURED = {  # GiB of weights; GiB beside experts and embedding; active GB a token
    "BF16": (849.6, None, 94.3), "Q8_0": (451.4, 19.8, 50.2), "Q6_K": (348.5, 15.3, 38.8),
    "Q5_K_M": (301.8, 13.7, 33.9), "Q4_K_M": (257.9, 12.1, 29.4), "IQ4_XS": (230.2, 11.8, 27.3),
    "Q3_K_M": (203.9, 10.4, 24.1), "IQ3_XXS": (173.6, 9.5, 21.1), "Q2_K": (156.4, 9.4, 20.0),
    "IQ2_XXS": (114.4, 8.4, 16.1), "IQ1_M": (99.0, 8.2, 14.9), "IQ1_S": (89.9, 8.1, 14.2),
}  # fmt: skip
CACHES = [
    (32_768, "f16", 1.25), (131_072, "f16", 5.0), (1_000_000, "f16", 38.15), (1 << 20, "f16", 40.0),
    (131_072, "q8_0", 2.656), (1_000_000, "q8_0", 20.27), (131_072, "q4_0", 1.406),
]  # fmt: skip


@pytest.mark.parametrize("name", MEASURED)
def test_weights_agree_with_the_engines_own_mixing(name: str, m1: dict[str, Variant]) -> None:
    weights, beside, active = MEASURED[name]
    variant = m1[name]
    assert variant.weights_bytes / GIB == pytest.approx(weights, rel=0.001)
    assert variant.active_bytes / 1e9 == pytest.approx(active, rel=0.006)
    if beside is not None:
        left = variant.weights_bytes - variant.expert_bytes - variant.embedding_bytes
        assert left / GIB == pytest.approx(beside, abs=0.06)


def test_the_parameters_are_those_of_the_model(m1: dict[str, Variant]) -> None:
    variant = m1["Q4_K_M"]
    assert variant.parameters / 1e9 == pytest.approx(456.09, rel=1e-4)
    active = variant.dense_parameters + variant.expert_parameters
    assert active / 1e9 == pytest.approx(45.93, rel=1e-3)
    assert variant.bits_per_weight == pytest.approx(4.86, abs=0.01)


@pytest.mark.parametrize("preset", preset_names())
def test_every_preset_gives_the_same_sizes(preset: str, m1: dict[str, Variant]) -> None:
    needs = plan(load_machine(preset), m1["Q4_K_M"], Wished(131_072)).needs
    assert needs.weights / GIB == pytest.approx(257.9, rel=0.01)
    assert needs.kv_cache == 5 * GIB
    assert needs.state == 293_601_280


@pytest.mark.parametrize(("context", "kv_type", "gib"), CACHES)
def test_the_cache_grows_as_measured(
    context: int, kv_type: str, gib: float, m1: dict[str, Variant]
) -> None:
    wished = Wished(context, kv_type=kv_type)
    needs = plan(load_machine("h100-x8"), m1["Q4_K_M"], wished).needs
    assert needs.kv_cache / GIB == pytest.approx(gib, rel=0.002)


def test_the_longest_context_is_the_trained_one_where_memory_is_plenty(
    m1: dict[str, Variant],
) -> None:
    fit = plan(load_machine("h200-x8"), m1["Q4_K_M"], Wished(8192))
    assert fit.max_context_tokens == 1_080_000 // 256 * 256
