"""An engine's counters, read from Prometheus' text."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

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


_WORK: Final = frozenset(
    {
        "m1desk_prompt_tokens_total",
        "m1desk_generated_tokens_total",
        "llamacpp:prompt_tokens_total",
        "llamacpp:tokens_predicted_total",
        "vllm:prompt_tokens_total",
        "vllm:prompt_tokens_by_source_total",
        "vllm:generation_tokens_total",
        "vllm:iteration_tokens_total_count",
        "vllm:kv_cache_usage_perc",
        "vllm:gpu_cache_usage_perc",
    }
)
"""What moves while an engine reads or writes, and only then."""


def parse_metrics(text: str, at: float) -> EngineMetrics:
    """Read the metrics of our worker, llama-server or vLLM; what is missing counts as 0.

    Raises:
        ValueError: it is not Prometheus' text format.
    """
    samples = _Samples(text)
    return _of_vllm(samples, at) if samples.has("vllm:num_requests_running") else _ours(samples, at)


def work_counters(text: str) -> tuple[float, ...] | None:
    """The counters of work; equal ones mean that no token was read or written in between.

    None when there are none, as in the metrics of a router.

    Raises:
        ValueError: it is not Prometheus' text format.
    """
    return _Samples(text).work()


def _ours(samples: _Samples, at: float) -> EngineMetrics:
    return EngineMetrics(
        at=at,
        prompt_tokens=samples.count("m1desk_prompt_tokens_total", "llamacpp:prompt_tokens_total"),
        reused_tokens=samples.count("m1desk_prompt_tokens_reused_total"),
        generated_tokens=samples.count(
            "m1desk_generated_tokens_total", "llamacpp:tokens_predicted_total"
        ),
        running=samples.count("m1desk_requests_running", "llamacpp:requests_processing"),
        waiting=samples.count("m1desk_requests_waiting", "llamacpp:requests_deferred"),
        kv_tokens_used=samples.count("m1desk_kv_cache_tokens_used"),
        kv_tokens=samples.count("m1desk_kv_cache_tokens"),
    )


def _of_vllm(samples: _Samples, at: float) -> EngineMetrics:
    """Read what vLLM 0.9 and later ones count; the newer name of a thing comes first."""
    read = samples.count("vllm:prompt_tokens_by_source_total", source="local_compute")
    reused = samples.count("vllm:prefix_cache_hits_total", "vllm:gpu_prefix_cache_hits_total")
    cells = samples.kv_cells()
    share = samples.sum("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc")
    return EngineMetrics(
        at=at,
        prompt_tokens=read or samples.count("vllm:prompt_tokens_total"),
        reused_tokens=reused,
        generated_tokens=samples.count("vllm:generation_tokens_total"),
        running=samples.count("vllm:num_requests_running"),
        waiting=samples.count("vllm:num_requests_waiting"),
        kv_tokens_used=round(share * cells),
        kv_tokens=cells,
    )


class _Samples:
    """The samples of a page of metrics, added up over their labels when they are asked for."""

    def __init__(self, text: str) -> None:
        try:
            self._all = [
                (sample.name, sample.labels, sample.value)
                for family in text_string_to_metric_families(text)
                for sample in family.samples
                if math.isfinite(sample.value)
            ]
        except (ValueError, LookupError) as error:  # the parser raises whatever it stumbles over
            raise ValueError(f"not Prometheus' text format: {error}") from error

    def has(self, name: str) -> bool:
        return any(sample[0] == name for sample in self._all)

    def sum(self, *names: str, **labels: str) -> float:
        """Add the samples of the first of `names` that is there and carries `labels`."""
        for name in names:
            found = [
                value
                for one, carried, value in self._all
                if one == name and labels.items() <= carried.items()
            ]
            if found:
                return sum(found)
        return 0.0

    def count(self, *names: str, **labels: str) -> int:
        return int(self.sum(*names, **labels))

    def kv_cells(self) -> int:
        """Tokens that vLLM's KV cache holds, which it says in the labels of a sample; 0 if not."""
        cells = 0
        for name, labels, _ in self._all:
            size, blocks = labels.get("block_size", ""), labels.get("num_gpu_blocks", "")
            if name == "vllm:cache_config_info" and size.isdecimal() and blocks.isdecimal():
                cells += int(size) * int(blocks)
        return cells

    def work(self) -> tuple[float, ...] | None:
        return tuple(value for name, _, value in self._all if name in _WORK) or None
