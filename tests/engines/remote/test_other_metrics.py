"""Counters of vLLM, old and new, on the same graphs as those of our own worker."""

from __future__ import annotations

import pytest

from m1desk.engines.metrics import EngineMetrics, parse_metrics, work_counters

NEW = """# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="m"} 1.0
vllm:num_requests_running{engine="1",model_name="m"} 2.0
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0",model_name="m"} 3.0
# TYPE vllm:kv_cache_usage_perc gauge
vllm:kv_cache_usage_perc{engine="0",model_name="m"} 0.25
# TYPE vllm:prompt_tokens counter
vllm:prompt_tokens_total{engine="0",model_name="m"} 900.0
# TYPE vllm:prompt_tokens_by_source counter
vllm:prompt_tokens_by_source_total{engine="0",model_name="m",source="local_compute"} 600.0
vllm:prompt_tokens_by_source_total{engine="0",model_name="m",source="local_cache_hit"} 300.0
# TYPE vllm:generation_tokens counter
vllm:generation_tokens_total{engine="0",model_name="m"} 50.0
# TYPE vllm:prefix_cache_hits counter
vllm:prefix_cache_hits_total{engine="0",model_name="m"} 300.0
# TYPE vllm:cache_config_info gauge
vllm:cache_config_info{block_size="16",engine="0",num_gpu_blocks="100"} 1.0
"""
OLD = """# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{model_name="m"} 1.0
# TYPE vllm:gpu_cache_usage_perc gauge
vllm:gpu_cache_usage_perc{model_name="m"} 0.5
# TYPE vllm:prompt_tokens_total counter
vllm:prompt_tokens_total{model_name="m"} 900.0
# TYPE vllm:generation_tokens_total counter
vllm:generation_tokens_total{model_name="m"} 50.0
"""


def test_a_new_vllm() -> None:
    assert parse_metrics(NEW, 1.0) == EngineMetrics(
        at=1.0,
        prompt_tokens=600,
        reused_tokens=300,
        generated_tokens=50,
        running=3,
        waiting=3,
        kv_tokens_used=400,
        kv_tokens=1600,
    )


def test_an_old_vllm() -> None:
    metrics = parse_metrics(OLD, 1.0)
    assert (metrics.prompt_tokens, metrics.generated_tokens, metrics.running) == (900, 50, 1)
    assert metrics.kv_tokens == 0  # it does not say how large its cache is


@pytest.mark.parametrize("page", [NEW, OLD])
def test_only_work_moves_the_counters_of_work(page: str) -> None:
    before = work_counters(page)
    assert before is not None
    assert work_counters(page.replace("} 3.0", "} 4.0")) == before  # one more waits
    assert work_counters(page.replace("} 50.0", "} 51.0")) != before


def test_metrics_of_something_else_are_no_counters_of_work() -> None:
    router = "# TYPE http_requests counter\nhttp_requests_total 7.0\n"
    assert work_counters(router) is None
    with pytest.raises(ValueError, match="Prometheus"):
        work_counters("<html>")
