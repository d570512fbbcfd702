"""Recipes: files that run a model on a cluster under vLLM, and whether it fits there."""

from __future__ import annotations

from m1desk.recipes.cluster import ClusterSpec, cluster_of, known_gpus, parse_cluster
from m1desk.recipes.planning import (
    ClusterPlan,
    ClusterWish,
    Layout,
    ServedModel,
    Verdict,
    plan_cluster,
)
from m1desk.recipes.recipe import make_recipe, write_recipe
from m1desk.recipes.served import find_served
from m1desk.recipes.values import (
    TARGETS,
    Launcher,
    Recipe,
    RecipeFile,
    RecipeOptions,
    RemoteProposal,
    Target,
)

__all__ = [
    "TARGETS",
    "ClusterPlan",
    "ClusterSpec",
    "ClusterWish",
    "Launcher",
    "Layout",
    "Recipe",
    "RecipeFile",
    "RecipeOptions",
    "RemoteProposal",
    "ServedModel",
    "Target",
    "Verdict",
    "cluster_of",
    "find_served",
    "known_gpus",
    "make_recipe",
    "parse_cluster",
    "plan_cluster",
    "write_recipe",
]
