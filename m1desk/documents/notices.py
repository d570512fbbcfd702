"""What happens to a question about documents, told as frozen values while it happens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from m1desk.documents.passes import PassStarted
    from m1desk.documents.set_values import AskedQuestion
    from m1desk.engines import PrepareEvent, PrepareFinished
    from m1desk.engines.turn import PrefillProgress
    from m1desk.errors import M1DeskError


@dataclass(frozen=True, slots=True)
class QuestionStarted:
    """A question was written down and goes to the engine.

    Attributes:
        predicted_seconds: to the first token, as [low, high], None when nothing can be said.
    """

    question: AskedQuestion
    predicted_seconds: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class QuestionPreparing:
    """The documents are being read and kept."""

    question_id: int
    set_id: int
    event: PrepareEvent


@dataclass(frozen=True, slots=True)
class QuestionPrefill:
    """The prompt is being read."""

    question_id: int
    set_id: int
    progress: PrefillProgress


@dataclass(frozen=True, slots=True)
class QuestionDelta:
    """More of the answer, or of the thinking before it."""

    question_id: int
    set_id: int
    kind: Literal["text", "reasoning"]
    text: str


@dataclass(frozen=True, slots=True)
class QuestionPass:
    """A pass, or a combination, begins; what arrives from now on belongs to it."""

    question_id: int
    set_id: int
    started: PassStarted


@dataclass(frozen=True, slots=True)
class QuestionPassed:
    """A pass, or a combination, has ended and is written down with the question."""

    question: AskedQuestion


@dataclass(frozen=True, slots=True)
class QuestionEnded:
    """The answer has ended, one way or the other, and is checked."""

    question: AskedQuestion


@dataclass(frozen=True, slots=True)
class PreparingStarted:
    """The documents of a set are being read and kept, without a question."""

    set_id: int


@dataclass(frozen=True, slots=True)
class PreparingStep:
    """How far that is."""

    set_id: int
    event: PrepareEvent


@dataclass(frozen=True, slots=True)
class PreparingEnded:
    """It has ended.

    Attributes:
        finished: None when it was stopped, or failed; what was saved on the way is kept.
        error: why it failed.
    """

    set_id: int
    finished: PrepareFinished | None = None
    error: M1DeskError | None = None


QuestionNotice = (
    QuestionStarted
    | QuestionPreparing
    | QuestionPrefill
    | QuestionDelta
    | QuestionPass
    | QuestionPassed
    | QuestionEnded
    | PreparingStarted
    | PreparingStep
    | PreparingEnded
)
