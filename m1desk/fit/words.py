"""Verdicts in words: what a model takes, where it lies, and why it does not fit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from m1desk.fit.machines import PlanMachine
from m1desk.fit.placement import Needs, Placement, Wished
from m1desk.fit.variant import Variant

_MIB: Final = 1 << 20
_GIB: Final = 1 << 30


def size_text(count: int) -> str:
    """A size as people read it: "258 GiB", "4.2 GiB", "280 MiB"."""
    if count >= 100 * _GIB:
        return f"{count / _GIB:.0f} GiB"
    return f"{count / _GIB:.1f} GiB" if count >= _GIB else f"{count / _MIB:.0f} MiB"


def reasons_of(
    machine: PlanMachine, variant: Variant, wished: Wished, needs: Needs, placement: Placement
) -> Iterator[str]:
    """The sum, the place of each part, and what is special about it; whole sentences."""
    yield _sum(wished, needs)
    yield _where(machine, variant, placement)
    limited = next((one for one in machine.devices if one.raisable_bytes > one.total_bytes), None)
    taken = max((gpu.model_bytes for gpu in placement.gpus), default=0)
    fits = placement.verdict == "fits_gpu"
    if fits and machine.set_up and limited and taken > limited.usable_bytes:
        yield (
            f"The GPU must be allowed {size_text(taken)} of memory, more than its usual limit of "
            f"{size_text(limited.total_bytes)}: {limited.raise_hint}."
        )
    trained = variant.shape.trained_context_tokens
    if trained and wished.context_tokens > trained:
        yield f"The model was made for at most {trained:,} tokens of context."


def _sum(wished: Wished, needs: Needs) -> str:
    parts = [f"{size_text(needs.weights)} of weights"]
    if needs.kv_cache:
        parts.append(
            f"{size_text(needs.kv_cache)} of KV cache ({wished.context_tokens:,} tokens, "
            f"{wished.kv_type})"
        )
    if needs.state:
        parts.append(f"{size_text(needs.state)} of recurrent state")
    parts.append(f"{size_text(needs.compute)} to compute in")
    return f"It takes {size_text(needs.total)}: {', '.join(parts[:-1])} and {parts[-1]}."


def _where(machine: PlanMachine, variant: Variant, placement: Placement) -> str:
    free = size_text(machine.ram_usable_bytes)
    if placement.verdict == "fits_gpu":
        return _all_on_gpus(machine, placement)
    if placement.verdict == "does_not_fit":
        return (
            f"{size_text(placement.missing_bytes)} are missing even with all weights left on the "
            f"disk: {_free(machine)} can be used."
        )
    if placement.verdict == "fits_disk":
        return (
            f"{size_text(placement.disk_bytes)} of the weights find no room ({_free(machine)} can "
            "be used) and would be read from the disk again and again, which is slow."
        )
    if not placement.gpus:
        how = "the GPU has no room for a layer" if machine.devices else "there is no GPU"
        return (
            f"All of it lies in main memory ({free} can be used), where the processor computes: "
            f"{how}."
        )
    if placement.expert_layers_in_ram:
        return (
            f"The attention of all {placement.gpu_layers} layers and "
            f"{size_text(sum(gpu.model_bytes for gpu in placement.gpus))} in all lie on the GPU, "
            f"the experts of {placement.expert_layers_in_ram} layers "
            f"({size_text(placement.ram.experts)}) in main memory ({free} can be used)."
        )
    return (
        f"{placement.gpu_layers} of {variant.shape.layers} layers lie on the GPU, the rest "
        f"({size_text(placement.ram.model_bytes)}) in main memory ({free} can be used)."
    )


def _all_on_gpus(machine: PlanMachine, placement: Placement) -> str:
    if machine.unified:
        return f"The GPU computes on all of it, in {_free(machine)} that can be used."
    count = len(placement.gpus)
    rooms = [gpu.model_bytes + gpu.free_bytes for gpu in placement.gpus]
    if count == 1:
        return f"All of it lies on the GPU, of which {size_text(rooms[0])} can be used."
    return f"It is spread over {count} GPUs, of which {size_text(min(rooms))} each can be used."


def _free(machine: PlanMachine) -> str:
    ram = size_text(machine.ram_usable_bytes)
    if machine.unified or not machine.devices:
        return f"{ram} of memory"
    gpus = sum(device.usable_bytes for device in machine.devices)
    return f"{size_text(gpus)} of GPU memory and {ram} of main memory"
