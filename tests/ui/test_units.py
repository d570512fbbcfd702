"""Numbers as people read them."""

from __future__ import annotations

import pytest

from m1desk.ui.units import (
    bytes_pair,
    bytes_text,
    context_text,
    percent_text,
    seconds_text,
    short_count,
    speed_text,
)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1536, "1.50 KiB"),
        (257_900 << 20, "251.9 GiB"),
        (1 << 62, "4096 PiB"),
    ],
)
def test_bytes_have_a_binary_unit(count: int, text: str) -> None:
    assert bytes_text(count) == text


def test_used_and_total_share_a_unit() -> None:
    assert bytes_pair(512 << 20, 24 << 30) == "0.5 of 24.0 GiB"


@pytest.mark.parametrize(
    ("tokens", "text"), [(8192, "8K"), (1 << 20, "1M"), (10_240_000, "10,000K"), (5000, "5,000")]
)
def test_context_lengths_are_named_as_models_are(tokens: int, text: str) -> None:
    assert context_text(tokens) == text


def test_parameters_are_counted_in_billions() -> None:
    assert short_count(456_090_000_000) == "456.1B"
    assert short_count(999) == "999"


def test_an_unknown_speed_is_a_dash() -> None:
    assert speed_text(None) == "–"
    assert speed_text(42.13) == "42.1 tok/s"
    assert speed_text(1234.0) == "1,234 tok/s"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (0.421, "0.42 s"),
        (12.34, "12.3 s"),
        (245.0, "4 min 05 s"),
        (7800.0, "2 h 10 min"),
    ],
)
def test_durations_grow_from_seconds_to_hours(seconds: float | None, text: str) -> None:
    assert seconds_text(seconds) == text


def test_a_hundred_per_cent_is_said_only_when_done() -> None:
    assert percent_text(0.9999) == "99 %"
    assert percent_text(1.0) == "100 %"
