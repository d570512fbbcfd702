"""Predicted against actual speed, kept, and used to predict better the next time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Final, Protocol

from m1desk.fit.machines import HardwareClass, PlanMachine
from m1desk.fit.placement import Wished
from m1desk.fit.plan import FitPlan, plan
from m1desk.fit.speed import Efficiencies
from m1desk.fit.variant import variant_from_table

_KEY: Final = "fit-speeds"
_MOST_RECORDS: Final = 200
_LEAST: Final = 0.01
_MOST: Final = 2.0

CALIBRATION_VARIANT: Final = variant_from_table(
    "calibration", "Q8_0",
    {"layers": 6, "width": 1024, "heads": 16, "head_length": 64, "attention_layers": 6,
     "kv_heads": 4, "experts": 0, "experts_used": 0, "vocabulary": 294,
     "dense_parameters": 0.0676, "expert_parameters": 0.0, "weights": 0.0725, "expert_bytes": 0.0,
     "embedding_bytes": 0.0003, "output_bytes": 0.0003},
)  # fmt: skip
"""The model the engine's ten-second benchmark runs: 68 million parameters, 72 MB."""
CALIBRATION_WISHED: Final = Wished(context_tokens=512, ubatch_tokens=256, depth_tokens=0)


class MeasurementStore(Protocol):
    """Where records are kept: `m1desk.store.Measurements`."""

    def get(self, key: str) -> Mapping[str, Any] | None:
        """Return what was put under `key`."""

    def put(self, key: str, value: Mapping[str, object]) -> None:
        """Keep `value`."""


@dataclass(frozen=True, slots=True)
class SpeedRecord:
    """One real answer beside its prediction (tokens a second; 0.0: nothing to measure).

    Attributes:
        model, variant: their names.
        hardware_class: of the device that computed.
        depth_tokens: how much had been read when it wrote.
        predicted_with: the efficiency the prediction was made with.
    """

    model: str
    variant: str
    hardware_class: HardwareClass
    depth_tokens: int
    predicted_prefill: float
    predicted_decode: float
    actual_prefill: float
    actual_decode: float
    predicted_with: float
    time: float = 0.0

    @property
    def decode_error(self) -> float:
        """How far the prediction was off, as a part of what was measured; 0.0 if nothing was."""
        return self.predicted_decode / self.actual_decode - 1 if self.actual_decode else 0.0

    @property
    def prefill_error(self) -> float:
        """The same for prefill."""
        return self.predicted_prefill / self.actual_prefill - 1 if self.actual_prefill else 0.0


def read_records(measurements: MeasurementStore, machine_key: str) -> tuple[SpeedRecord, ...]:
    """All records of this machine, oldest first; what can't be read is left out."""
    stored = measurements.get(f"{_KEY}/{machine_key}") or {}
    entries = stored.get("records", [])
    records = []
    for entry in entries if isinstance(entries, list) else []:
        try:
            records.append(SpeedRecord(**entry))
        except TypeError:
            continue
    return tuple(records)


def keep_record(measurements: MeasurementStore, machine_key: str, record: SpeedRecord) -> None:
    """Add one; only the newest two hundred stay."""
    records = [*read_records(measurements, machine_key), record][-_MOST_RECORDS:]
    measurements.put(f"{_KEY}/{machine_key}", {"records": [asdict(one) for one in records]})


def efficiencies_here(
    start: Efficiencies,
    machine: PlanMachine,
    records: Sequence[SpeedRecord],
    calibration: tuple[float, float] | None = None,
) -> Efficiencies:
    """Replace fitted efficiencies by what was measured on this machine.

    Real runs count before the benchmark. Speed is in proportion to the efficiency, so a run says
    what it should have been: predicted with x (actual / predicted).

    Args:
        start: those fitted to published measurements.
        machine: this one.
        records: of real runs; of each class the median counts.
        calibration: decode and prefill tokens a second of the engine's benchmark.
    """
    found = start
    if calibration and all(calibration):
        name, value = _from_benchmark(start, machine, calibration[0])
        found = found.with_measured(name, value)
    for name in sorted({record.hardware_class for record in records}):
        implied = [
            record.predicted_with * record.actual_decode / record.predicted_decode
            for record in records
            if record.hardware_class == name and record.predicted_decode and record.actual_decode
        ]
        if implied:
            found = found.with_measured(name, _bounded(median(implied)))
    return found


def _from_benchmark(
    start: Efficiencies, machine: PlanMachine, decode: float
) -> tuple[HardwareClass, float]:
    predicted = plan(machine, CALIBRATION_VARIANT, CALIBRATION_WISHED, efficiencies=start)
    name: HardwareClass = machine.hardware_class if predicted.placement.gpus else "cpu"
    middle = predicted.decode.middle
    return name, _bounded(start.of(name) * decode / middle if middle else start.of(name))


def record_of(
    predicted: FitPlan, efficiencies: Efficiencies, actual: tuple[float, float], time: float
) -> SpeedRecord:
    """Put a real run beside what was predicted for it.

    Args:
        predicted: the plan of the very variant, settings and depth that ran.
        efficiencies: what that plan was made with.
        actual: decode and prefill, tokens a second; 0.0 where nothing was measured.
        time: seconds since the epoch.
    """
    name = _slowest(predicted)
    return SpeedRecord(
        model=predicted.variant.model,
        variant=predicted.variant.name,
        hardware_class=name,
        depth_tokens=predicted.wished.depth_tokens,
        predicted_prefill=predicted.prefill.middle,
        predicted_decode=predicted.decode.middle,
        actual_prefill=actual[1],
        actual_decode=actual[0],
        predicted_with=efficiencies.of(name),
        time=time,
    )


def _slowest(predicted: FitPlan) -> HardwareClass:
    """Whose speed decides: main memory's, when most of the model lies there."""
    placement, machine = predicted.placement, predicted.machine
    on_gpus = sum(gpu.model_bytes for gpu in placement.gpus)
    in_ram = 0 if machine.unified else placement.ram.model_bytes
    return "cpu" if not on_gpus or in_ram > 2 * on_gpus else machine.hardware_class


def _bounded(value: float) -> float:
    return min(max(value, _LEAST), _MOST)
