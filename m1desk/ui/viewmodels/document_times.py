"""How long a question about documents will take: to the first token, and to the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final, Protocol

FIRST_GUESS: Final = 200
"""Length (tokens) of an answer while a model has not written any here."""

_ALIKE_TOKENS: Final = 64
"""Lengths that differ by less take the same time, within what can be predicted."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the engine reads at once (tokens): anew, and before that what it has kept."""

    read_tokens: int
    kept_tokens: int = 0


@dataclass(frozen=True, slots=True)
class PredictedTimes:
    """Seconds as (low, high): to the first token, and to the end of the answer."""

    first_token: tuple[float, float]
    total: tuple[float, float]


@dataclass(frozen=True, slots=True)
class UsualLength:
    """How long a model's answers usually are.

    Attributes:
        tokens: the middle one of them, or a guess.
        answers: how many there are to go by.
    """

    tokens: int = FIRST_GUESS
    answers: int = 0

    @property
    def words(self) -> str:
        """What it rests on, as a sentence."""
        if not self.answers:
            return f"Assumed: an answer of {self.tokens:,} tokens; there are none to go by yet."
        last = "its last answer" if self.answers == 1 else f"its last {self.answers} answers"
        return f"Assumed: an answer of {self.tokens:,} tokens, as usual in {last}."


class Outlook(Protocol):
    """What can be said beforehand about the loaded model on this machine."""

    def predict(self, reading: Reading, answer_tokens: int) -> PredictedTimes | None:
        """Predict one reading and an answer of so many tokens; None while nothing can be said."""

    def refuse_context(self, tokens: int) -> str | None:
        """Why the model can't be loaded with such a context, "" if it can; None: not known yet."""


def usual_length(lengths: Sequence[int]) -> UsualLength:
    """Take the middle of the lengths (tokens) of answers."""
    return UsualLength(max(1, round(median(lengths))), len(lengths)) if lengths else UsualLength()


def predict_all(
    outlook: Outlook, readings: Sequence[Reading], answer_tokens: int
) -> PredictedTimes | None:
    """Predict several readings, each with an answer, one after the other.

    Readings of about the same length are predicted once: a large set is read in hundreds of them.
    """
    known: dict[tuple[int, int], PredictedTimes] = {}
    low = high = 0.0
    for one in readings:
        length = one.read_tokens // _ALIKE_TOKENS, one.kept_tokens // _ALIKE_TOKENS
        times = known.get(length) or outlook.predict(one, answer_tokens)
        if times is None:
            return None
        known[length] = times
        low, high = low + times.total[0], high + times.total[1]
    if not known:
        return None
    return PredictedTimes(next(iter(known.values())).first_token, (low, high))
