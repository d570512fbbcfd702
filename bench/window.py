"""What the benches of the window share: the app as it starts, its stalls, and how they are told."""

from __future__ import annotations

import gc
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from PySide6.QtCore import QEventLoop, Qt, QTimer  # noqa: E402 - after the path and the platform
from PySide6.QtWidgets import QApplication  # noqa: E402 - after the path and the platform

GOAL_MS = 50.0
"""The longest that the window may stand still."""


def application() -> QApplication:
    """The one there is, or a new one."""
    app = QApplication.instance() or QApplication([])
    assert isinstance(app, QApplication)
    return app


def settle() -> None:
    """End a start as the app does: what is here by now is never walked over again."""
    gc.freeze()
    wait(lambda: False, 0.5)


def wait(until: Callable[[], bool], seconds: float) -> bool:
    """Let the window live until something holds, at most so many seconds; whether it held."""
    loop = QEventLoop()
    timer = QTimer()
    timer.setInterval(5)
    timer.timeout.connect(lambda: loop.quit() if until() else None)
    timer.start()
    QTimer.singleShot(int(seconds * 1000), loop.quit)
    loop.exec()
    return until()


class Stalls:
    """A timer of one millisecond; what passes beyond that between two ticks is a stall.

    Beside each stall stands what this thread computed meanwhile (`own`), and what the program
    computed on whatever thread (`program`): one thread of Python can hold up another. The rest
    was taken by other programs, of which a busy machine has many.
    """

    def __init__(self) -> None:
        self.milliseconds: list[float] = []
        self.own: list[float] = []
        self.program: list[float] = []
        self._last = (0.0, 0.0, 0.0)
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(1)
        self._timer.timeout.connect(self._tick)

    def start(self) -> None:
        self._last = self._now()
        self._timer.start()

    def stop(self) -> None:
        self._timer.stop()

    @staticmethod
    def _now() -> tuple[float, float, float]:
        return time.perf_counter(), time.thread_time(), time.process_time()

    def _tick(self) -> None:
        now = self._now()
        passed, own, program = ((b - a) * 1000 for a, b in zip(self._last, now, strict=True))
        self.milliseconds.append(max(0.0, passed - 1))
        self.own.append(own)
        self.program.append(min(passed, program))
        self._last = now


@dataclass(frozen=True, slots=True)
class StallFigures:
    """Stalls in milliseconds while something ran; `own` and `program` as in `Stalls`."""

    what: str
    seconds: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    own_max_ms: float
    program_max_ms: float

    @property
    def is_missed(self) -> bool:
        """Whether the window stood still for longer than it may."""
        return self.max_ms > GOAL_MS


def measured(what: str, run: Callable[[], object]) -> StallFigures:
    """Stalls while something runs, and for a moment after it."""
    stalls = Stalls()
    began = time.perf_counter()
    stalls.start()
    run()
    seconds = time.perf_counter() - began
    wait(lambda: False, 0.1)
    stalls.stop()
    cuts = statistics.quantiles(stalls.milliseconds, n=100, method="inclusive")
    longest = max(stalls.milliseconds), max(stalls.own), max(stalls.program)
    return StallFigures(what, seconds, cuts[49], cuts[98], *longest)


def tell(figures: Sequence[StallFigures], *, as_json: bool) -> int:
    """Print the figures; the exit status is 1 when a goal was missed."""
    missed = [one.what for one in figures if one.is_missed]
    if as_json:
        report = {"stalls": [asdict(one) for one in figures], "goal_ms": GOAL_MS, "missed": missed}
        print(json.dumps(report))
        return 1 if missed else 0
    width = max(len(one.what) for one in figures)
    for one in figures:
        print(
            f"{one.what:{width}}  {one.seconds:6.1f} s  p50 {one.p50_ms:6.2f}  "
            f"p99 {one.p99_ms:6.2f}  max {one.max_ms:7.2f} ms (own {one.own_max_ms:6.2f}, "
            f"program {one.program_max_ms:6.2f})   goal <= {GOAL_MS:g}"
            f"{'   MISSED' if one.is_missed else ''}"
        )
    return 1 if missed else 0
