"""What vLLM can run on a machine: tensor-parallel sizes, memory per GPU, versions, refusals."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from m1desk.fit.formulas import kv_cache_bytes
from m1desk.fit.machines import PlanDevice, PlanMachine
from m1desk.fit.variant import ModelShape, Variant
from m1desk.fit.words import size_text

VllmQuantization = Literal["bf16", "experts_int8"]
VllmKvType = Literal["auto", "fp8"]

_GIB: Final = 1 << 30
_LARGEST_SIZE: Final = 64
GPU_MEMORY_SHARE: Final = 0.92
"""Of each GPU, `--gpu-memory-utilization`; vLLM's default is 0.9 to 0.92."""
_WORKSPACE: Final = 4 * _GIB
"""Activations, graphs and the collective library on each GPU: an assumption."""
FIRST_VERSION: Final = "0.12.0"
"""The arguments written here are those of this version and later ones."""
_LEAST_CAPABILITY: Final = (8, 0)
_OLD_GPUS: Final = re.compile(r"v100|t4|rtx 20[678]0|gtx|p100")
"""Names of older ones. The RTX 2050 is not, nor are the RTX 2000 Ada and its kin."""
_MINIMAX: Final = frozenset(
    {"minimax-01", "MiniMaxM1ForCausalLM", "MiniMaxText01ForCausalLM", "MiniMaxForCausalLM"}
)
_MINIMAX_SEQUENCES: Final = 8
_ACCELERATORS: Final = frozenset({"nvidia", "nvidia_unified", "nvidia_datacenter"})


@dataclass(frozen=True, slots=True)
class VllmFit:
    """vLLM with one number of GPUs working as one.

    Attributes:
        tensor_parallel: how many GPUs each layer is cut over.
        pipeline_parallel: how many stages of layers there are, each with so many GPUs.
        weights_bytes, state_bytes: on each GPU.
        cache_tokens: tokens of KV cache that all GPUs together have room for; 0 if the weights
            alone find none.
        fits: whether the context wished for has room.
        reasons: whole sentences.
        arguments: what to start vLLM with, for this model.
    """

    tensor_parallel: int
    weights_bytes: int
    state_bytes: int
    cache_tokens: int
    fits: bool
    reasons: tuple[str, ...]
    arguments: tuple[str, ...]
    pipeline_parallel: int = 1


def tensor_parallel_sizes(shape: ModelShape, kv_heads: int) -> tuple[int, ...]:
    """Numbers of GPUs (up to 64) that divide the heads as vLLM wants it.

    The query heads must divide evenly, and the KV heads too, or each GPU takes a copy of one.
    """
    return tuple(
        size
        for size in range(1, _LARGEST_SIZE + 1)
        if shape.heads % size == 0 and (kv_heads % size == 0 or size % kv_heads == 0)
    )


def loaded_bytes(variant: Variant, quantization: VllmQuantization) -> int:
    """Bytes of a BF16 checkpoint once loaded; `experts_int8` halves the experts while loading.

    The download is the whole BF16 checkpoint either way.
    """
    experts = _expert_parameters(variant)
    whole = 2 * variant.parameters
    return whole if quantization == "bf16" else whole - experts


def supported_versions(architecture: str) -> tuple[str, str] | None:
    """First and last version that knows the architecture; None: no limit is known."""
    return ("0.9.2", "0.23.0") if architecture in _MINIMAX else None


def refuse_version(architecture: str, version: str) -> str:
    """Why this version of vLLM can't run the architecture; "" when nothing speaks against it."""
    versions = supported_versions(architecture)
    if versions is None or _within(version, versions):
        return ""
    return (
        f"vLLM {version} does not know this architecture (its support lasted from "
        f"{versions[0]} to {versions[1]}): install vLLM {versions[1]} for it, in an "
        "environment of its own."
    )


def supports_pipeline(shape: ModelShape) -> bool:
    """Whether vLLM can deal the layers out to stages; MiniMax-M1's class refuses."""
    return shape.architecture not in _MINIMAX


def refuse(machine: PlanMachine, variant: Variant, version: str | None = None) -> str:
    """Why vLLM must not be tried at all, in words; "" when nothing speaks against it."""
    if not machine.devices or machine.hardware_class not in _ACCELERATORS:
        return "vLLM needs NVIDIA GPUs for a model of this size."
    if _is_too_old(machine.devices[0]):
        return f"vLLM needs compute capability 8.0; {machine.devices[0].name} is older."
    return refuse_version(variant.shape.architecture, version) if version else ""


def _is_too_old(device: PlanDevice) -> bool:
    if device.compute_capability:
        return version_numbers(device.compute_capability) < _LEAST_CAPABILITY
    return _OLD_GPUS.search(device.name.lower()) is not None


@dataclass(frozen=True, slots=True)
class VllmWish:
    """What is asked of vLLM.

    Attributes:
        context_tokens: the longest request.
        quantization: done while loading a BF16 checkpoint.
        parallel: `--max-num-seqs`; each sequence has a recurrent state.
        pipeline: stages that the layers are dealt out to, in order; 1: none.
        kv_type: of the KV cache; "auto": the model's own, in 16 bits.
    """

    context_tokens: int = 131_072
    quantization: VllmQuantization = "bf16"
    parallel: int = _MINIMAX_SEQUENCES
    pipeline: int = 1
    kv_type: VllmKvType = "auto"


def plan_vllm(
    machine: PlanMachine, variant: Variant, kv_heads: int, wish: VllmWish
) -> tuple[VllmFit, ...]:
    """Every size this machine can offer, from the smallest.

    Empty where vLLM is refused, and where the model has no layers for so many stages.

    Args:
        machine: its GPUs are taken as equal to the smallest.
        variant: of the model whose BF16 checkpoint is loaded.
        kv_heads: of a layer.
        wish: how it is to run.
    """
    shape = variant.shape
    possible = wish.pipeline <= shape.layers and (wish.pipeline == 1 or supports_pipeline(shape))
    if refuse(machine, variant) or not possible:
        return ()
    sizes = tensor_parallel_sizes(shape, kv_heads)
    return tuple(
        _fit(machine, variant, kv_heads, wish, size)
        for size in sizes
        if size * wish.pipeline <= len(machine.devices)
    )


def _fit(
    machine: PlanMachine, variant: Variant, kv_heads: int, wish: VllmWish, size: int
) -> VllmFit:
    shape = variant.shape
    # of the layers, the longest stage's share
    stage = math.ceil(shape.layers / wish.pipeline) / shape.layers
    weights = round(loaded_bytes(variant, wish.quantization) * stage) // size
    state = round(shape.state_bytes * wish.parallel * stage) // size
    each = min(device.total_bytes - device.used_bytes for device in machine.devices)
    gpus = size * wish.pipeline
    room = round(each * GPU_MEMORY_SHARE) - weights - state - _WORKSPACE
    # beyond as many GPUs as KV heads, each holds a copy of one head
    per_token = vllm_cache_bytes(shape, 256, wish.kv_type) / 256 * stage / min(size, kv_heads)
    tokens = int(max(0, room) / per_token) if per_token else 0
    return VllmFit(
        tensor_parallel=size,
        weights_bytes=weights,
        state_bytes=state,
        cache_tokens=tokens,
        fits=room > 0 and tokens >= wish.context_tokens,
        reasons=(
            f"{size_text(weights)} of weights on each of {gpus} GPUs with {size_text(each)}.",
            _room_text(room, tokens, wish.context_tokens),
        ),
        arguments=vllm_arguments(shape.architecture, size, wish),
        pipeline_parallel=wish.pipeline,
    )


def _room_text(room: int, tokens: int, context_tokens: int) -> str:
    if room <= 0:
        return f"{size_text(-room)} are missing on each GPU before any context."
    if tokens < context_tokens:
        return f"There is room for {tokens:,} tokens of context, not for {context_tokens:,}."
    return f"There is room for {tokens:,} tokens of context over all requests."


def vllm_cache_bytes(shape: ModelShape, tokens: int, kv_type: VllmKvType = "auto") -> int:
    """Bytes of KV cache for so many tokens, over all GPUs; one byte an element in fp8."""
    in_16_bits = kv_cache_bytes(shape, tokens, "f16")
    return in_16_bits // 2 if kv_type == "fp8" else in_16_bits


def runs_own_code(architecture: str) -> bool:
    """Whether loading the model runs Python code that comes with it."""
    return architecture in _MINIMAX


def vllm_arguments(architecture: str, size: int, wish: VllmWish) -> tuple[str, ...]:
    """What to start vLLM with for a wish, each layer cut over `size` GPUs.

    Args:
        architecture: a GGUF's word or the class in config.json.
        size: the tensor-parallel size.
        wish: how it is to run.
    """
    return tuple(_arguments(architecture, size, wish))


def _arguments(architecture: str, size: int, wish: VllmWish) -> Iterator[str]:
    yield from ("--tensor-parallel-size", str(size), "--max-model-len", str(wish.context_tokens))
    yield from ("--max-num-seqs", str(wish.parallel))
    if wish.pipeline > 1:
        yield from ("--pipeline-parallel-size", str(wish.pipeline))
    if wish.quantization == "experts_int8":
        yield from ("--quantization", "experts_int8")
    if wish.kv_type != "auto":
        yield from ("--kv-cache-dtype", wish.kv_type)
    if architecture in _MINIMAX:
        yield from ("--mamba-cache-dtype", "float32")
        yield from ("--enable-auto-tool-choice", "--tool-call-parser", "minimax")


def _expert_parameters(variant: Variant) -> int:
    shape = variant.shape
    if not shape.experts or not shape.experts_used:
        return 0
    return variant.expert_parameters * shape.experts // shape.experts_used


def _within(version: str, limits: tuple[str, str]) -> bool:
    first, last = (version_numbers(limit) for limit in limits)
    return first <= version_numbers(version) <= last


def version_numbers(version: str) -> tuple[int, ...]:
    """The numbers of a version such as "0.23.0+cu129", at most three, for comparing."""
    parts = version.split("+", maxsplit=1)[0].split(".")
    return tuple(int(part) for part in parts[:3] if part.isdigit())
