"""How far the running step is, out of the events of its engine."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from m1desk.documents.passes import PassStarted
from m1desk.engines import PrepareFinished, StateNotSaved, StateRefusal, StateSaved
from m1desk.engines.turn import PrefillProgress, ReasoningDelta, TextDelta
from m1desk.errors import EngineRefused
from m1desk.jobs.values import JobStepProgress

if TYPE_CHECKING:
    from m1desk.jobs.loads import Course, StepLoad
    from m1desk.jobs.work import StepDone, StepEvent

_SHOWN_CHARACTERS: Final = 20_000
"""Of an answer that is being written; all of it is there once it is done."""


class StepReport:
    """Hears what comes of a step, and says how far it is.

    Attributes:
        lines: what is worth a line in the job's log.
    """

    def __init__(self, job_id: int, step: int, course: Course, load: StepLoad) -> None:
        self._job_id = job_id
        self._step = step
        self._course = course
        self._load = load
        self._words, self._part = "begins", ""
        self._done = self._total = self._pieces = 0
        self._speed: float | None = None
        self._text: list[str] = []
        self._wrote_first: float | None = None
        self.lines: list[str] = []

    def hear(self, event: StepEvent) -> None:
        """Take in an event."""
        match event:
            case PassStarted(number, passes, _, combines):
                part = f"part {number} of {passes}"
                self._part = "the answers together: " if combines else f"{part}: "
                self._text = []
            case PrefillProgress():
                self._words = "reads"
                self._done, self._total = event.done, event.total
                self._speed = event.tokens_per_second or None
            case TextDelta():
                self._text.append(event.text)
                self._on_piece("writes")
            case ReasoningDelta():
                self._on_piece("thinks")
            case PrepareFinished() if event.restored_tokens and event.read_tokens:
                self.lines.append(
                    f"read {event.read_tokens:,} tokens on from {event.restored_tokens:,} that "
                    "were saved before."
                )
            case StateSaved(tokens, size):
                self.lines.append(f"saved after {tokens:,} tokens ({size / 1e6:,.1f} MB).")
            case StateRefusal(_, message) | StateNotSaved(_, message):
                self.lines.append(message)
            case EngineRefused():
                self.lines.append(f"what was read is not kept: {event}")

    def learn(self, done: StepDone) -> None:
        """Take in what the step took, for the steps after it."""
        spent = done.spent
        self._course.learn(self._load, done.prompt_tokens, spent.written_tokens, spent.seconds)

    def notice(self) -> JobStepProgress:
        """Say how far it is now."""
        return JobStepProgress(
            job_id=self._job_id,
            step=self._step,
            words=f"{self._part}{self._words}",
            done=self._done,
            total=self._total,
            tokens_per_second=self._speed,
            eta_seconds=self._course.seconds_left(self._load, self._done, self._pieces),
            written="".join(self._text)[-_SHOWN_CHARACTERS:],
        )

    def _on_piece(self, words: str) -> None:
        now = time.monotonic()
        self._words = words
        self._pieces += 1
        self._wrote_first = self._wrote_first or now
        if now > self._wrote_first:
            self._speed = (self._pieces - 1) / (now - self._wrote_first)
