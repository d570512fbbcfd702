"""How much a step gives an engine to do, and how long that takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from m1desk.fit import Range

TOKENS_A_CHARACTER: Final = 0.27
"""Of English prose with the tokenizers of today's models; code and other languages take more."""

MOST_TOKENS_A_CHARACTER: Final = 0.5
"""More than any tokenizer needs for plain text."""

USUAL_ANSWER_TOKENS: Final = 200
"""Of an answer with its quotes, before any has been seen."""

_QUESTION_TOKENS: Final = 100
_LEAST_FACTOR, _MOST_FACTOR = 0.02, 50.0


class Sized(Protocol):
    """Documents whose sizes are known, or guessed."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the documents, in their order."""

    def characters(self, name: str = "") -> int:
        """Count the characters of one document, of all without a name."""


class SpeedForecast(Protocol):
    """Predicts how fast an engine is: `m1desk.engines.Forecast`."""

    def total_seconds(self, read_tokens: int, written_tokens: int, reused_tokens: int = 0) -> Range:
        """Predict the time (seconds) to read and then to write."""


@dataclass(frozen=True, slots=True)
class StepLoad:
    """What a step has an engine do, in characters of documents and of questions.

    Attributes:
        new: characters to be read.
        known: characters before them that were read for an earlier step.
    """

    new: int
    known: int = 0


class Course:
    """How long the rest of a job takes: the forecast, corrected by what was measured in it.

    Without a forecast, the steps that are left take as long as those that are done, each.
    """

    def __init__(self, forecast: SpeedForecast | None, loads: Iterable[StepLoad]) -> None:
        self._forecast = forecast
        self._left = Counter(rounded(load) for load in loads)
        self._characters = self._tokens = 0.0
        self._answers = self._written = 0
        self._seconds_spent = self._predicted = 0.0

    def tokens(self, characters: int) -> int:
        """Guess how many tokens a text has, by the texts that were counted before."""
        rate = self._tokens / self._characters if self._characters else TOKENS_A_CHARACTER
        return round(characters * rate)

    def learn(self, load: StepLoad, tokens: int, written: int, seconds: float) -> None:
        """Note a step that is done: its whole prompt's tokens, and what it took."""
        predicted = self._seconds(load, written)
        self._predicted += predicted or 0.0
        self._seconds_spent += seconds
        self._characters += load.new + load.known
        self._tokens += tokens
        self._answers += 1
        self._written += written
        self.drop(load)

    def drop(self, load: StepLoad) -> None:
        """Note that a step is not to be done any more."""
        self._left[rounded(load)] -= 1

    def seconds_left(self, running: StepLoad, done: int, written: int) -> float | None:
        """Guess the time to the job's end (seconds); None when nothing is known of the speed.

        `running` is the step in hand, of whose prompt `done` tokens are read and `written` of its
        answer have come.
        """
        if self._forecast is None:
            steps = sum(self._left.values())
            return self._seconds_spent / self._answers * steps if self._answers else None
        total = self._rest_of(self._forecast, running, done, written)
        here = rounded(running)
        for load, count in self._left.items():
            steps = count - (load == here)
            if steps > 0:
                total += steps * (self._seconds(load, self._usual_answer) or 0.0)
        return total * self._factor

    def _rest_of(self, forecast: SpeedForecast, load: StepLoad, done: int, written: int) -> float:
        all_tokens = self.tokens(load.new + load.known) + _QUESTION_TOKENS
        known = max(done, self.tokens(load.known))
        to_write = max(0, self._usual_answer - written)
        return forecast.total_seconds(max(0, all_tokens - known), to_write, known).middle

    def _seconds(self, load: StepLoad, written: int) -> float | None:
        if self._forecast is None:
            return None
        new = self.tokens(load.new) + _QUESTION_TOKENS
        return self._forecast.total_seconds(new, written, self.tokens(load.known)).middle

    @property
    def _usual_answer(self) -> int:
        return round(self._written / self._answers) if self._answers else USUAL_ANSWER_TOKENS

    @property
    def _factor(self) -> float:
        if not self._predicted:
            return 1.0
        return min(_MOST_FACTOR, max(_LEAST_FACTOR, self._seconds_spent / self._predicted))


def rounded(load: StepLoad) -> StepLoad:
    """Take two digits: ten thousand documents are then a few hundred loads to be asked for."""
    return StepLoad(_two_digits(load.new), _two_digits(load.known))


def _two_digits(number: int) -> int:
    return round(number, 2 - len(str(number))) if number >= 100 else number
