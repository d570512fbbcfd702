"""What can't work under vLLM, found out before anything is started."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from m1desk.engines.vllm.checkpoint import Checkpoint, read_checkpoint
from m1desk.engines.vllm.settings import VllmSettings, is_cpu_build
from m1desk.errors import EngineFailed
from m1desk.fit import (
    FIRST_VERSION,
    loaded_bytes,
    plan_vllm,
    refuse,
    refuse_version,
    size_text,
    supports_pipeline,
    tensor_parallel_sizes,
    version_numbers,
    vllm_cache_bytes,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from m1desk.engines.environments.values import EngineEnvironment
    from m1desk.fit import PlanMachine

_FLOAT32_TIMES: Final = 2  # of 16 bits
_SMALLER: Final = (
    "Load it with a smaller context length or for fewer requests at once, or choose a smaller "
    "variant of the model."
)


def refuse_settings(settings: VllmSettings, machine: Callable[[], PlanMachine]) -> None:
    """Look at everything that is known before the start, the cheapest first.

    Args:
        settings: what is to be loaded.
        machine: looks at this machine as it is now.

    Raises:
        ModelFileError: the folder holds no usable checkpoint.
        EngineFailed: it can't work.
    """
    check_environment(settings.environment)
    checkpoint = read_checkpoint(settings.model_path)
    check_version(settings.environment, checkpoint.architecture, settings.name)
    refuse_checkpoint(settings, checkpoint, machine)


def refuse_checkpoint(
    settings: VllmSettings, checkpoint: Checkpoint, machine: Callable[[], PlanMachine]
) -> None:
    """Look at what a checkpoint that was read, and its settings, take; raises EngineFailed."""
    _check_template(settings)
    _check_numbers(settings, checkpoint)
    _check_layout(settings, checkpoint)
    if is_cpu_build(settings.environment):
        _check_main_memory(settings, checkpoint, machine())
    else:
        _check_gpus(settings, checkpoint, machine())


def check_environment(environment: EngineEnvironment) -> None:
    """Refuse an interpreter that is gone, and a vLLM of before our time; raises EngineFailed."""
    if not environment.is_there:
        raise EngineFailed(
            f"The engine environment {environment.name} is not there any more.",
            f"There is no {environment.python}.",
            "Install it again: `m1desk engines install`.",
        )
    if version_numbers(environment.version) < version_numbers(FIRST_VERSION):
        raise EngineFailed(
            f"vLLM {environment.version} is too old.",
            f"M1 Desk speaks to version {FIRST_VERSION} and later ones.",
            "Install a newer one: `m1desk engines install`.",
        )


def check_version(environment: EngineEnvironment, architecture: str, name: str) -> None:
    """Refuse a model that this version does not know; raises EngineFailed."""
    reason = refuse_version(architecture, environment.version)
    if reason:
        raise EngineFailed(
            f"{name} does not run on vLLM {environment.version}.",
            reason,
            "Choose an environment with a version that does, or install one: `m1desk engines "
            "install`.",
        )


def _check_template(settings: VllmSettings) -> None:
    """Read it before the start: vLLM does so only when the weights are loaded, and then ends."""
    template = settings.chat_template
    if template is None:
        return
    try:
        text = template.read_text(encoding="utf-8")
    except OSError as error:
        why = f"The system says: {error.strerror or error}."
        raise _no_template(template, why) from error
    except UnicodeDecodeError as error:
        raise _no_template(template, "It is no text in UTF-8.") from error
    if not text.strip():
        raise _no_template(template, "The file is empty.")


def _no_template(template: Path, why: str) -> EngineFailed:
    return EngineFailed(
        f"{template.name} is no chat template.",
        why,
        "Choose a file in the language Jinja (.jinja), or none: then the model's own is used.",
    )


def _check_numbers(settings: VllmSettings, checkpoint: Checkpoint) -> None:
    wish = settings.wish
    longest = checkpoint.context_tokens
    if wish.context_tokens <= 0 or wish.parallel <= 0:
        raise _impossible(
            settings, "The context length and the number of requests must be above 0."
        )
    if longest and wish.context_tokens > longest:
        raise _impossible(
            settings,
            f"It was made for at most {longest:,} tokens of context, not for "
            f"{wish.context_tokens:,}.",
        )
    if checkpoint.is_quantized and wish.quantization != "bf16":
        raise _impossible(settings, "It is quantized already, and can't be quantized once more.")


def _check_layout(settings: VllmSettings, checkpoint: Checkpoint) -> None:
    shape, wish = checkpoint.variant.shape, settings.wish
    sizes = tensor_parallel_sizes(shape, checkpoint.kv_heads)
    if settings.tensor_parallel not in sizes:
        possible = ", ".join(map(str, sizes))
        raise _impossible(
            settings,
            f"{settings.tensor_parallel} devices can't share its {shape.heads} heads and "
            f"{checkpoint.kv_heads} KV heads evenly; {possible} can.",
        )
    if wish.pipeline > 1 and not supports_pipeline(shape):
        raise _impossible(settings, "vLLM can't deal the layers of this model out to stages.")
    if settings.one_process and settings.devices > 1:
        raise _impossible(settings, "Several devices need several processes.")


def _check_main_memory(
    settings: VllmSettings, checkpoint: Checkpoint, machine: PlanMachine
) -> None:
    """The build for processors; it is asked for no stages, which it computes wrongly or not."""
    if settings.wish.pipeline > 1:
        raise _impossible(settings, "vLLM for processors is not used with stages.")
    need = main_memory_bytes(settings, checkpoint)
    free = machine.ram_usable_bytes
    if need > free:
        raise _no_room(
            settings, f"It needs {size_text(need)} of main memory; {size_text(free)} are free."
        )


def main_memory_bytes(settings: VllmSettings, checkpoint: Checkpoint) -> int:
    """Weights and KV cache in main memory (bytes)."""
    times = _FLOAT32_TIMES if settings.dtype == "float32" else 1
    cache = settings.kv_cache_bytes
    if cache is None:
        wish = settings.wish
        cache = times * vllm_cache_bytes(checkpoint.variant.shape, wish.context_tokens)
    return times * loaded_bytes(checkpoint.variant, settings.wish.quantization) + cache


def _check_gpus(settings: VllmSettings, checkpoint: Checkpoint, machine: PlanMachine) -> None:
    reason = refuse(machine, checkpoint.variant, settings.environment.version)
    if reason:
        raise EngineFailed(
            f"{settings.name} can't run under vLLM on this machine.",
            reason,
            "Use llama.cpp here, or a server elsewhere.",
        )
    if settings.devices > len(machine.devices):
        raise _impossible(
            settings, f"{settings.devices} GPUs were asked for; {len(machine.devices)} are there."
        )
    fits = plan_vllm(machine, checkpoint.variant, checkpoint.kv_heads, settings.wish)
    fit = next((one for one in fits if one.tensor_parallel == settings.tensor_parallel), None)
    if fit is None:
        raise _impossible(settings, "Its layers can't be dealt out to so many stages.")
    if not fit.fits:
        raise _no_room(settings, " ".join(fit.reasons))


def _impossible(settings: VllmSettings, why: str) -> EngineFailed:
    return EngineFailed(
        f"{settings.name} can't be loaded with these settings.",
        why,
        "Change that setting and load it again.",
    )


def _no_room(settings: VllmSettings, why: str) -> EngineFailed:
    return EngineFailed(f"There is no room for {settings.name}.", why, _SMALLER)
