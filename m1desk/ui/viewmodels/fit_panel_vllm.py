"""What vLLM could do with the chosen model on the chosen machine."""

from __future__ import annotations

from dataclasses import dataclass

from m1desk.fit import (
    PlanMachine,
    Variant,
    VllmFit,
    VllmWish,
    plan_vllm,
    refuse,
    supported_versions,
)


@dataclass(frozen=True, slots=True)
class VllmPlan:
    """All tensor-parallel sizes of one machine.

    Attributes:
        refusal: why vLLM must not be tried; "" when nothing speaks against it.
        versions: which versions know the architecture, in words; "" if no limit is known.
    """

    fits: tuple[VllmFit, ...]
    refusal: str
    versions: str


def vllm_plan(machine: PlanMachine, checkpoint: Variant, wish: VllmWish) -> VllmPlan:
    """Plan a checkpoint in 16 bits."""
    shape = checkpoint.shape
    known = supported_versions(shape.architecture)
    return VllmPlan(
        fits=plan_vllm(machine, checkpoint, shape.kv_heads, wish),
        refusal=refuse(machine, checkpoint),
        versions=f"vLLM {known[0]} to {known[1]} know this architecture." if known else "",
    )
