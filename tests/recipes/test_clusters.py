"""Clusters in words, and what fits on them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from m1desk.errors import BadInput
from m1desk.recipes import ClusterPlan, ClusterWish, known_gpus, parse_cluster

Planner = Callable[..., ClusterPlan]
GIB = 1 << 30


@pytest.mark.parametrize(
    ("text", "nodes", "gpus", "gpu"),
    [
        ("2x8xH100", 2, 8, "H100"),
        (" 2 X 8 x h200 ", 2, 8, "H200"),
        ("8xH100", 1, 8, "H100"),
        ("1x4xrtx5090", 1, 4, "RTX 5090"),
        ("3x2xNVIDIA GeForce RTX 4090", 3, 2, "RTX 4090"),
        ("2xh100-x4", 2, 4, "H100"),
        ("h20-x8", 1, 8, "H20"),
    ],
)
def test_clusters_in_words(text: str, nodes: int, gpus: int, gpu: str) -> None:
    cluster = parse_cluster(text)
    assert (cluster.nodes, cluster.gpus_per_node, cluster.gpu) == (nodes, gpus, gpu)
    assert len(cluster.machine().devices) == nodes * gpus
    assert parse_cluster(cluster.text).gpus == cluster.gpus


def test_nodes_of_ones_own(tmp_path: Path) -> None:
    node = {
        "name": "ours", "ram_gib": 512, "ram_bandwidth_gb_s": 300, "cpu_tflops": 4,
        "devices": [{"name": "A100", "count": 2, "memory_gib": 79, "bandwidth_gb_s": 2039,
                     "hardware_class": "nvidia_datacenter", "half_precision_tflops": 312}],
    }  # fmt: skip
    file = tmp_path / "ours.json"
    file.write_text(json.dumps(node))
    cluster = parse_cluster(f"4x{file}")
    assert (cluster.text, cluster.gpu_bytes) == ("4x2xA100", 79 * GIB)


@pytest.mark.parametrize(
    "text", ["", "H100", "2x8x", "x8xH100", "2x8xB7000", "0x8xH100", "2x99xH100", "2xepyc-768"]
)
def test_what_is_no_cluster_is_refused_in_words(text: str) -> None:
    with pytest.raises(BadInput) as refused:
        parse_cluster(text)
    assert "2x8xH100" in refused.value.todo


def test_unknown_gpus_are_answered_with_the_known_ones() -> None:
    with pytest.raises(BadInput, match="Known GPUs: H200") as refused:
        parse_cluster("2x8xH1000")
    assert all(gpu in refused.value.why for gpu in known_gpus())


def test_m1_on_eight_h100_takes_the_experts_in_eight_bits(planned: Planner) -> None:
    plan = planned("8xH100")
    assert plan.verdict == "fits"
    assert plan.version == "0.23.0"
    assert plan.layout is not None
    assert plan.layout.quantization == "experts_int8"
    assert plan.layout.fit.tensor_parallel == 8


def test_m1_over_two_nodes_is_cut_by_tensors_only(planned: Planner) -> None:
    layout = planned("2x8xH100").layout
    assert layout is not None
    assert (layout.nodes, layout.fit.tensor_parallel, layout.fit.pipeline_parallel) == (2, 16, 1)
    assert layout.quantization == "bf16"
    assert "--pipeline-parallel-size" not in layout.fit.arguments


def test_m1_uses_as_many_nodes_as_its_heads_allow(planned: Planner) -> None:
    plan = planned("3x8xH100")
    assert plan.layout is not None
    assert (plan.layout.nodes, plan.layout.fit.tensor_parallel) == (2, 16)
    assert any("16 of 24 GPUs" in reason for reason in plan.reasons)


def test_other_models_become_a_stage_on_each_node(planned: Planner) -> None:
    layout = planned("2x8xH100", "Qwen3-32B").layout
    assert layout is not None
    assert (layout.fit.tensor_parallel, layout.fit.pipeline_parallel) == (8, 2)
    arguments = layout.fit.arguments
    assert arguments[arguments.index("--pipeline-parallel-size") + 1] == "2"


def test_a_stage_holds_its_part_of_the_weights_and_the_cache(planned: Planner) -> None:
    one, two = planned("1x8xH100", "Qwen3-32B").layout, planned("2x8xH100", "Qwen3-32B").layout
    assert one is not None
    assert two is not None
    assert two.fit.weights_bytes == pytest.approx(one.fit.weights_bytes / 2, rel=0.01)
    assert two.fit.cache_tokens > 2 * one.fit.cache_tokens


def test_what_does_not_fit_names_what_would(planned: Planner) -> None:
    plan = planned("4xH100")
    assert plan.verdict == "does_not_fit"
    assert any("missing on each GPU" in reason for reason in plan.reasons)
    assert plan.alternatives == ("2x4xH100 has room.", "1x4xH200 has room.")
    for cluster in ("2x4xH100", "1x4xH200"):
        assert planned(cluster).verdict == "fits"


def test_a_shorter_context_is_named_and_would_fit(planned: Planner) -> None:
    plan = planned("1x1xH100", "Qwen3-32B", ClusterWish(context_tokens=120_000))
    assert plan.verdict == "does_not_fit"
    tokens = int(plan.alternatives[0].split()[4].replace(",", ""))
    shorter = planned("1x1xH100", "Qwen3-32B", ClusterWish(context_tokens=tokens))
    assert shorter.verdict == "fits"


def test_sixteen_bits_where_they_are_asked_for(planned: Planner) -> None:
    plan = planned("8xH100", wish=ClusterWish(quantization="bf16"))
    assert plan.verdict == "does_not_fit"
    assert "experts_int8" in plan.alternatives[0]


@pytest.mark.parametrize(
    ("cluster", "version", "why"),
    [
        ("8xH100", "0.24.0", "0.23.0"),
        ("8xH100", "0.11.2", "0.12.0"),
        ("1x6xH100", "", ""),
    ],
)
def test_versions_that_do_not_know_the_model(
    cluster: str, version: str, why: str, planned: Planner
) -> None:
    plan = planned(cluster, wish=ClusterWish(version=version))
    assert plan.verdict == ("refused" if version else "does_not_fit")
    assert why in plan.reasons[0]


def test_a_version_that_is_none(planned: Planner) -> None:
    with pytest.raises(BadInput, match="no version"):
        planned("8xH100", wish=ClusterWish(version="newest"))
