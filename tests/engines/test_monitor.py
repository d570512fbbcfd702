"""An engine's speed, as its counters tell it."""

from __future__ import annotations

import pytest

from m1desk.engines import EngineMonitor
from m1desk.engines.metrics import EngineMetrics, parse_metrics

TEXT = """\
# HELP m1desk_prompt_tokens_total Prompt tokens read.
# TYPE m1desk_prompt_tokens_total counter
m1desk_prompt_tokens_total 1500.0
# HELP m1desk_prompt_tokens_created When.
# TYPE m1desk_prompt_tokens_created gauge
m1desk_prompt_tokens_created 1.7e9
# HELP m1desk_prompt_tokens_reused_total Reused.
# TYPE m1desk_prompt_tokens_reused_total counter
m1desk_prompt_tokens_reused_total 12.0
# HELP m1desk_generated_tokens_total Written.
# TYPE m1desk_generated_tokens_total counter
m1desk_generated_tokens_total{slot="0"} 40.0
m1desk_generated_tokens_total{slot="1"} 2.0
m1desk_requests_running 2.0
m1desk_requests_waiting 1.0
m1desk_kv_cache_tokens_used 1024.0
m1desk_kv_cache_tokens 4096.0
"""


def test_the_counters_are_read_and_labels_summed() -> None:
    assert parse_metrics(TEXT, at=5.0) == EngineMetrics(5.0, 1500, 12, 42, 2, 1, 1024, 4096)


def test_what_is_missing_counts_as_nothing() -> None:
    assert parse_metrics("", at=1.0) == EngineMetrics(1.0)
    assert parse_metrics("m1desk_kv_cache_tokens NaN\n", at=1.0).kv_tokens == 0


def test_a_page_that_is_no_metrics_is_refused() -> None:
    with pytest.raises(ValueError, match="not Prometheus"):
        parse_metrics("<html>hello</html>", at=1.0)


def test_rates_are_what_was_done_between_two_moments() -> None:
    monitor = EngineMonitor()
    first = monitor.update(EngineMetrics(10.0, prompt_tokens=100, generated_tokens=10))
    assert (first.prefill_tokens_per_second, first.decode_tokens_per_second) == (0.0, 0.0)
    now = EngineMetrics(12.0, 700, 50, 90, running=2, waiting=1, kv_tokens_used=1, kv_tokens=4)
    rates = monitor.update(now)
    assert (rates.prefill_tokens_per_second, rates.decode_tokens_per_second) == (300.0, 40.0)
    assert (rates.running, rates.waiting, rates.kv_fraction) == (2, 1, 0.25)


@pytest.mark.parametrize(
    "after", [EngineMetrics(11.0, 5, 0, 5), EngineMetrics(10.0, 100), EngineMetrics(9.0, 200)]
)
def test_an_engine_started_anew_has_no_negative_speed(after: EngineMetrics) -> None:
    monitor = EngineMonitor()
    monitor.update(EngineMetrics(10.0, prompt_tokens=100, generated_tokens=10))
    rates = monitor.update(after)
    assert (rates.prefill_tokens_per_second, rates.decode_tokens_per_second) == (0.0, 0.0)


def test_another_engine_starts_from_nothing() -> None:
    monitor = EngineMonitor()
    monitor.update(EngineMetrics(10.0, prompt_tokens=100))
    monitor.reset()
    assert monitor.update(EngineMetrics(11.0, prompt_tokens=900)).prefill_tokens_per_second == 0.0


def test_a_cache_of_unknown_size_has_no_fraction() -> None:
    assert EngineMonitor().update(EngineMetrics(1.0)).kv_fraction is None
