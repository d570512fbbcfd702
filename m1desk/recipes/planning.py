"""Whether a model fits a cluster under vLLM, with which parallelism, and what else would fit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, Literal

from m1desk.errors import BadInput
from m1desk.fit import (
    FIRST_VERSION,
    Variant,
    VllmFit,
    VllmQuantization,
    VllmWish,
    plan_vllm,
    refuse,
    supported_versions,
    supports_pipeline,
    version_numbers,
)
from m1desk.recipes.cluster import ClusterSpec, cluster_of, known_gpus

Verdict = Literal["fits", "does_not_fit", "refused"]

CHECKED_VERSION: Final = "0.32.0"
"""The newest vLLM whose behaviour in a cluster was tried out."""
_STEP: Final = 256
_SHORTEST_USEFUL: Final = 2048
_MORE_NODES: Final = 16


@dataclass(frozen=True, slots=True)
class ServedModel:
    """What is to be served.

    Attributes:
        name: what clients call it.
        variant: its checkpoint in 16 bits.
        repository: "owner/name" on the hub; may be empty where there is a path.
        revision: a commit of the repository; empty: the newest at start.
        path: a folder that exists on every node, instead of the repository.
    """

    name: str
    variant: Variant
    repository: str = ""
    revision: str = ""
    path: str = ""

    @property
    def source(self) -> str:
        """What vLLM is told to load."""
        return self.path or self.repository


@dataclass(frozen=True, slots=True)
class ClusterWish:
    """How it is to run.

    Attributes:
        context_tokens: the longest request.
        parallel: requests at once.
        quantization: None: 16 bits where they fit, else experts in 8 bits.
        version: of vLLM; empty: the newest that is known to work.
    """

    context_tokens: int = 131_072
    parallel: int = 8
    quantization: VllmQuantization | None = None
    version: str = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """Which part of a cluster works, and how.

    Attributes:
        nodes, gpus_per_node: those that work; a cluster may have more.
        fit: vLLM's memory with it.
    """

    nodes: int
    gpus_per_node: int
    quantization: VllmQuantization
    fit: VllmFit


@dataclass(frozen=True, slots=True)
class ClusterPlan:
    """The answer for one model on one cluster.

    Attributes:
        version: of vLLM.
        layout: the best there is, also where it does not fit; None where vLLM is refused.
        reasons: whole sentences.
        alternatives: what would fit instead, the nearest first; empty where it fits.
    """

    model: ServedModel
    cluster: ClusterSpec
    wish: ClusterWish
    version: str
    verdict: Verdict
    layout: Layout | None
    reasons: tuple[str, ...]
    alternatives: tuple[str, ...] = ()


def plan_cluster(model: ServedModel, cluster: ClusterSpec, wish: ClusterWish) -> ClusterPlan:
    """Plan a model on a cluster; a pure function but for reading the presets of machines.

    Raises:
        BadInput: the version is no version.
    """
    version = wish.version or _best_version(model.variant)
    refusal = _refusal(model.variant, cluster, version)
    if refusal:
        return ClusterPlan(model, cluster, wish, version, "refused", None, (refusal,))
    layout = _best_layout(model.variant, cluster, wish)
    if layout is None:
        reason = f"{_sizes_text(cluster)} can't share this model's heads evenly."
        return ClusterPlan(model, cluster, wish, version, "refused", None, (reason,))
    fits = layout.fit.fits
    return ClusterPlan(
        model=model,
        cluster=cluster,
        wish=wish,
        version=version,
        verdict="fits" if fits else "does_not_fit",
        layout=layout,
        reasons=tuple(_reasons(model.variant, cluster, wish, layout)),
        alternatives=() if fits else tuple(_alternatives(model, cluster, wish, layout)),
    )


def _best_version(variant: Variant) -> str:
    known = supported_versions(variant.shape.architecture)
    return known[1] if known else CHECKED_VERSION


def _refusal(variant: Variant, cluster: ClusterSpec, version: str) -> str:
    numbers = version_numbers(version)
    if len(numbers) < 2:
        raise BadInput(f'"{version}" is no version of vLLM.', "", "Give one such as 0.32.0.")
    if numbers < version_numbers(FIRST_VERSION):
        return f"Recipes are written for vLLM {FIRST_VERSION} and later, not for {version}."
    return refuse(cluster.machine(), variant, version)


def _best_layout(variant: Variant, cluster: ClusterSpec, wish: ClusterWish) -> Layout | None:
    """The first that fits, in 16 bits before 8 and with many GPUs before few; else the largest."""
    every = [
        layout
        for quantization in _quantizations(variant, wish)
        for layout in _layouts(variant, cluster, wish, quantization)
    ]
    fitting = next((layout for layout in every if layout.fit.fits), None)
    return fitting or max(every, key=_nearness, default=None)


def _nearness(layout: Layout) -> tuple[int, int]:
    """Greater is nearer to fitting."""
    return layout.fit.cache_tokens, -layout.fit.weights_bytes


def _quantizations(variant: Variant, wish: ClusterWish) -> tuple[VllmQuantization, ...]:
    if wish.quantization is not None:
        return (wish.quantization,)
    return ("bf16", "experts_int8") if variant.shape.experts else ("bf16",)


def _layouts(
    variant: Variant, cluster: ClusterSpec, wish: ClusterWish, quantization: VllmQuantization
) -> Iterator[Layout]:
    """All that the heads allow, those with the most GPUs first.

    Several nodes become stages where the model allows it, because stages say little to each
    other; a layer cut over nodes needs a network as fast as the GPUs' own links.
    """
    machine, shape = cluster.machine(), variant.shape
    pairs = [
        (nodes, gpus)
        for nodes in range(1, cluster.nodes + 1)
        for gpus in range(1, cluster.gpus_per_node + 1)
    ]
    for nodes, gpus in sorted(pairs, key=lambda pair: (-pair[0] * pair[1], pair[0])):
        staged = nodes > 1 and supports_pipeline(shape)
        for stages in (nodes, 1) if staged else (1,):
            asked = VllmWish(wish.context_tokens, quantization, wish.parallel, stages)
            for fit in plan_vllm(machine, variant, shape.kv_heads, asked):
                if fit.tensor_parallel * stages == nodes * gpus:
                    yield Layout(nodes, gpus, quantization, fit)


def _sizes_text(cluster: ClusterSpec) -> str:
    return f"{cluster.gpus} GPUs on {cluster.nodes} nodes"


def _reasons(
    variant: Variant, cluster: ClusterSpec, wish: ClusterWish, layout: Layout
) -> Iterator[str]:
    fit = layout.fit
    stages = f", {fit.pipeline_parallel} stages of layers" if fit.pipeline_parallel > 1 else ""
    yield (
        f"Each layer is cut over {fit.tensor_parallel} GPUs (tensor parallel){stages}; "
        f"{'16-bit weights' if layout.quantization == 'bf16' else 'experts in 8 bits'}."
    )
    yield from fit.reasons
    used = layout.nodes * layout.gpus_per_node
    if used < cluster.gpus:
        yield (
            f"{used} of {cluster.gpus} GPUs are used ({layout.nodes} x {layout.gpus_per_node}): "
            "the model's heads allow no better share."
        )
    trained = variant.shape.trained_context_tokens
    if trained and wish.context_tokens > trained:
        yield f"The model was made for at most {trained:,} tokens of context."


def _alternatives(
    model: ServedModel, cluster: ClusterSpec, wish: ClusterWish, layout: Layout
) -> Iterator[str]:
    """What would fit, from what costs least to what costs most."""
    variant = model.variant
    if wish.quantization == "bf16" and variant.shape.experts:
        smaller = replace(wish, quantization="experts_int8")
        if _fits(variant, cluster, smaller):
            yield "With the experts in 8 bits (experts_int8) it fits."
    tokens = layout.fit.cache_tokens // _STEP * _STEP
    if _SHORTEST_USEFUL <= tokens < wish.context_tokens:
        yield f"With a context of {tokens:,} tokens it fits."
    for nodes in range(cluster.nodes + 1, _MORE_NODES + 1):
        more = cluster.with_nodes(nodes)
        if _fits(variant, more, wish):
            yield f"{more.text} has room."
            break
    for gpu in reversed(known_gpus()):  # the smallest first
        other = cluster_of(cluster.nodes, cluster.gpus_per_node, gpu)
        if other.gpu_bytes > cluster.gpu_bytes and _fits(variant, other, wish):
            yield f"{other.text} has room."
            break


def _fits(variant: Variant, cluster: ClusterSpec, wish: ClusterWish) -> bool:
    if refuse(cluster.machine(), variant):
        return False
    layout = _best_layout(variant, cluster, wish)
    return layout is not None and layout.fit.fits
