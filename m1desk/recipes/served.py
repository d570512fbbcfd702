"""Finds the model that a recipe is for: known by its name, or by its repository at the Hub."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from m1desk.errors import BadInput
from m1desk.fit import Variant, is_known, known_variants, variant_from_config
from m1desk.models import load_catalog
from m1desk.recipes.planning import ServedModel

if TYPE_CHECKING:
    from m1desk.models import Hub

_CHECKPOINT: Final = "BF16"


def find_served(
    model: str, hub: Callable[[], Hub], *, revision: str = "", path: str = ""
) -> ServedModel:
    """The model by its name, its id in the catalog, or its repository; may ask the Hub.

    Args:
        model: such as "MiniMax-M1-80k" or "owner/name".
        hub: makes the Hub, where one is needed.
        revision: a commit of the repository; "" for the newest, which is pinned if looked up.
        path: a folder that is the same on every node, instead of the repository.

    Raises:
        BadInput: it is not known, or can't be planned.
        HubError: a repository that is not known here could not be looked up.
    """
    entry = load_catalog().find(model)
    repository = entry.repo_id if entry is not None else model
    name = repository.rsplit("/", maxsplit=1)[-1]
    if is_known(name):
        (variant,) = known_variants(name, (_CHECKPOINT,))
    elif "/" in repository:
        variant, revision = _from_hub(hub(), repository, name, revision)
    else:
        (variant,) = known_variants(model, (_CHECKPOINT,))  # which says what is known
    if "/" not in repository and not path:
        raise BadInput(
            f'Which repository "{model}" lies in is not known.',
            "",
            "Give owner/name, or its folder on the nodes.",
        )
    return ServedModel(
        name=name,
        variant=variant,
        repository=repository if "/" in repository else "",
        revision=revision,
        path=path,
    )


def _from_hub(hub: Hub, repository: str, name: str, revision: str) -> tuple[Variant, str]:
    """A checkpoint by its config.json, and the commit that this is of."""
    commit = hub.repository(repository, revision or None).commit
    config = hub.safetensors_model(repository, commit).config
    if config.get("quantization_config"):
        raise BadInput(
            f"{repository} is quantized already.",
            "Only checkpoints in 16 bits can be planned for a cluster yet.",
            "Name the repository that it was made of.",
        )
    return variant_from_config(config, name, _CHECKPOINT), commit
