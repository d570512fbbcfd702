"""How fast: prefill and decode as a roofline of bandwidth, operations and depth.

Decode reads, for each token, the active weights, the KV cache up to the depth, and reads and writes
the recurrent state; layers on several devices run one after the other, so their times add up.
Prefill computes two operations for each weight at work and four for each query element and token
looked back at, and reads all weights once a batch. One efficiency for each class of hardware
says what part of the specification's bandwidth and operations is reached.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from m1desk.fit.data import read_resource
from m1desk.fit.formulas import kv_cache_bytes
from m1desk.fit.machines import HardwareClass, PlanMachine
from m1desk.fit.placement import Place, Placement, Wished
from m1desk.fit.variant import Variant

_TILES: Final[Mapping[HardwareClass, int]] = {"apple": 32}
_TILE: Final = 128
"""Tokens the engine's matrix kernels take at once: an expert that sees half as many of a batch
reaches half of the speed. llama.cpp's Metal kernel for experts takes 32, those for other GPUs up
to 128."""


@dataclass(frozen=True, slots=True)
class Range:
    """From the cautious to the hopeful guess."""

    low: float
    high: float

    @property
    def middle(self) -> float:
        """The guess itself."""
        return (self.low + self.high) / 2


@dataclass(frozen=True, slots=True)
class Efficiencies:
    """What part of the specification each class of hardware reaches.

    Attributes:
        by_class: 0.0 to about 1.0.
        spread: how far a prediction may be off, as a part of it.
        measured: classes whose value was measured on this machine; their spread is smaller.
    """

    by_class: Mapping[HardwareClass, float]
    spread: float = 0.35
    measured: frozenset[HardwareClass] = frozenset()
    measured_spread: float = 0.2

    def of(self, hardware_class: HardwareClass) -> float:
        """The efficiency of a class."""
        return self.by_class[hardware_class]

    def with_measured(self, hardware_class: HardwareClass, value: float) -> Efficiencies:
        """Replace one by what was measured here."""
        return Efficiencies(
            {**self.by_class, hardware_class: value},
            self.spread,
            self.measured | {hardware_class},
            self.measured_spread,
        )

    def range_of(self, value: float, hardware_class: HardwareClass) -> Range:
        """`value` with what it may be off."""
        spread = self.measured_spread if hardware_class in self.measured else self.spread
        return Range(value * (1 - spread), value * (1 + spread))


@functools.cache
def fitted_efficiencies() -> Efficiencies:
    """Those fitted to published measurements; `bench/speed.py` fits and prints them."""
    data = read_resource("efficiencies.json")
    return Efficiencies({name: float(value) for name, value in data["efficiencies"].items()})


@dataclass(frozen=True, slots=True)
class Work:
    """What one place does for a token.

    Attributes:
        decode_bytes: read to write one token, at the depth asked about.
        dense_operations, expert_operations: to read one token of a prompt.
        batch_bytes: weights read once a batch of a prompt.
        bandwidth, flops: of the device, by specification.
    """

    hardware_class: HardwareClass
    decode_bytes: float
    dense_operations: float
    expert_operations: float
    batch_bytes: float
    bandwidth: float
    flops: float


@dataclass(frozen=True, slots=True)
class Situation:
    """One model, placed on one machine, and what that machine reaches."""

    machine: PlanMachine
    variant: Variant
    placement: Placement
    efficiencies: Efficiencies


def works_of(situation: Situation, wished: Wished) -> tuple[Work, ...]:
    """Share the work of a token among the places."""
    machine, variant = situation.machine, situation.variant
    by_name = {device.name: device for device in machine.devices}
    works = []
    for gpu in situation.placement.gpus:
        device = by_name[gpu.name]
        works.append(
            _work(gpu, variant, wished, (device.hardware_class, device.bandwidth, device.flops))
        )
    ram = situation.placement.ram
    if ram.layers or ram.experts:
        works.append(_work(ram, variant, wished, ("cpu", machine.ram_bandwidth, machine.cpu_flops)))
    return tuple(works)


def _work(
    place: Place,
    variant: Variant,
    wished: Wished,
    device: tuple[HardwareClass, float, float],
) -> Work:
    shape = variant.shape
    hardware_class, bandwidth, flops = device
    layers = place.layers / max(shape.layers, 1)
    experts = place.experts / variant.expert_bytes if variant.expert_bytes else 0.0
    dense_bytes = place.weights - place.experts
    if place.name == "main memory":
        dense_bytes = max(0, dense_bytes - variant.embedding_bytes)
    cache = kv_cache_bytes(shape, wished.depth_tokens, wished.kv_type) if wished.depth_tokens else 0
    looked_back = 4 * shape.attention_inner * wished.depth_tokens
    return Work(
        hardware_class=hardware_class,
        decode_bytes=dense_bytes
        + variant.active_experts * experts
        + (cache + 2 * shape.state_bytes) * layers,
        dense_operations=(2 * variant.dense_parameters + looked_back) * layers,
        expert_operations=2 * variant.expert_parameters * experts,
        batch_bytes=dense_bytes + place.experts,
        bandwidth=bandwidth,
        flops=flops,
    )


def decode_speed(situation: Situation, wished: Wished) -> float:
    """Tokens a second of one answer, at the depth asked about."""
    works = works_of(situation, wished)
    seconds = sum(
        work.decode_bytes / (situation.efficiencies.of(work.hardware_class) * work.bandwidth)
        for work in works
    )
    disk = _disk_share(situation.placement) * _from_disk(works, situation.machine)
    return 1 / (seconds + disk) if seconds else 0.0


def _disk_share(placement: Placement) -> float:
    """What part of the weights in main memory is not there when it is wanted."""
    weights = placement.ram.weights + sum(gpu.weights for gpu in placement.gpus)
    return min(1.0, placement.disk_bytes / weights) if weights else 0.0


def _from_disk(works: tuple[Work, ...], machine: PlanMachine) -> float:
    """Seconds a token would take if all its weights came from the disk."""
    return sum(work.decode_bytes for work in works) / machine.disk_bandwidth


def prefill_speed(situation: Situation, wished: Wished) -> float:
    """Tokens a second of a prompt, at the depth asked about."""
    machine, variant = situation.machine, situation.variant
    size = max(1, min(wished.ubatch_tokens, wished.context_tokens))
    batch = _Batch(
        tokens=size,
        seen=_experts_seen(variant, size),
        fullness=_tile_fullness(variant, size, machine.hardware_class),
    )
    seconds = sum(
        _prefill_seconds(work, machine, situation.efficiencies, batch)
        for work in works_of(situation, wished)
    )
    seconds += situation.placement.disk_bytes * batch.seen / machine.disk_bandwidth / size
    return 1 / seconds if seconds else 0.0


@dataclass(frozen=True, slots=True)
class _Batch:
    """A batch of a prompt: its tokens, the part of the weights it touches, how full its tiles."""

    tokens: int
    seen: float
    fullness: float


def _prefill_seconds(
    work: Work, machine: PlanMachine, efficiencies: Efficiencies, batch: _Batch
) -> float:
    """Seconds one place takes for each token of a prompt.

    Weights in main memory are computed where they lie, or sent to a GPU batch by batch, as
    llama.cpp does for large batches; whichever is faster.
    """
    efficiency = efficiencies.of(work.hardware_class)
    read = work.batch_bytes * batch.seen / batch.tokens
    operations = _operations(work, batch.fullness)
    here = (read / work.bandwidth + operations / work.flops) / efficiency
    if work.hardware_class != "cpu" or not machine.devices or machine.unified:
        return here
    gpu = machine.devices[0]
    reached = efficiencies.of(gpu.hardware_class)
    sent = read / gpu.link_bandwidth
    on_gpu = work.dense_operations + work.expert_operations / batch.fullness
    return min(here, sent + on_gpu / (reached * gpu.flops))


def _operations(work: Work, fullness: float) -> float:
    # processors compute row by row: a small batch costs them nothing extra
    share = 1.0 if work.hardware_class == "cpu" else fullness
    return work.dense_operations + work.expert_operations / share


def _experts_seen(variant: Variant, batch: int) -> float:
    """What part of the weights a batch touches, each token choosing its experts at random."""
    shape = variant.shape
    if not shape.experts or not variant.weights_bytes:
        return 1.0
    seen = 1 - (1 - shape.experts_used / shape.experts) ** batch
    experts = variant.expert_bytes / variant.weights_bytes
    return 1 - experts * (1 - seen)


def _tile_fullness(variant: Variant, batch: int, hardware_class: HardwareClass) -> float:
    shape = variant.shape
    if not shape.experts:
        return 1.0
    tokens = batch * shape.experts_used / shape.experts
    return tokens / (tokens + _TILES.get(hardware_class, _TILE) / 2)
