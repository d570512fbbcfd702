"""Where each part of a model lies: on which device, in main memory, or on the disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from m1desk.fit.formulas import compute_bytes, kv_cache_bytes, state_bytes
from m1desk.fit.machines import PlanDevice, PlanMachine
from m1desk.fit.variant import Variant

FitVerdict = Literal["fits_gpu", "fits_offload", "fits_disk", "does_not_fit"]
"""On the accelerators; with layers or experts in main memory; with weights read from the disk again
and again; not at all."""

GPU_OVERHEAD_BYTES: Final = 512 << 20
"""What a driver takes for a program on each GPU; 0.4 to 0.6 GiB with CUDA."""
WORKER_OVERHEAD_BYTES: Final = 160 << 20
"""What the engine's process takes beside the model."""


@dataclass(frozen=True, slots=True)
class Wished:
    """What is asked of a model.

    Attributes:
        context_tokens: context length (tokens), shared by all requests.
        parallel: requests served at once.
        kv_type: type of the KV cache.
        ubatch_tokens: tokens computed at once in prefill.
        depth_tokens: tokens already read when speed is asked for.
        input_tokens, output_tokens: of one request, for its time.
        gpu_layers: layers on the GPU, beside the output; None, or less than 0, lets the planner
            decide.
    """

    context_tokens: int = 8192
    parallel: int = 1
    kv_type: str = "f16"
    ubatch_tokens: int = 512
    flash_attention: bool = True
    depth_tokens: int = 0
    input_tokens: int = 2048
    output_tokens: int = 512
    gpu_layers: int | None = None


@dataclass(frozen=True, slots=True)
class Needs:
    """Bytes a model takes, by purpose."""

    weights: int
    kv_cache: int
    state: int
    compute: int

    @property
    def total(self) -> int:
        """All of it, as the engine counts it: without the overhead of processes and drivers."""
        return self.weights + self.kv_cache + self.state + self.compute


@dataclass(frozen=True, slots=True)
class Place:
    """What lies on one device, or in main memory (bytes).

    Attributes:
        layers: how many have their attention here.
        weights: of all kinds; `experts` is the routed experts' part of it.
        overhead: of drivers and the engine's process.
        others: what other processes hold.
        reserve: left to the system.
        capacity: all there is.
    """

    name: str
    layers: int
    weights: int
    experts: int
    kv_cache: int
    state: int
    compute: int
    overhead: int
    others: int
    reserve: int
    capacity: int

    @property
    def model_bytes(self) -> int:
        """What the model takes here, with its overhead."""
        return self.weights + self.kv_cache + self.state + self.compute + self.overhead

    @property
    def free_bytes(self) -> int:
        """What is left; negative where it does not fit."""
        return self.capacity - self.others - self.reserve - self.model_bytes


@dataclass(frozen=True, slots=True)
class Placement:
    """All places and the verdict on them.

    Attributes:
        gpus: one for each accelerator used.
        ram: main memory; on a unified machine only what the accelerator does not hold.
        expert_layers_in_ram: layers whose experts lie in main memory.
        disk_bytes: weights that find no room and are read again and again.
        missing_bytes: what is lacking where it does not fit.
    """

    verdict: FitVerdict
    gpus: tuple[Place, ...]
    ram: Place
    expert_layers_in_ram: int = 0
    disk_bytes: int = 0
    missing_bytes: int = 0

    @property
    def gpu_layers(self) -> int:
        """Layers on accelerators."""
        return sum(gpu.layers for gpu in self.gpus)


def expert_layers(count: int, layers: int) -> tuple[int, ...]:
    """Which `count` of a model's `layers` keep their experts in main memory: evenly spread.

    The engine deals layers out to several GPUs in order, so each of them gets a like share.
    """
    return tuple(
        layer for layer in range(layers) if (layer + 1) * count // layers > layer * count // layers
    )


def needs_of(variant: Variant, wished: Wished) -> Needs:
    """Bytes by purpose; raises BadInput for an unknown type of KV cache."""
    return Needs(
        weights=variant.weights_bytes,
        kv_cache=kv_cache_bytes(variant.shape, wished.context_tokens, wished.kv_type),
        state=state_bytes(variant.shape, wished.parallel),
        compute=compute_bytes(
            variant.shape,
            wished.context_tokens,
            wished.ubatch_tokens,
            flash_attention=wished.flash_attention,
            kv_type=wished.kv_type,
            outputs=wished.parallel,  # our worker asks for one row of logits for each request
        ),
    )


def raised(machine: PlanMachine) -> PlanMachine:
    """The machine with every limit raised that a setting raises."""
    devices = tuple(
        replace(device, total_bytes=max(device.total_bytes, device.raisable_bytes))
        for device in machine.devices
    )
    return replace(machine, devices=devices)


def place(
    machine: PlanMachine, variant: Variant, wished: Wished, needs: Needs | None = None
) -> Placement:
    """Place a model as the engine would: all on accelerators, else experts, else layers in RAM.

    Layers of a model are counted as equal; they differ by some per cent in reality. Over several
    GPUs llama.cpp deals layers out in order, each GPU with a compute buffer of its own.

    `needs` are exact figures, if there are any; else the formulas' are taken.
    """
    layout = _Layout(machine, variant, needs or needs_of(variant, wished), wished.gpu_layers)
    for attempt in (layout.all_on_gpus, layout.experts_in_ram, layout.layers_in_ram):
        placement = attempt()
        if placement is not None:
            return placement
    return layout.without_gpus()


@dataclass(frozen=True, slots=True)
class _Layout:
    """One model on one machine, tried in several ways; a way that can't be gives None."""

    machine: PlanMachine
    variant: Variant
    needs: Needs
    gpu_layers: int | None

    @property
    def _layers(self) -> int:
        return max(self.variant.shape.layers, 1)

    @property
    def _layer_cache(self) -> float:
        return (self.needs.kv_cache + self.needs.state) / self._layers

    @property
    def _layer_experts(self) -> float:
        return self.variant.expert_bytes / self._layers

    @property
    def _layer_dense(self) -> float:
        variant = self.variant
        tables = variant.embedding_bytes + variant.output_bytes
        return (variant.weights_bytes - variant.expert_bytes - tables) / self._layers

    def all_on_gpus(self) -> Placement | None:
        devices = self.machine.devices
        if not devices or not self._wants_all():
            return None
        layer = self._layer_dense + self._layer_experts + self._layer_cache
        dealt = self._deal(layer, self._layers)
        if sum(dealt) < self._layers:
            return None
        gpus = tuple(self._gpus(dealt, [float(count) for count in dealt]))
        return self._judged(gpus, "fits_gpu")

    def experts_in_ram(self) -> Placement | None:
        """Attention on the GPUs; of the experts, as many as find room beside it."""
        if not self.variant.expert_bytes or not self.machine.devices or not self._wants_all():
            return None
        if self.machine.unified:
            return None  # main memory is the same memory: nothing is gained
        dealt = self._deal(self._layer_dense + self._layer_cache, self._layers, spread=True)
        if sum(dealt) < self._layers:
            return None
        rooms = [
            self._room(device) - count * (self._layer_dense + self._layer_cache)
            for device, count in zip(self.machine.devices, dealt, strict=True)
        ]
        rooms[-1] -= self.variant.output_bytes
        with_experts = [
            float(max(0, min(count, int(room // self._layer_experts))))
            for room, count in zip(rooms, dealt, strict=True)
        ]
        gpus = tuple(self._gpus(dealt, with_experts))
        placement = self._judged(gpus, "fits_offload")
        return replace(placement, expert_layers_in_ram=round(self._layers - sum(with_experts)))

    def layers_in_ram(self) -> Placement | None:
        """As many layers on the GPUs as fit, or as asked for."""
        wanted = self._layers if self._wants_all() else self.gpu_layers
        if not self.machine.devices or not wanted:
            return None
        layer = self._layer_dense + self._layer_experts + self._layer_cache
        dealt = self._deal(layer, wanted)
        if not sum(dealt):
            return None
        # the engine puts the output there before any layer
        gpus = tuple(self._gpus(dealt, [float(count) for count in dealt]))
        return self._judged(gpus, "fits_offload")

    def without_gpus(self) -> Placement:
        return self._judged((), "fits_offload")

    def _wants_all(self) -> bool:
        return self.gpu_layers is None or self.gpu_layers < 0 or self.gpu_layers >= self._layers

    def _room(self, device: PlanDevice) -> float:
        return max(0.0, device.usable_bytes - GPU_OVERHEAD_BYTES - self.needs.compute)

    def _deal(self, layer: float, wanted: int, *, spread: bool = False) -> list[int]:
        """How many layers each GPU takes; `spread` deals them by room, else each is filled."""
        rooms = [self._room(device) for device in self.machine.devices]
        rooms[-1] = max(0.0, rooms[-1] - self.variant.output_bytes)
        most = [int(room // layer) if layer else wanted for room in rooms]
        if spread and sum(most) >= wanted:
            return _by_share(most, wanted)
        dealt: list[int] = []
        for count in most:
            dealt.append(min(count, wanted - sum(dealt)))
        return dealt

    def _gpus(self, dealt: Sequence[int], with_experts: Sequence[float]) -> Iterator[Place]:
        last = max((place for place, count in enumerate(dealt) if count), default=0)
        for number, device in enumerate(self.machine.devices):
            count = dealt[number]
            if not count:
                continue
            experts = round(with_experts[number] * self._layer_experts)
            top = self.variant.output_bytes if number == last else 0
            yield Place(
                name=device.name,
                layers=count,
                weights=round(count * self._layer_dense) + experts + top,
                experts=experts,
                kv_cache=round(count * self.needs.kv_cache / self._layers),
                state=round(count * self.needs.state / self._layers),
                compute=self.needs.compute,
                overhead=GPU_OVERHEAD_BYTES,
                others=device.used_bytes,
                reserve=device.kept_bytes,
                capacity=device.total_bytes,
            )

    def _judged(self, gpus: tuple[Place, ...], verdict: FitVerdict) -> Placement:
        """Put the rest into main memory, and say what does not fit there."""
        ram = self._ram(gpus)
        lacking = -ram.free_bytes
        if self.machine.unified:
            lacking += sum(gpu.model_bytes for gpu in gpus)
        if lacking <= 0:
            return Placement(verdict, gpus, ram)
        # weights are mapped from the file: the system drops pages it lacks room for
        droppable = ram.weights
        if self.machine.unified:
            droppable += sum(gpu.weights for gpu in gpus)
        if lacking <= droppable:
            return Placement("fits_disk", gpus, ram, disk_bytes=lacking)
        return Placement("does_not_fit", gpus, ram, missing_bytes=lacking - droppable)

    def _ram(self, gpus: tuple[Place, ...]) -> Place:
        machine, needs = self.machine, self.needs
        layers = self._layers - sum(gpu.layers for gpu in gpus)
        return Place(
            name="main memory",
            layers=layers,
            weights=max(0, needs.weights - sum(gpu.weights for gpu in gpus)),
            experts=max(0, self.variant.expert_bytes - sum(gpu.experts for gpu in gpus)),
            kv_cache=max(0, needs.kv_cache - sum(gpu.kv_cache for gpu in gpus)),
            state=max(0, needs.state - sum(gpu.state for gpu in gpus)),
            compute=needs.compute if layers else 0,
            overhead=WORKER_OVERHEAD_BYTES,
            others=machine.ram_used_bytes,
            reserve=machine.reserve_bytes,
            capacity=machine.ram_total_bytes,
        )


def _by_share(most: Sequence[int], wanted: int) -> list[int]:
    """Deal `wanted` in proportion to `most`, none above its own."""
    whole = sum(most)
    dealt = [count * wanted // whole for count in most]
    for number, count in enumerate(most):
        missing = wanted - sum(dealt)
        dealt[number] += min(missing, count - dealt[number])
    return dealt
