"""What the tests of this room share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from m1desk.fit import Variant, known_variants
from m1desk.recipes import ClusterPlan, ClusterWish, ServedModel, parse_cluster, plan_cluster

if TYPE_CHECKING:
    from collections.abc import Mapping

Planner = Callable[..., ClusterPlan]


@pytest.fixture(scope="session")
def checkpoints() -> Mapping[str, Variant]:
    """Checkpoints in 16 bits: a mixture with recurrent layers, and a dense model."""
    names = ("MiniMax-M1-80k", "Qwen3-32B")
    return {name: known_variants(name, ("BF16",))[0] for name in names}


@pytest.fixture
def planned(checkpoints: Mapping[str, Variant]) -> Planner:
    """Plan a model on a cluster: planned("2x8xH100", "Qwen3-32B", path=...)."""

    def make(
        cluster: str,
        model: str = "MiniMax-M1-80k",
        wish: ClusterWish | None = None,
        **changes: str,
    ) -> ClusterPlan:
        given = {"name": model, "repository": f"owner/{model}", **changes}
        served = ServedModel(variant=checkpoints[model], **given)
        return plan_cluster(served, parse_cluster(cluster), wish or ClusterWish())

    return make
