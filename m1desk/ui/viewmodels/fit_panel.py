"""A plan for the eye: bars of memory by purpose, a verdict in a word, changes to click on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from m1desk.fit import Change, FitPlan, Place, Range
from m1desk.ui.units import bytes_text, seconds_text, short_count, tokens_text

Purpose = Literal[
    "weights", "kv_cache", "state", "compute", "overhead", "others", "reserve", "disk", "missing"
]
PURPOSE_NAMES: Final[dict[Purpose, str]] = {
    "weights": "weights",
    "kv_cache": "KV cache",
    "state": "recurrent state",
    "compute": "compute and output",
    "overhead": "driver and engine",
    "others": "other programs",
    "reserve": "kept for the system",
    "disk": "weights without room",
    "missing": "missing",
}
_EACH_SHOWN: Final = 2
"""So many GPUs have a bar of their own; of more, the fullest stands for all."""


@dataclass(frozen=True, slots=True)
class Bar:
    """The memory of one place (bytes), its parts in the order they are drawn."""

    name: str
    capacity: int
    parts: tuple[tuple[Purpose, int], ...]

    @property
    def used(self) -> int:
        """All parts together; more than `capacity` where it does not fit."""
        return sum(size for _, size in self.parts)

    @property
    def free(self) -> int:
        """What is left."""
        return max(0, self.capacity - self.used)

    @property
    def text(self) -> str:
        """The bar in words."""
        parts = (f"{PURPOSE_NAMES[purpose]} {bytes_text(size)}" for purpose, size in self.parts)
        return f"{self.name}, {bytes_text(self.capacity)}: {', '.join(parts)}, free " + bytes_text(
            self.free
        )


@dataclass(frozen=True, slots=True)
class VerdictLook:
    """How a verdict is shown: an icon's name, a word or two, a tone of the theme."""

    icon: str
    word: str
    tone: Literal["success", "accent", "warning", "danger"]


def verdict_look(plan: FitPlan) -> VerdictLook:
    """The look of a plan's verdict."""
    placement = plan.placement
    if plan.verdict == "fits_gpu":
        return VerdictLook("check", "Fits on the GPU", "success")
    if plan.verdict == "fits_disk":
        return VerdictLook("alert", "From disk, slow", "warning")
    if plan.verdict == "does_not_fit":
        return VerdictLook("close", "Does not fit", "danger")
    if not placement.gpus:
        return VerdictLook("cpu", "Fits in memory", "accent")
    what = "Experts" if placement.expert_layers_in_ram else "Layers"
    return VerdictLook("memory", f"{what} in RAM", "accent")


def bars_of(plan: FitPlan) -> tuple[Bar, ...]:
    """The memory of each place the plan uses, GPUs first."""
    placement = plan.placement
    lacking = _lacking(plan)
    if plan.machine.unified:
        return (_bar("Shared memory", placement.ram, (*placement.gpus, placement.ram), lacking),)
    ram = _bar("Main memory", placement.ram, (placement.ram,), lacking)
    return (*_gpu_bars(placement.gpus), ram)


def _gpu_bars(gpus: Sequence[Place]) -> Iterator[Bar]:
    if len(gpus) <= _EACH_SHOWN:
        yield from (_bar(gpu.name, gpu, (gpu,), ()) for gpu in gpus)
        return
    fullest = min(gpus, key=lambda gpu: gpu.free_bytes)
    yield _bar(f"Fullest of {len(gpus)} GPUs", fullest, (fullest,), ())


def _lacking(plan: FitPlan) -> tuple[tuple[Purpose, int], ...]:
    placement = plan.placement
    if placement.verdict == "fits_disk":
        return (("disk", placement.disk_bytes),)
    if placement.verdict == "does_not_fit":
        return (("missing", placement.missing_bytes),)
    return ()


def _bar(
    name: str, room: Place, held: Sequence[Place], lacking: tuple[tuple[Purpose, int], ...]
) -> Bar:
    """The bar of `room`, in which all of `held` lies."""
    weights = sum(place.weights for place in held)
    # what finds no room is drawn at the end, where the memory is over
    weights = max(0, weights - sum(size for purpose, size in lacking if purpose == "disk"))
    parts: tuple[tuple[Purpose, int], ...] = (
        ("others", room.others),
        ("reserve", room.reserve),
        ("overhead", sum(place.overhead for place in held)),
        ("compute", sum(place.compute for place in held)),
        ("state", sum(place.state for place in held)),
        ("kv_cache", sum(place.kv_cache for place in held)),
        ("weights", weights),
    )
    missing = any(purpose == "missing" for purpose, _ in lacking)
    if missing:  # all weights may stay on the disk, and it is still too much
        parts = parts[:-1]
    over = lacking if not missing else ()
    return Bar(name, room.capacity, tuple(part for part in (*parts, *over) if part[1]))


@dataclass(frozen=True, slots=True)
class Chip:
    """A change that a control of the panel makes; `label` for a button, `text` what it gives."""

    label: str
    text: str
    change: Change


def chips_of(changes: Iterable[Change]) -> tuple[Chip, ...]:
    """Those changes that can be made here, in the order given."""
    labelled = ((_label(change), change) for change in changes)
    return tuple(Chip(label, change.text, change) for label, change in labelled if label)


def _label(change: Change) -> str:
    if change.kind == "kv_type":
        return f"Take a {change.wished.kv_type} KV cache"
    if change.kind == "context":
        return f"Shorten to {tokens_text(change.wished.context_tokens)} tokens"
    return f"Take {change.variant}" if change.kind == "quantization" else ""


def speed_range(speed: Range) -> str:
    """A range of speeds (tokens a second): "7.0–14.5", "2.5K–5.1K"; a dash where there is none."""
    if not speed.high:
        return "–"
    if speed.low >= 1000:
        return f"{short_count(speed.low)}–{short_count(speed.high)}"
    digits = 0 if speed.high >= 100 else 1 if speed.high >= 1 else 2
    return f"{speed.low:,.{digits}f}–{speed.high:,.{digits}f}"


def seconds_range(time: Range) -> str:
    """A range of durations: "12.0 s to 25.1 s"; a dash where there is none."""
    if not time.high:
        return "–"
    return f"{seconds_text(time.low)} to {seconds_text(time.high)}"
