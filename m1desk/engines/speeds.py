"""Finished answers beside what was predicted for them, so that the next prediction is better."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from m1desk.engines.calibration import remembered_calibration
from m1desk.engines.fingerprint import machine_fingerprint
from m1desk.engines.planned import settings_of, wished_of
from m1desk.fit import (
    efficiencies_here,
    fitted_efficiencies,
    keep_record,
    machine_from_probe,
    plan,
    read_records,
    record_of,
    variant_from_header,
)
from m1desk.models import read_gguf_header

if TYPE_CHECKING:
    from collections.abc import Callable

    from m1desk.engines.calibration import MeasurementStore
    from m1desk.engines.status import LlamaSettings
    from m1desk.engines.turn import TurnFinished
    from m1desk.fit import Efficiencies, FitPlan, PlanMachine, SpeedRecord, Variant
    from m1desk.hardware import Machine

_LEAST_WRITTEN_TOKENS: Final = 64
_LEAST_READ_TOKENS: Final = 512
_LEAST_SECONDS: Final = 1.0
_LEAST_WEIGHTS_BYTES: Final = 64 << 20
"""A smaller model lies in a processor's cache and says nothing of its memory."""


def efficiencies_measured_here(
    measurements: MeasurementStore, machine: PlanMachine
) -> Efficiencies:
    """What is reached here, by real runs and by calibration; raises StorageError."""
    calibration = remembered_calibration(measurements)
    measured = None
    if calibration and calibration.decode_tokens_per_second and not calibration.disturbed:
        measured = (
            calibration.decode_tokens_per_second,
            calibration.prefill_tokens_per_second or 0.0,
        )
    records = read_records(measurements, machine_fingerprint())
    return efficiencies_here(fitted_efficiencies(), machine, records, measured)


def measured_speeds(finished: TurnFinished) -> tuple[float, float]:
    """Decode and prefill (tokens a second) of an answer; 0.0 where it was too short to tell."""
    decode, prefill = finished.tokens_per_second or 0.0, finished.prefill_tokens_per_second or 0.0
    read = finished.prompt_tokens - finished.reused_tokens
    return (
        decode if _is_long(finished.completion_tokens, decode, _LEAST_WRITTEN_TOKENS) else 0.0,
        prefill if _is_long(read, prefill, _LEAST_READ_TOKENS) else 0.0,
    )


def note_answer(
    measurements: MeasurementStore,
    probe: Callable[[], Machine],
    settings: LlamaSettings,
    finished: TurnFinished,
) -> SpeedRecord | None:
    """Keep how fast an answer was beside what was predicted; blocks.

    Nothing is kept of an answer, or a model, too small to tell, and of one that does not lie where
    the planner would have put it. The answer must have been the only one at its time.

    Args:
        measurements: where records are kept.
        probe: looks at this machine; called only for an answer that counts.
        settings: what the model was loaded with.
        finished: the answer's account.

    Raises:
        ModelFileError, StorageError: the model's file or the records can't be read.
    """
    actual = measured_speeds(finished)
    if not any(actual):
        return None
    variant = variant_from_header(read_gguf_header(settings.model_path))
    if variant.weights_bytes < _LEAST_WEIGHTS_BYTES:
        return None
    machine = machine_from_probe(probe())
    efficiencies = efficiencies_measured_here(measurements, machine)
    calibration = remembered_calibration(measurements)

    def predicted(depth: int) -> FitPlan:
        wished = wished_of(settings, calibration, depth)
        return plan(machine, variant, wished, efficiencies=efficiencies)

    # speed falls with depth: the middle of what was written, or read, stands for all of it
    writing = predicted(finished.prompt_tokens + finished.completion_tokens // 2)
    if not _lies_as_planned(settings, writing, variant):
        return None
    reading = predicted((finished.reused_tokens + finished.prompt_tokens) // 2)
    record = replace(
        record_of(writing, efficiencies, actual, time.time()),
        predicted_prefill=reading.prefill.middle,
    )
    keep_record(measurements, machine_fingerprint(), record)
    return record


def _is_long(tokens: int, speed: float, least: int) -> bool:
    return speed > 0 and tokens >= least and tokens / speed >= _LEAST_SECONDS


def _lies_as_planned(settings: LlamaSettings, fit: FitPlan, variant: Variant) -> bool:
    if fit.verdict not in {"fits_gpu", "fits_offload"}:
        return False
    if not fit.machine.devices:
        return True  # there is but one place
    planned = settings_of(fit, settings.model_path)
    layers = variant.shape.layers
    asked = layers + 1 if settings.gpu_layers < 0 else min(settings.gpu_layers, layers + 1)
    given = layers + 1 if planned.gpu_layers < 0 else planned.gpu_layers
    return asked == given and len(settings.cpu_expert_layers) == len(planned.cpu_expert_layers)
