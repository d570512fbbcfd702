"""vLLM's command line and environment for a plan, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from m1desk import fit
from m1desk.fit import GPU_MEMORY_SHARE
from m1desk.recipes.planning import ClusterPlan, Layout
from m1desk.recipes.values import RecipeOptions

IMAGE: Final = "vllm/vllm-openai"
SHARED_MEMORY_GIB: Final = 32
"""What its processes on one node may share; it is taken as it is used."""
STARTUP_SECONDS: Final = 7200
"""Fetching and loading hundreds of gigabytes takes that long."""


def layout_of(plan: ClusterPlan) -> Layout:
    """The layout of a plan that fits; raises ValueError for one that was refused."""
    if plan.layout is None:
        raise ValueError("a refused plan has no layout")
    return plan.layout


def image_of(plan: ClusterPlan) -> str:
    """The container image, pinned."""
    return f"{IMAGE}:v{plan.version}"


def runs_own_code(plan: ClusterPlan) -> bool:
    """Whether loading the model runs code out of its repository."""
    return fit.runs_own_code(plan.model.variant.shape.architecture)


def command(plan: ClusterPlan, options: RecipeOptions) -> tuple[str, ...]:
    """Program, model and what is the same on every node."""
    # not the older openai.api_server, which takes no notice of --headless
    module = ("python3", "-m", "vllm.entrypoints.cli.main")
    program = module if options.launcher == "module" else ("vllm",)
    return (*program, "serve", plan.model.source, *_common(plan, options))


def front_arguments(options: RecipeOptions) -> tuple[str, ...]:
    """On the node that answers: only the reverse proxy beside it reaches its port."""
    found = ["--host", "127.0.0.1", "--port", str(options.engine_port)]
    if options.chat_template:
        found += ["--chat-template", options.chat_template]
    return tuple(found)


def node_arguments(
    plan: ClusterPlan, options: RecipeOptions, rank: str, head: str
) -> tuple[str, ...]:
    """How the nodes find each other, vLLM's own way; empty for one node."""
    nodes = layout_of(plan).nodes
    if nodes == 1:
        return ()
    return (
        *("--distributed-executor-backend", "mp", "--nnodes", str(nodes), "--node-rank", rank),
        *("--master-addr", head, "--master-port", str(options.group_port)),
    )  # fmt: skip


def environment(plan: ClusterPlan, options: RecipeOptions) -> Mapping[str, str]:
    """Variables for vLLM, without keys."""
    found = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
    if plan.model.path:
        found |= {"HF_HUB_OFFLINE": "1"}
    return found | dict(options.environment)


def _common(plan: ClusterPlan, options: RecipeOptions) -> Iterator[str]:
    yield from ("--served-model-name", plan.model.name)
    yield from layout_of(plan).fit.arguments
    yield from ("--gpu-memory-utilization", str(GPU_MEMORY_SHARE))
    if plan.model.revision and not plan.model.path:
        yield from ("--revision", plan.model.revision)
    if runs_own_code(plan):
        yield "--trust-remote-code"
    yield from options.arguments
