"""How long the engine will still read, and how that is said."""

from __future__ import annotations

import pytest

from m1desk.engines.turn import PrefillProgress
from m1desk.ui.viewmodels.document_reading import EngineReading, ReadingClock
from m1desk.ui.widgets.document_reading import engine_text
from m1desk.ui.widgets.document_receipt import range_text

TOTAL = 100_000


def seconds_at(tokens: int, cost: float, growth: float) -> float:
    return cost * tokens + growth * tokens**2 / 2


def left(cost: float, growth: float, done: int, reused: int = 0) -> float:
    """What the clock says after readings every thousand tokens up to `done`."""
    clock = ReadingClock()
    begin = seconds_at(reused, cost, growth)
    said = None
    for tokens in range(reused + 1000, done + 1, 1000):
        seconds = seconds_at(tokens, cost, growth) - begin
        said = clock.add(PrefillProgress(tokens, TOTAL, reused, seconds))
    assert said is not None
    return said


@pytest.mark.parametrize("reused", [0, 20_000])
@pytest.mark.parametrize("growth", [0.0, 1e-7, 1e-6])
def test_the_time_left_counts_that_later_tokens_cost_more(growth: float, reused: int) -> None:
    done = reused + 10_000
    real = seconds_at(TOTAL, 0.001, growth) - seconds_at(done, 0.001, growth)
    assert left(0.001, growth, done, reused) == pytest.approx(real, rel=0.01)


def test_before_anything_was_read_nothing_is_said() -> None:
    clock = ReadingClock()
    assert clock.add(PrefillProgress(0, TOTAL, 0, 0.0)) is None
    assert clock.add(PrefillProgress(500, TOTAL, 500, 0.0)) is None


def test_another_reading_begins_anew() -> None:
    clock = ReadingClock()
    for tokens in range(1000, 9000, 1000):
        clock.add(PrefillProgress(tokens, 8000, 0, tokens * 1.0))
    assert clock.add(PrefillProgress(10, 20, 0, 0.1)) == pytest.approx(0.1)


def test_progress_says_tokens_speed_time_and_what_is_saved() -> None:
    reading = EngineReading(12_000, 400_000, 2_000, 500.0, 776.0, 8_192)
    assert engine_text(reading) == (
        "Reading: 12,000 of 400,000 tokens (2,000 kept from before) · 500 tok/s · "
        "about 12 min 56 s left · saved up to 8,192 tokens"
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        ((0.1, 0.4), "1 s"),
        ((2.2, 5.1), "2–5 s"),
        ((50.0, 90.0), "50–90 s"),
        ((100.0, 200.0), "1.7–3.3 min"),
        ((3725.0, 7100.0), "62–118 min"),
        ((3725.0, 7200.0), "1–2 h"),
    ],
)
def test_predictions_are_ranges(seconds: tuple[float, float], text: str) -> None:
    assert range_text(seconds) == text
