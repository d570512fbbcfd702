"""What the engine can do on this machine, tried once in a child process and remembered."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from m1desk.engines.fingerprint import engine_build, machine_fingerprint
from m1desk.engines.log import EngineLog
from m1desk.engines.process import GuardedProcess, ProcessEnd
from m1desk.engines.spec import child_environment, module_command
from m1desk.models.demo import GREETING, GREETING_ANSWER, demo_model

if TYPE_CHECKING:
    from m1desk.store import Folders

_LOG_NAME: Final = "calibration.log"
_TIME_LIMIT_SECONDS: Final = 180.0
_GRACE_SECONDS: Final = 1.0
_DISTURBED: Final = (
    "Other programs used the processor while the engine was measured, so the numbers are low; "
    "measure again when the machine is quiet."
)

SelfTest = Literal["not_run", "passed", "safe_only", "failed"]


class MeasurementStore(Protocol):
    """Where results are kept: `m1desk.store.Measurements`."""

    def get(self, key: str) -> Mapping[str, Any] | None:
        """Return what was put under `key`."""

    def put(self, key: str, value: Mapping[str, object]) -> None:
        """Keep `value`."""


@dataclass(frozen=True, slots=True)
class EngineCalibration:
    """How to run the engine here. The defaults are the safe settings.

    Attributes:
        threads: None lets the engine choose.
        extra_buffers: the CPU's special matrix formats; faster, but on some virtual machines they
            end the process.
        decode_tokens_per_second, prefill_tokens_per_second: what the chosen settings gave on the
            calibration model; None when nothing was measured.
        self_test: "passed", "safe_only" (only without extra buffers), "failed" (neither way) or
            "not_run".
        note: what went wrong, for the user; may be empty.
        flash_attention_gain: decode speed with flash attention as a multiple of that without; None
            when it was not measured.
        disturbed: other programs used so much of the processor meanwhile that the speeds say
            little and only safe choices were made; measuring again at a quiet time is worth it.
    """

    threads: int | None = None
    flash_attention: bool = True
    extra_buffers: bool = False
    decode_tokens_per_second: float | None = None
    prefill_tokens_per_second: float | None = None
    self_test: SelfTest = "not_run"
    note: str = ""
    flash_attention_gain: float | None = None
    disturbed: bool = False

    @property
    def is_measured(self) -> bool:
        """Whether the settings were chosen by measuring."""
        return self.decode_tokens_per_second is not None

    def to_dict(self) -> dict[str, object]:
        """Return the fields as JSON types."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> EngineCalibration:
        """Read back what `to_dict` wrote.

        Raises:
            ValueError: it is something else, perhaps of another version.
        """
        try:
            return cls(
                threads=None if fields["threads"] is None else int(fields["threads"]),
                flash_attention=bool(fields["flash_attention"]),
                extra_buffers=bool(fields["extra_buffers"]),
                decode_tokens_per_second=_optional_number(fields["decode_tokens_per_second"]),
                prefill_tokens_per_second=_optional_number(fields["prefill_tokens_per_second"]),
                self_test=fields["self_test"],
                note=str(fields["note"]),
                flash_attention_gain=_optional_number(fields.get("flash_attention_gain")),
                disturbed=bool(fields.get("disturbed", False)),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a calibration: {error}") from error


@dataclass(frozen=True, slots=True)
class CalibrationProgress:
    """How far a calibration is.

    Attributes:
        stage: "self_test", "self_test_safe", "measuring" or "done".
        measured: settings measured so far.
        best_decode_tokens_per_second: the best of them, 0.0 before the first.
    """

    stage: Literal["self_test", "self_test_safe", "measuring", "done"]
    measured: int = 0
    best_decode_tokens_per_second: float = 0.0


def remembered_calibration(measurements: MeasurementStore) -> EngineCalibration | None:
    """Return what was found for this machine and this engine build, None if nothing was yet."""
    fields = measurements.get(calibration_key())
    try:
        return None if fields is None else EngineCalibration.from_dict(fields)
    except ValueError:
        return None


def calibration_key() -> str:
    """Name this machine together with this build of the engine."""
    return f"engine-calibration/{machine_fingerprint()}/{engine_build()}"


async def calibrate(
    folders: Folders,
    measurements: MeasurementStore,
    on_progress: Callable[[CalibrationProgress], None] | None = None,
    *,
    worker: Sequence[str] = (),
    time_limit_seconds: float = _TIME_LIMIT_SECONDS,
) -> EngineCalibration:
    """Try the engine, measure its settings, and remember what was found. About ten seconds.

    Whatever dies in it, there is a result: in the worst case the safe settings and a note. When
    it is cancelled, nothing is remembered and no process is left.

    Args:
        folders: for the log and the records of the runs.
        measurements: where the result is remembered.
        on_progress: called on this loop.
        worker: the worker's command line up to its own command; empty for our own worker.
        time_limit_seconds: for each child process; one that takes longer counts as dead.
    """
    command = worker or module_command("m1desk.llama_worker")
    trial = _Trial(folders, command, on_progress or _ignore, time_limit_seconds)
    found = await trial.run()
    measurements.put(calibration_key(), found.to_dict())
    return found


@dataclass(frozen=True, slots=True)
class _Child:
    """What a child process said, and how it ended; `end` is None when it was too slow."""

    lines: tuple[Mapping[str, Any], ...]
    end: ProcessEnd | None

    @property
    def succeeded(self) -> bool:
        return self.end is not None and self.end.exited is not None and self.end.exited.code == 0

    @property
    def fate(self) -> str:
        if self.end is None:
            return "it took too long"
        exited = self.end.exited
        if exited is None:
            return "it could not be started or was ended"
        if any(fields.get("ok") is False for fields in self.lines):
            return "its results are wrong"
        return f"signal {exited.signal}" if exited.signal else f"exit status {exited.code}"


class _Trial:
    """One calibration: self-test, then measuring, each falling back to the safe settings."""

    def __init__(
        self,
        folders: Folders,
        command: Sequence[str],
        on_progress: Callable[[CalibrationProgress], None],
        time_limit_seconds: float,
    ) -> None:
        self._folders = folders
        self._command = tuple(command)
        self._on_progress = on_progress
        self._limit = time_limit_seconds
        self._best = 0.0
        self._measured = 0

    async def run(self) -> EngineCalibration:
        """Return what was found; never fails because of the engine."""
        result = await self._self_test()
        if result.self_test != "failed":
            result = await self._measure(result)
        self._tell("done")
        return result

    async def _self_test(self) -> EngineCalibration:
        self._tell("self_test")
        probe = _probe()
        fast = await self._child("selftest", *probe, "--extra-buffers", "on")
        if fast.succeeded:
            return EngineCalibration(extra_buffers=True, self_test="passed")
        self._tell("self_test_safe")
        safe = await self._child("selftest", *probe, "--extra-buffers", "off")
        why = f"The engine's self-test failed with extra buffers on ({fast.fate})"
        if safe.succeeded:
            note = f"{why}; they stay off on this machine."
            return EngineCalibration(self_test="safe_only", note=note)
        note = f"{why} and with them off ({safe.fate}): this build may not fit this machine."
        return EngineCalibration(self_test="failed", note=note)

    async def _measure(self, start: EngineCalibration) -> EngineCalibration:
        self._tell("measuring")
        switch = "on" if start.extra_buffers else "off"
        child = await self._child("calibrate", "--extra-buffers", switch)
        chosen = _chosen(child)
        if chosen is not None:
            note = f"{start.note} {_DISTURBED}".strip() if chosen["disturbed"] else start.note
            return replace(start, **chosen, note=note)
        if start.extra_buffers:  # passed the self-test, died under load
            note = f"Measuring died with extra buffers on ({child.fate}); they stay off."
            safe = EngineCalibration(self_test="safe_only", note=note)
            return await self._measure(safe)
        note = f"{start.note} Measuring failed ({child.fate}); safe settings are used.".strip()
        return replace(start, note=note)

    async def _child(self, *arguments: str) -> _Child:
        """Run one command of the worker under guard, to its end or to the time limit."""
        lines: list[Mapping[str, Any]] = []
        try:
            process = await GuardedProcess.start(
                [*self._command, *arguments],
                child_environment(),
                runs=self._folders.runs,
                log=EngineLog(self._folders.logs / _LOG_NAME),
                on_line=lambda line: self._hear(line, lines),
                grace_seconds=_GRACE_SECONDS,
            )
        except OSError:
            return _Child((), ProcessEnd(None, None))
        try:
            await asyncio.wait([process.ended], timeout=self._limit)
            end = process.ended.result() if process.ended.done() else None
        finally:
            await process.stop()
        return _Child(tuple(lines), end)

    def _hear(self, line: bytes, lines: list[Mapping[str, Any]]) -> None:
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError):
            return
        if not isinstance(fields, dict):
            return
        lines.append(fields)
        if fields.get("event") == "measured":
            self._measured += 1
            self._best = max(self._best, float(fields.get("decode_tokens_per_second") or 0.0))
            self._tell("measuring")

    def _tell(self, stage: Literal["self_test", "self_test_safe", "measuring", "done"]) -> None:
        self._on_progress(CalibrationProgress(stage, self._measured, self._best))


def _probe() -> tuple[str, ...]:
    """A model with known answers for the self-test; without its file a random one is made."""
    model = demo_model()
    if not model.is_file():
        return ()
    return ("--model", str(model), "--question", GREETING, "--expect", GREETING_ANSWER)


def _chosen(child: _Child) -> dict[str, Any] | None:
    """Read the worker's choice, if it came that far."""
    for fields in child.lines:
        if fields.get("event") == "chosen" and child.succeeded:
            try:
                return {
                    "threads": int(fields["threads"]),
                    "flash_attention": bool(fields["flash_attention"]),
                    "extra_buffers": bool(fields["extra_buffers"]),
                    "decode_tokens_per_second": float(fields["decode_tokens_per_second"]),
                    "prefill_tokens_per_second": float(fields["prefill_tokens_per_second"]),
                    "flash_attention_gain": _optional_number(fields.get("flash_attention_gain")),
                    "disturbed": bool(fields.get("disturbed", False)),
                }
            except (KeyError, TypeError, ValueError):
                return None
    return None


def _optional_number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _ignore(_progress: CalibrationProgress) -> None:
    return
