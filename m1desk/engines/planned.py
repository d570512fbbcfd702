"""From a plan to a load, and back: the settings a plan asks for, the wish behind settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from m1desk.engines.calibration import EngineCalibration
from m1desk.engines.llama import choose_flash_attention
from m1desk.engines.status import LlamaSettings
from m1desk.fit import Wished, expert_layers

if TYPE_CHECKING:
    from pathlib import Path

    from m1desk.fit import FitPlan, Placement


def settings_of(plan: FitPlan, path: Path) -> LlamaSettings:
    """What to load `path` with, so that what was planned is what is loaded."""
    wished, placement = plan.wished, plan.placement
    return LlamaSettings(
        model_path=path,
        context_tokens=wished.context_tokens,
        parallel=wished.parallel,
        gpu_layers=_gpu_layers(placement, plan.variant.shape.layers),
        kv_type=wished.kv_type,
        ubatch_tokens=wished.ubatch_tokens,
        flash_attention=wished.flash_attention,
        cpu_expert_layers=expert_layers(placement.expert_layers_in_ram, plan.variant.shape.layers),
    )


def wished_of(
    settings: LlamaSettings, calibration: EngineCalibration | None, depth_tokens: int = 0
) -> Wished:
    """What settings wish for, with what calibration chooses where they leave it open.

    The placement is the planner's to decide, unless the settings name a number of layers.
    """
    asked = settings.gpu_layers
    return Wished(
        context_tokens=settings.context_tokens,
        parallel=settings.parallel,
        kv_type=settings.kv_type,
        ubatch_tokens=settings.ubatch_tokens,
        flash_attention=choose_flash_attention(settings, calibration or EngineCalibration()),
        depth_tokens=depth_tokens,
        gpu_layers=None if asked < 0 else max(0, asked - 1),  # the output counts as one
    )


def _gpu_layers(placement: Placement, layers: int) -> int:
    """As the engine counts them: the output is one more, and goes to the GPU first."""
    if not placement.gpus:
        return 0
    return -1 if placement.gpu_layers == layers else placement.gpu_layers + 1
