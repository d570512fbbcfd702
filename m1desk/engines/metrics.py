"""An engine's counters, read from Prometheus' text."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families


@dataclass(frozen=True, slots=True)
class EngineMetrics:
    """What an engine has counted since its start.

    Attributes:
        at: when they were read (seconds of `time.monotonic`).
        prompt_tokens: prompt tokens read, not counting reused ones.
        reused_tokens: prompt tokens taken from an earlier state.
        generated_tokens: tokens written.
        running, waiting: requests now.
        kv_tokens_used, kv_tokens: cells of the KV cache that are in use, and all of them (tokens).
    """

    at: float
    prompt_tokens: int = 0
    reused_tokens: int = 0
    generated_tokens: int = 0
    running: int = 0
    waiting: int = 0
    kv_tokens_used: int = 0
    kv_tokens: int = 0


def parse_metrics(text: str, at: float) -> EngineMetrics:
    """Read the worker's metrics; what is missing counts as 0.

    Raises:
        ValueError: it is not Prometheus' text format.
    """
    try:
        sums = _sums(text)
    except (ValueError, LookupError) as error:  # the parser raises whatever it stumbles over
        raise ValueError(f"not Prometheus' text format: {error}") from error

    def count(name: str) -> int:
        value = sums[f"m1desk_{name}"]
        return int(value) if math.isfinite(value) else 0

    return EngineMetrics(
        at=at,
        prompt_tokens=count("prompt_tokens_total"),
        reused_tokens=count("prompt_tokens_reused_total"),
        generated_tokens=count("generated_tokens_total"),
        running=count("requests_running"),
        waiting=count("requests_waiting"),
        kv_tokens_used=count("kv_cache_tokens_used"),
        kv_tokens=count("kv_cache_tokens"),
    )


def _sums(text: str) -> defaultdict[str, float]:
    """Add the samples of one name up over their labels."""
    sums: defaultdict[str, float] = defaultdict(float)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            sums[sample.name] += sample.value
    return sums
