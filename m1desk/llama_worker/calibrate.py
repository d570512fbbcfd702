"""Ten seconds of measuring that choose threads, flash attention and extra buffers for a machine."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import psutil

from m1desk.llama_worker.context import Batch, Context, ContextOptions
from m1desk.llama_worker.model import LoadOptions, Model
from m1desk.llama_worker.native import Native
from m1desk.llama_worker.tiny_model import write_calibration_model

_PREFILL_TOKENS = 256
_DECODE_TOKENS = 24
_ROUNDS = 3
_CLEARLY_BETTER = 1.05
"""A later setting must win by this factor, so that noise doesn't choose it."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One way to run the engine."""

    threads: int
    flash_attention: bool
    extra_buffers: bool


@dataclass(frozen=True, slots=True)
class Measurement:
    """A setting and what it gave (tokens per second, the best of the rounds)."""

    setting: Setting
    decode_tokens_per_second: float
    prefill_tokens_per_second: float

    def as_event(self, name: str) -> dict[str, object]:
        """One line of this program's output."""
        return {
            "event": name,
            **asdict(self.setting),
            "decode_tokens_per_second": round(self.decode_tokens_per_second, 2),
            "prefill_tokens_per_second": round(self.prefill_tokens_per_second, 2),
        }


def thread_candidates() -> list[int]:
    """Thread counts worth trying: all physical cores, all logical ones, and half."""
    logical = psutil.cpu_count() or 1
    physical = psutil.cpu_count(logical=False) or logical
    affinity = (
        len(psutil.Process().cpu_affinity()) if hasattr(psutil.Process, "cpu_affinity") else logical
    )
    counts = {min(count, affinity) for count in (physical, logical, max(1, physical // 2))}
    return sorted(counts, reverse=True)


def run_calibration(*, allow_extra_buffers: bool) -> int:
    """Measure and choose, a JSON line for each measurement; 0 when done."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "calibration.gguf"
        write_calibration_model(path)
        best = _choose(path, [False, True] if allow_extra_buffers else [False])
    _say(best.as_event("chosen"))
    return 0


def _say(event: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def _choose(path: Path, extra_buffers: Sequence[bool]) -> Measurement:
    """One thing at a time, so that the number of measurements stays small."""
    native = Native()
    counts = thread_candidates()
    # long contexts need flash attention for their memory, so it is the one to beat
    first = Setting(threads=counts[0], flash_attention=True, extra_buffers=False)
    rounds: list[Measurement] = []
    for extra in extra_buffers:
        settings = [replace(first, threads=count, extra_buffers=extra) for count in counts]
        settings.append(replace(first, flash_attention=False, extra_buffers=extra))
        rounds.extend(_measure_all(native, path, settings))
    best = rounds[0]
    for measurement in rounds[1:]:
        if _worth(measurement) > _worth(best) * _CLEARLY_BETTER:
            best = measurement
    return best


def _worth(measurement: Measurement) -> float:
    """Decode and prefill count alike: both are waited for."""
    return measurement.decode_tokens_per_second * measurement.prefill_tokens_per_second


def _measure_all(native: Native, path: Path, settings: Sequence[Setting]) -> Iterator[Measurement]:
    options = LoadOptions(path, extra_buffers=settings[0].extra_buffers)
    model = Model(native, options, lambda _fraction: None)
    for setting in settings:
        measurement = _measure(native, model, setting)
        _say(measurement.as_event("measured"))
        yield measurement
    model.close()


def _measure(native: Native, model: Model, setting: Setting) -> Measurement:
    options = ContextOptions(
        context_tokens=_PREFILL_TOKENS + _ROUNDS * _DECODE_TOKENS,
        batch_tokens=_PREFILL_TOKENS,
        threads=setting.threads,
        threads_batch=setting.threads,
        flash_attention=setting.flash_attention,
    )
    context = Context(native, model, options)
    batch = Batch(native, _PREFILL_TOKENS)
    prefill = min(_time_prefill(context, batch) for _ in range(_ROUNDS))
    decode = min(
        _time_decode(context, batch, _PREFILL_TOKENS + number * _DECODE_TOKENS)
        for number in range(_ROUNDS)
    )
    context.close()
    return Measurement(setting, _DECODE_TOKENS / decode, _PREFILL_TOKENS / prefill)


def _time_prefill(context: Context, batch: Batch) -> float:
    context.forget(0)
    batch.clear()
    last = batch.add([1] * _PREFILL_TOKENS, 0, 0, last_logits=True)
    began = time.perf_counter()
    context.decode(batch)
    context.logits(last)  # waits for a GPU to finish
    return time.perf_counter() - began


def _time_decode(context: Context, batch: Batch, start: int) -> float:
    began = time.perf_counter()
    for position in range(start, start + _DECODE_TOKENS):
        batch.clear()
        last = batch.add([1], position, 0, last_logits=True)
        context.decode(batch)
        context.logits(last)
    return time.perf_counter() - began
