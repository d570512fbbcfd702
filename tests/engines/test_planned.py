"""What is planned is what is loaded: plans become settings, settings become wishes."""

from __future__ import annotations

from pathlib import Path

import pytest

from m1desk.engines import EngineCalibration, LlamaSettings, settings_of, wished_of
from m1desk.engines.llama import make_spec
from m1desk.fit import (
    PlanDevice,
    PlanMachine,
    Variant,
    Wished,
    expert_layers,
    known_variants,
    load_machine,
    plan,
)

GIB = 1 << 30
PATH = Path("model.gguf")


def desktop(gpu_gib: float) -> PlanMachine:
    gpus = (PlanDevice("GPU", "nvidia", round(gpu_gib * GIB), 0, 1e12, 1e14),) if gpu_gib else ()
    return PlanMachine("test", "a test machine", False, 64 * GIB, GIB, 6e10, 1e12, gpus)


@pytest.fixture(scope="module")
def llama() -> Variant:
    return known_variants("Llama-3.1-8B", ("Q8_0",))[0]


@pytest.fixture(scope="module")
def m1() -> Variant:
    return known_variants("MiniMax-M1-80k", ("Q4_K_M",))[0]


def test_what_fits_goes_to_the_gpu_whole(llama: Variant) -> None:
    settings = settings_of(plan(desktop(24), llama, Wished(8192)), PATH)
    assert settings.gpu_layers == -1
    assert settings.cpu_expert_layers == ()


def test_without_a_gpu_nothing_goes_there(llama: Variant) -> None:
    assert settings_of(plan(desktop(0), llama, Wished(8192)), PATH).gpu_layers == 0


def test_of_layers_the_output_counts_as_one_more(llama: Variant) -> None:
    fit = plan(desktop(6), llama, Wished(8192))
    assert fit.verdict == "fits_offload"
    assert 0 < fit.placement.gpu_layers < 32
    assert settings_of(fit, PATH).gpu_layers == fit.placement.gpu_layers + 1
    assert fit.placement.gpus[0].weights > fit.placement.gpu_layers / 32 * llama.weights_bytes / 2


def test_experts_planned_for_main_memory_are_told_to_the_worker(m1: Variant) -> None:
    fit = plan(load_machine("epyc-768-rtx-4090"), m1, Wished(32_768))
    settings = settings_of(fit, PATH)
    assert settings.gpu_layers == -1
    assert len(settings.cpu_expert_layers) == fit.placement.expert_layers_in_ram > 60
    argv = make_spec(settings, EngineCalibration(), ("worker",), Path("states")).argv
    told = argv[argv.index("--cpu-expert-layers") + 1]
    assert tuple(map(int, told.split(","))) == settings.cpu_expert_layers


def test_several_gpus_get_a_like_share_of_the_experts() -> None:
    chosen = expert_layers(30, 80)
    assert len(chosen) == len(set(chosen)) == 30
    quarters = [sum(start <= layer < start + 20 for layer in chosen) for start in (0, 20, 40, 60)]
    assert max(quarters) - min(quarters) <= 1
    assert expert_layers(0, 80) == ()
    assert expert_layers(80, 80) == tuple(range(80))


def test_settings_made_of_a_plan_wish_for_what_was_planned(llama: Variant) -> None:
    wished = Wished(16_384, parallel=3, kv_type="q8_0", ubatch_tokens=1024)
    for gib in (0, 6, 24):
        first = plan(desktop(gib), llama, wished)
        again = plan(desktop(gib), llama, wished_of(settings_of(first, PATH), None))
        assert again.placement == first.placement
        assert again.needs == first.needs


def test_a_choice_left_open_is_calibrations() -> None:
    slower = EngineCalibration(flash_attention=False)
    assert not wished_of(LlamaSettings(PATH, context_tokens=4096), slower).flash_attention
    assert wished_of(LlamaSettings(PATH, context_tokens=4096), None).flash_attention
