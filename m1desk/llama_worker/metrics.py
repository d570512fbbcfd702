"""What the worker counts, in Prometheus' text format."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest


class Metrics:
    """Counters and gauges of one worker, in a registry of its own."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self.prompt_tokens = Counter(
            "m1desk_prompt_tokens", "Prompt tokens read (computed).", registry=registry
        )
        self.reused_tokens = Counter(
            "m1desk_prompt_tokens_reused",
            "Prompt tokens taken from an earlier state instead of being read.",
            registry=registry,
        )
        self.generated_tokens = Counter(
            "m1desk_generated_tokens", "Tokens written.", registry=registry
        )
        self.requests_running = Gauge(
            "m1desk_requests_running", "Requests being served.", registry=registry
        )
        self.requests_waiting = Gauge(
            "m1desk_requests_waiting", "Requests waiting for a free sequence.", registry=registry
        )
        self.kv_tokens_used = Gauge(
            "m1desk_kv_cache_tokens_used",
            "Tokens held in the KV cache, reusable ones of ended requests included.",
            registry=registry,
        )
        self.kv_tokens = Gauge(
            "m1desk_kv_cache_tokens", "Size of the KV cache in tokens.", registry=registry
        )
        self.saved_state_bytes = Gauge(
            "m1desk_saved_state_bytes",
            "Snapshots and states of idle sequences set aside, bytes.",
            registry=registry,
        )

    def render(self) -> bytes:
        """The exposition text."""
        return generate_latest(self._registry)
