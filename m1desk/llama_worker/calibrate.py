"""Ten seconds of measuring that choose threads, flash attention and extra buffers for a machine.

Other programs disturb it, so settings take turns, and the best turn of each counts: a disturbance
only ever makes slower. When others used much of the processor all the while, the choice falls back
to what is sane on any machine, and the result says so.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import psutil

from m1desk.llama_worker.context import Batch, Context, ContextOptions
from m1desk.llama_worker.model import LoadOptions, Model
from m1desk.llama_worker.native import Native
from m1desk.llama_worker.threads import thread_candidates, usable_processors
from m1desk.llama_worker.tiny_model import write_calibration_model

_PREFILL_TOKENS = 256
_DECODE_TOKENS = 24
_FEWEST_ROUNDS, _MOST_ROUNDS = 2, 6
_SETTINGS_SECONDS, _FLASH_SECONDS = 5.0, 2.5
"""How long rounds are repeated: over threads and buffers, and over flash attention."""
_TURN_SECONDS = 0.5
"""The most time for a setting's decoding in one round."""
_CLEARLY_BETTER = 1.05
"""Another setting must win by this factor, so that noise doesn't choose it."""
_DISTURBED_PROCESSORS, _DISTURBED_SHARE = 0.25, 0.1
"""Others disturb when they use more than this many processors and more than this share of all."""


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

    @property
    def worth(self) -> float:
        """Decode and prefill count alike: both are waited for."""
        return self.decode_tokens_per_second * self.prefill_tokens_per_second

    def as_event(self, name: str, **more: object) -> dict[str, object]:
        """One line of this program's output."""
        return {
            "event": name,
            **asdict(self.setting),
            "decode_tokens_per_second": round(self.decode_tokens_per_second, 2),
            "prefill_tokens_per_second": round(self.prefill_tokens_per_second, 2),
            **more,
        }


def run_calibration(*, allow_extra_buffers: bool) -> int:
    """Measure and choose, a JSON line for each measurement; 0 when done.

    The last line, "chosen", also says how many processors others used meanwhile, whether that
    was too much to trust the numbers, and what flash attention gains (1.0: nothing).
    """
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        path = Path(folder) / "calibration.gguf"
        write_calibration_model(path)
        bench = _Bench(Native(), path, stack)
        load = OtherLoad()
        switches = (False, True) if allow_extra_buffers else (False,)
        settings = [
            Setting(threads, flash_attention=True, extra_buffers=extra)
            for extra in switches
            for threads in thread_candidates()
        ]
        measured = bench.measure(settings, _SETTINGS_SECONDS)
        best = choose(measured, disturbed=load.is_disturbing)
        without = replace(best.setting, flash_attention=False)
        flash, plain = bench.measure([best.setting, without], _FLASH_SECONDS)
        chosen = choose_flash_attention(flash, plain, disturbed=load.is_disturbing)
        _say(
            chosen.as_event(
                "chosen",
                flash_attention_gain=round(
                    flash.decode_tokens_per_second / plain.decode_tokens_per_second, 3
                ),
                others_processors=round(load.processors, 2),
                disturbed=load.is_disturbing,
            )
        )
    return 0


def choose(measured: Sequence[Measurement], *, disturbed: bool) -> Measurement:
    """The best, in favour of those named first.

    `disturbed` keeps the first number of threads: the more threads a setting has, the more it
    suffers from others on the same cores, and that passes.
    """
    best = measured[0]
    for one in measured[1:]:
        if disturbed and one.setting.threads != best.setting.threads:
            continue
        if one.worth > best.worth * _CLEARLY_BETTER:
            best = one
    return best


def choose_flash_attention(
    flash: Measurement, plain: Measurement, *, disturbed: bool
) -> Measurement:
    """With it, unless it is clearly slower: long contexts need it for their memory anyway."""
    clearly_slower = plain.worth > flash.worth * _CLEARLY_BETTER
    return plain if clearly_slower and not disturbed else flash


class OtherLoad:
    """How much of the processor other programs have used since this was made."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._busy_before = _busy_seconds()
        self._own_before = time.process_time()

    @property
    def processors(self) -> float:
        """Processors that others kept busy on average, those of other virtual machines included."""
        seconds = time.perf_counter() - self._began
        busy = _busy_seconds() - self._busy_before
        own = time.process_time() - self._own_before
        return max(0.0, busy - own) / seconds if seconds > 0 else 0.0

    @property
    def is_disturbing(self) -> bool:
        """Whether that makes measurements worthless."""
        limit = max(_DISTURBED_PROCESSORS, _DISTURBED_SHARE * usable_processors())
        return self.processors > limit


def _busy_seconds() -> float:
    """Seconds that all processors together have worked since the system started."""
    times = psutil.cpu_times()
    # guests are counted in user and nice already; not every system has all the fields
    idle = ("idle", "iowait", "guest", "guest_nice")
    return float(sum(seconds for name, seconds in times._asdict().items() if name not in idle))


def _say(event: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


class _Bench:
    """Contexts of the calibration model, one for each setting, that take turns."""

    def __init__(self, native: Native, path: Path, stack: ExitStack) -> None:
        self._native = native
        self._path = path
        self._stack = stack
        self._batch = Batch(native, _PREFILL_TOKENS)
        self._models: dict[bool, Model] = {}
        self._contexts: dict[Setting, Context] = {}

    def measure(self, settings: Sequence[Setting], seconds: float) -> list[Measurement]:
        """Each setting's best of several rounds, which take about `seconds` altogether."""
        contexts = [self._context(setting) for setting in settings]
        best = [(float("inf"), float("inf"))] * len(settings)
        end = time.perf_counter() + seconds
        for number in range(_MOST_ROUNDS):
            if number >= _FEWEST_ROUNDS and time.perf_counter() > end:
                break
            for index, context in enumerate(contexts):
                prefill, decode = best[index]
                best[index] = (
                    min(prefill, self._time_prefill(context)),
                    min(decode, self._time_decode(context)),
                )
        measured = [
            Measurement(setting, 1 / decode, _PREFILL_TOKENS / prefill)
            for setting, (prefill, decode) in zip(settings, best, strict=True)
        ]
        for one in measured:
            _say(one.as_event("measured"))
        return measured

    def _context(self, setting: Setting) -> Context:
        if setting not in self._contexts:
            options = ContextOptions(
                context_tokens=_PREFILL_TOKENS + _DECODE_TOKENS,
                batch_tokens=_PREFILL_TOKENS,
                threads=setting.threads,
                threads_batch=setting.threads,
                flash_attention=setting.flash_attention,
            )
            context = Context(self._native, self._model(setting.extra_buffers), options)
            self._stack.callback(context.close)
            self._time_prefill(context)  # the first time pages are touched and buffers made
            self._contexts[setting] = context
        return self._contexts[setting]

    def _model(self, extra_buffers: bool) -> Model:  # noqa: FBT001 - the key of a dictionary
        if extra_buffers not in self._models:
            options = LoadOptions(self._path, extra_buffers=extra_buffers)
            model = Model(self._native, options, lambda _fraction: None)
            self._stack.callback(model.close)
            self._models[extra_buffers] = model
        return self._models[extra_buffers]

    def _time_prefill(self, context: Context) -> float:
        context.forget(0)
        self._batch.clear()
        last = self._batch.add([1] * _PREFILL_TOKENS, 0, 0, last_logits=True)
        began = time.perf_counter()
        context.decode(self._batch)
        context.logits(last)
        return time.perf_counter() - began

    def _time_decode(self, context: Context) -> float:
        """Seconds for a token; on a slow or busy machine fewer of them have to do."""
        began = time.perf_counter()
        seconds = 0.0
        count = 0
        while count < _DECODE_TOKENS and seconds < _TURN_SECONDS:
            self._batch.clear()
            last = self._batch.add([1], _PREFILL_TOKENS + count, 0, last_logits=True)
            context.decode(self._batch)
            context.logits(last)
            count += 1
            seconds = time.perf_counter() - began
        return seconds / count
