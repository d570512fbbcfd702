"""From a checkpoint, a wish and a machine to the settings that are the best there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from m1desk.engines.vllm.checkpoint import Checkpoint
from m1desk.engines.vllm.refusals import (
    check_environment,
    check_version,
    main_memory_bytes,
    refuse_checkpoint,
)
from m1desk.engines.vllm.settings import VllmSettings, is_cpu_build
from m1desk.errors import EngineFailed
from m1desk.fit import (
    VllmWish,
    plan_vllm,
    refuse,
    size_text,
    supports_pipeline,
    vllm_cache_bytes,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from m1desk.engines.environments.values import EngineEnvironment
    from m1desk.fit import PlanMachine, VllmFit, VllmKvType, VllmQuantization

_USUAL_CONTEXT: Final = 32_768
_LEAST_CACHE: Final = 64 << 20
_CACHE_SHARE: Final = 4  # of the free main memory at most a quarter for more than one request
_FLOAT32_TIMES: Final = 2
_LOADED: Final[dict[VllmQuantization, str]] = {
    "bf16": "weights as they are stored",
    "experts_int8": "experts brought to 8 bits while loading",
}


@dataclass(frozen=True, slots=True)
class ServeWish:
    """What a person asks for; what is left open, the machine decides.

    Attributes:
        context_tokens: of one request; None: what the model was made for, at most 32,768.
        parallel: requests at once.
        quantization: done while loading; None: none where it fits so.
        devices: how many GPUs; None: as many as help.
        chat_template: a file in place of the model's own template.
        port: on 127.0.0.1, 0 for a free one; None: a socket.
    """

    context_tokens: int | None = None
    parallel: int = 8
    quantization: VllmQuantization | None = None
    kv_type: VllmKvType = "auto"
    devices: int | None = None
    chat_template: Path | None = None
    port: int | None = None


@dataclass(frozen=True, slots=True)
class VllmPlan:
    """How a checkpoint is served, and in whole sentences what that takes of the machine."""

    settings: VllmSettings
    reasons: tuple[str, ...]


def plan_for(
    environment: EngineEnvironment, checkpoint: Checkpoint, wish: ServeWish, machine: PlanMachine
) -> VllmPlan:
    """Choose how a checkpoint is served on a machine.

    Args:
        environment: whose vLLM is used.
        checkpoint: the model.
        wish: what is asked for.
        machine: as it is now, or an imagined one.

    Raises:
        EngineFailed: it can't work there; the message says what would have to change.
    """
    check_environment(environment)
    check_version(environment, checkpoint.architecture, checkpoint.folder.name)
    longest = checkpoint.context_tokens or _USUAL_CONTEXT
    asked = VllmWish(
        context_tokens=wish.context_tokens or min(longest, _USUAL_CONTEXT),
        parallel=wish.parallel,
        kv_type=wish.kv_type,
    )
    settings = VllmSettings(
        environment,
        checkpoint.folder,
        checkpoint.architecture,
        wish=asked,
        chat_template=wish.chat_template,
        port=wish.port,
    )
    choose = _on_processors if is_cpu_build(environment) else _on_gpus
    plan = choose(settings, checkpoint, wish, machine)
    refuse_checkpoint(plan.settings, checkpoint, lambda: machine)
    return plan


def _on_processors(
    settings: VllmSettings, checkpoint: Checkpoint, wish: ServeWish, machine: PlanMachine
) -> VllmPlan:
    """In 32 bits: on processors whose matrix units are broken, 16 end it at the first request."""
    shape = checkpoint.variant.shape
    one = _FLOAT32_TIMES * vllm_cache_bytes(shape, settings.wish.context_tokens)
    several = min(one * wish.parallel, machine.ram_usable_bytes // _CACHE_SHARE)
    cache = max(_LEAST_CACHE, one, several)
    chosen = replace(
        settings,
        tensor_parallel=wish.devices or 1,
        wish=replace(settings.wish, quantization=wish.quantization or "bf16"),
        dtype="float32",
        is_eager=True,  # compiling for processors wants a C++ compiler, which few people have
        kv_cache_bytes=cache,
    )
    whole = main_memory_bytes(chosen, checkpoint)
    return VllmPlan(
        chosen,
        (
            "Computes with the processor, in 32 bits.",
            f"Takes {size_text(whole)} of main memory, {size_text(cache)} of it for KV cache.",
        ),
    )


def _on_gpus(
    settings: VllmSettings, checkpoint: Checkpoint, wish: ServeWish, machine: PlanMachine
) -> VllmPlan:
    refusal = refuse(machine, checkpoint.variant, settings.environment.version)
    if refusal:
        raise EngineFailed(
            f"{settings.name} can't run under vLLM on this machine.",
            refusal,
            "Use llama.cpp here, or a server elsewhere.",
        )
    every = list(_layouts(settings.wish, checkpoint, wish, machine))
    best = next(((asked, fit) for asked, fit in every if fit.fits), None)
    if best is None:
        raise _nothing_fits(settings, wish, every)
    asked, fit = best
    chosen = replace(settings, tensor_parallel=fit.tensor_parallel, wish=asked)
    return VllmPlan(chosen, (_layout_text(asked, fit), *fit.reasons))


def _layout_text(asked: VllmWish, fit: VllmFit) -> str:
    gpus = fit.tensor_parallel * asked.pipeline
    parts = [f"{gpus} GPU{'' if gpus == 1 else 's'}"]
    if fit.tensor_parallel > 1:
        parts.append(f"each layer cut over {fit.tensor_parallel} (tensor parallel)")
    if asked.pipeline > 1:
        parts.append(f"the layers dealt out to {asked.pipeline} stages")
    parts.append(_LOADED[asked.quantization])
    return f"{', '.join(parts)}."


def _layouts(
    asked: VllmWish, checkpoint: Checkpoint, wish: ServeWish, machine: PlanMachine
) -> Iterator[tuple[VllmWish, VllmFit]]:
    """In 16 bits before 8, without stages before with them, with many GPUs before few."""
    variant, most = checkpoint.variant, len(machine.devices)
    can_quantize = bool(variant.shape.experts) and not checkpoint.is_quantized
    kinds: tuple[VllmQuantization, ...] = ("bf16", "experts_int8") if can_quantize else ("bf16",)
    stages = range(1, most + 1) if supports_pipeline(variant.shape) else (1,)
    for quantization in (wish.quantization,) if wish.quantization else kinds:
        for pipeline in stages:
            tried = replace(asked, quantization=quantization, pipeline=pipeline)
            for fit in reversed(plan_vllm(machine, variant, checkpoint.kv_heads, tried)):
                if wish.devices in {None, fit.tensor_parallel * pipeline}:
                    yield tried, fit


def _nothing_fits(
    settings: VllmSettings, wish: ServeWish, every: list[tuple[VllmWish, VllmFit]]
) -> EngineFailed:
    if not every:
        return EngineFailed(
            f"{settings.name} can't be shared out to {wish.devices} GPUs.",
            "They must divide its heads, or its layers, evenly.",
            "Ask for another number of GPUs, or for none in particular.",
        )
    _, nearest = max(every, key=lambda one: (one[1].cache_tokens, -one[1].weights_bytes))
    tokens = nearest.cache_tokens
    todo = (
        f"With a context of {tokens:,} tokens it fits."
        if tokens
        else "Choose a smaller variant of the model, or a machine with more GPU memory."
    )
    return EngineFailed(f"There is no room for {settings.name}.", " ".join(nearest.reasons), todo)
