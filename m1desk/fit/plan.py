"""Will it fit, how well, how fast, and what would help: `plan(machine, variant, wished)`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from m1desk.fit.machines import PlanMachine
from m1desk.fit.placement import (
    FitVerdict,
    Needs,
    Placement,
    Wished,
    needs_of,
    place,
    raised,
)
from m1desk.fit.speed import (
    Efficiencies,
    Range,
    Situation,
    decode_speed,
    fitted_efficiencies,
    prefill_speed,
)
from m1desk.fit.variant import Variant
from m1desk.fit.words import reasons_of, size_text

ChangeKind = Literal["gpu_limit", "kv_type", "context", "quantization"]

RANKS: Final[dict[FitVerdict, int]] = {
    "fits_gpu": 0, "fits_offload": 1, "fits_disk": 2, "does_not_fit": 3,
}  # fmt: skip
_STEP: Final = 256
_LONGEST_UNKNOWN: Final = 1 << 20
_SMALLEST_USEFUL: Final = 2048


@dataclass(frozen=True, slots=True)
class Change:
    """Something the user can change, and what it would give."""

    kind: ChangeKind
    verdict: FitVerdict
    text: str
    wished: Wished
    variant: str


@dataclass(frozen=True, slots=True)
class FitPlan:
    """The answer for one machine, one variant and one wish. Bytes, tokens, seconds.

    Attributes:
        max_context_tokens: the longest context with a verdict no worse than this one's; where it
            does not fit, the longest that fits somehow; 0 if none does.
        prefill, decode: tokens a second at `wished.depth_tokens`.
        first_token_seconds, total_seconds: for `wished.input_tokens` and `output_tokens`.
        reasons: whole sentences, the sum first.
        changes: what would help, the nearest first; empty where nothing needs help.
    """

    machine: PlanMachine
    variant: Variant
    wished: Wished
    needs: Needs
    placement: Placement
    max_context_tokens: int
    prefill: Range
    decode: Range
    first_token_seconds: Range
    total_seconds: Range
    reasons: tuple[str, ...]
    changes: tuple[Change, ...]

    @property
    def verdict(self) -> FitVerdict:
        """Whether and how it fits."""
        return self.placement.verdict

    def to_json(self) -> dict[str, Any]:
        """One entry of the command line's `variants` (docs/cli.md names the keys)."""
        return {
            "name": self.variant.name,
            "weights_bytes": self.needs.weights,
            "kv_cache_bytes": self.needs.kv_cache,
            "state_bytes": self.needs.state,
            "compute_bytes": self.needs.compute,
            "total_bytes": self.needs.total,
            "verdict": self.verdict,
            "max_context_tokens": self.max_context_tokens,
            "prefill_tokens_per_second": _pair(self.prefill),
            "decode_tokens_per_second": _pair(self.decode),
            "reasons": list(self.reasons),
        }


def plan(
    machine: PlanMachine,
    variant: Variant,
    wished: Wished,
    *,
    efficiencies: Efficiencies | None = None,
    others: Sequence[Variant] = (),
    exact: Needs | None = None,
) -> FitPlan:
    """Plan one variant on one machine. A pure function.

    Args:
        machine: real or imagined.
        variant: what to run.
        wished: how.
        efficiencies: instead of those fitted to published measurements.
        others: other quantizations of the same model, to be proposed where this one is too large.
        exact: the engine's own figures; without them the formulas decide.

    Raises:
        BadInput: an unknown type of KV cache.
    """
    settled = _settled(machine)
    needs = exact or needs_of(variant, wished)
    placement = place(settled, variant, wished, needs)
    longest = longest_context(settled, variant, wished, placement.verdict)
    speeds = _speeds(settled, variant, wished, placement, efficiencies or fitted_efficiencies())
    changes = tuple(_changes(machine, variant, wished, placement.verdict, others))
    return FitPlan(
        machine=machine,
        variant=variant,
        wished=wished,
        needs=needs,
        placement=placement,
        max_context_tokens=longest,
        prefill=speeds.prefill,
        decode=speeds.decode,
        first_token_seconds=speeds.first_token,
        total_seconds=speeds.total,
        reasons=(
            *reasons_of(machine, variant, wished, needs, placement),
            *(change.text for change in changes[:1]),
        ),
        changes=changes,
    )


def verdict_of(machine: PlanMachine, variant: Variant, wished: Wished) -> FitVerdict:
    """The verdict alone, for long lists; raises BadInput as `plan` does."""
    return place(_settled(machine), variant, wished).verdict


def longest_context(
    machine: PlanMachine, variant: Variant, wished: Wished, verdict: FitVerdict
) -> int:
    """The longest context (tokens) with a verdict no worse; of "does_not_fit", any better one."""
    worst = min(RANKS[verdict], RANKS["fits_disk"])
    most = (variant.shape.trained_context_tokens or _LONGEST_UNKNOWN) // _STEP
    low, high = 0, max(most, 1)
    while low < high:
        middle = (low + high + 1) // 2
        tried = replace(wished, context_tokens=middle * _STEP)
        if RANKS[place(machine, variant, tried).verdict] <= worst:
            low = middle
        else:
            high = middle - 1
    return low * _STEP


def _settled(machine: PlanMachine) -> PlanMachine:
    """An imagined machine is set up for its purpose; a real one is as it is."""
    return raised(machine) if machine.set_up else machine


@dataclass(frozen=True, slots=True)
class _Speeds:
    prefill: Range
    decode: Range
    first_token: Range
    total: Range


def _speeds(
    machine: PlanMachine,
    variant: Variant,
    wished: Wished,
    placement: Placement,
    efficiencies: Efficiencies,
) -> _Speeds:
    if placement.verdict == "does_not_fit":
        nothing = Range(0.0, 0.0)
        return _Speeds(nothing, nothing, nothing, nothing)

    situation = Situation(machine, variant, placement, efficiencies)

    def at(depth: int) -> tuple[float, float]:
        there = replace(wished, depth_tokens=depth)
        return prefill_speed(situation, there), decode_speed(situation, there)

    kind = "cpu" if not placement.gpus else machine.hardware_class
    prefill, decode = at(wished.depth_tokens)
    # speed falls with depth: the middle of what is read, or written, stands for all of it
    mean_prefill, _ = at(wished.depth_tokens + wished.input_tokens // 2)
    _, mean_decode = at(wished.depth_tokens + wished.input_tokens + wished.output_tokens // 2)
    reading = wished.input_tokens / mean_prefill if mean_prefill else 0.0
    writing = wished.output_tokens / mean_decode if mean_decode else 0.0
    return _Speeds(
        prefill=efficiencies.range_of(prefill, kind),
        decode=efficiencies.range_of(decode, kind),
        first_token=_time_range(reading, efficiencies.range_of(1.0, kind)),
        total=_time_range(reading + writing, efficiencies.range_of(1.0, kind)),
    )


def _time_range(seconds: float, factors: Range) -> Range:
    return Range(seconds / factors.high, seconds / factors.low)


def _changes(
    machine: PlanMachine,
    variant: Variant,
    wished: Wished,
    verdict: FitVerdict,
    others: Sequence[Variant],
) -> Iterator[Change]:
    """What would give a better verdict, from what costs least to what costs most."""
    if verdict == "fits_gpu" or (verdict == "fits_offload" and not machine.devices):
        return
    best = RANKS[verdict]
    settled = _settled(machine)
    yield from _raise_limit(machine, variant, wished, verdict)
    if wished.kv_type == "f16" and wished.flash_attention:
        tried = replace(wished, kv_type="q8_0")
        better = place(settled, variant, tried).verdict
        if RANKS[better] < best:
            yield Change(
                "kv_type", better, f"With a q8_0 KV cache it {_words(better)}.", tried, variant.name
            )
    yield from _shorter_context(settled, variant, wished, verdict)
    for other in sorted(others, key=lambda one: -one.weights_bytes):
        if other.weights_bytes >= variant.weights_bytes:
            continue
        better = place(settled, other, wished).verdict
        if RANKS[better] < best:
            yield Change(
                "quantization",
                better,
                f"{other.name} ({size_text(other.weights_bytes)}) {_words(better)}.",
                wished,
                other.name,
            )
            return


def _raise_limit(
    machine: PlanMachine, variant: Variant, wished: Wished, verdict: FitVerdict
) -> Iterator[Change]:
    hint = next((device.raise_hint for device in machine.devices if device.raise_hint), "")
    if machine.set_up or not hint:
        return
    better = place(raised(machine), variant, wished).verdict
    if RANKS[better] < RANKS[verdict]:
        text = f"With the GPU's memory limit raised it {_words(better)}: {hint}"
        yield Change("gpu_limit", better, text.rstrip(".") + ".", wished, variant.name)


def _shorter_context(
    machine: PlanMachine, variant: Variant, wished: Wished, verdict: FitVerdict
) -> Iterator[Change]:
    ranked: tuple[FitVerdict, ...] = ("fits_gpu", "fits_offload", "fits_disk")
    for better in ranked:
        if RANKS[better] >= RANKS[verdict]:
            return
        tokens = longest_context(machine, variant, wished, better)
        if _SMALLEST_USEFUL <= tokens < wished.context_tokens:
            tried = replace(wished, context_tokens=tokens)
            text = f"With a context of {tokens:,} tokens it {_words(better)}."
            yield Change("context", better, text, tried, variant.name)
            return


def _words(verdict: FitVerdict) -> str:
    return {
        "fits_gpu": "fits on the GPU",
        "fits_offload": "fits with a part in main memory",
        "fits_disk": "runs from the disk, slowly",
        "does_not_fit": "does not fit",
    }[verdict]


def _pair(value: Range) -> list[float]:
    return [round(value.low, 2), round(value.high, 2)]
