"""`m1desk recipe`: whether a model fits a cluster, and the files that run it there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, get_args

import typer

from m1desk.cli.session import say
from m1desk.errors import BadInput
from m1desk.fit import Variant, VllmQuantization, is_known, known_variants, variant_from_config
from m1desk.models import Hub, hub_settings, load_catalog
from m1desk.recipes import (
    TARGETS,
    ClusterPlan,
    ClusterWish,
    Recipe,
    RecipeOptions,
    ServedModel,
    make_recipe,
    parse_cluster,
    plan_cluster,
    write_recipe,
)
from m1desk.store import Database, Folders, SettingsStore

_CHECKPOINT: Final = "BF16"


@dataclass(frozen=True, slots=True)
class RecipeRequest:
    """The command line.

    Attributes:
        target: one of `TARGETS`.
        quantization: one of `VllmQuantization`, or empty.
        out: where the files go; None: they are printed.
    """

    model: str
    cluster: str
    target: str
    context_tokens: int
    parallel: int
    quantization: str
    vllm_version: str
    model_path: str
    revision: str
    out: Path | None
    as_json: bool
    options: RecipeOptions


def recipe(request: RecipeRequest) -> None:
    """Print or write a recipe.

    Raises:
        BadInput: it does not fit, or something that was given is unusable.
        HubError: a repository that is not known here could not be looked up.
        StorageError: the folder can't be written.
    """
    target = next((one for one in TARGETS if one == request.target), None)
    if target is None:
        raise BadInput(f'"{request.target}" is no target.', "", f"Choose {', '.join(TARGETS)}.")
    wish = ClusterWish(
        context_tokens=request.context_tokens,
        parallel=request.parallel,
        quantization=_quantization(request.quantization),
        version=request.vllm_version,
    )
    cluster = parse_cluster(request.cluster)
    plan = plan_cluster(_served(request), cluster, wish)
    made = make_recipe(plan, target, request.options)
    if made.verdict != "fits":
        raise _refusal(plan)
    if request.out is not None:
        for path in write_recipe(made, request.out):
            say(f"Written: {path}")
    if request.as_json:
        typer.echo(json.dumps(made.to_json(), indent=2))
        return
    for line in _lines(made, with_files=request.out is None):
        typer.echo(line)


def _quantization(name: str) -> VllmQuantization | None:
    known: tuple[VllmQuantization, ...] = get_args(VllmQuantization)
    found = next((one for one in known if one == name), None)
    if name and found is None:
        raise BadInput(f'vLLM can\'t quantize to "{name}" while loading.', "", _one_of(known))
    return found


def _one_of(names: tuple[str, ...]) -> str:
    return f"Choose {' or '.join(names)}."


def _refusal(plan: ClusterPlan) -> BadInput:
    """The reason, and the nearest thing that would fit."""
    return BadInput(
        f"{plan.model.name} with {plan.wish.context_tokens:,} tokens of context does not run on "
        f"{plan.cluster.text}.",
        " ".join(plan.reasons),
        " ".join(plan.alternatives),
    )


def _served(request: RecipeRequest) -> ServedModel:
    entry = load_catalog().find(request.model)
    repository = entry.repo_id if entry is not None else request.model
    name = repository.rsplit("/", maxsplit=1)[-1]
    revision = request.revision
    if is_known(name):
        (variant,) = known_variants(name, (_CHECKPOINT,))
    elif "/" in repository:
        variant, revision = _from_hub(repository, name, revision)
    else:
        (variant,) = known_variants(request.model, (_CHECKPOINT,))  # which says what is known
    if "/" not in repository and not request.model_path:
        raise BadInput(
            f'Which repository "{request.model}" lies in is not known.',
            "",
            "Give owner/name, or its folder on the nodes with --model-path.",
        )
    return ServedModel(
        name=name,
        variant=variant,
        repository=repository if "/" in repository else "",
        revision=revision,
        path=request.model_path,
    )


def _from_hub(repository: str, name: str, revision: str) -> tuple[Variant, str]:
    """A checkpoint by its config.json, and the commit that this is of."""
    with Database(Folders.resolve().database) as database:
        hub = Hub(hub_settings(SettingsStore(database).load()))
    say(f"Reading config.json of {repository} ...")
    commit = hub.repository(repository, revision or None).commit
    config = hub.safetensors_model(repository, commit).config
    if config.get("quantization_config"):
        raise BadInput(
            f"{repository} is quantized already.",
            "Only checkpoints in 16 bits can be planned for a cluster yet.",
            "Name the repository that it was made of.",
        )
    return variant_from_config(config, name, _CHECKPOINT), commit


def _lines(made: Recipe, *, with_files: bool) -> Iterator[str]:
    plan, layout = made.plan, made.plan.layout
    yield (
        f"{plan.model.name} on {plan.cluster.text}, {plan.wish.context_tokens:,} tokens of "
        f"context, vLLM {plan.version} (estimates)"
    )
    if layout is not None:
        yield f"It fits on {layout.nodes} x {layout.gpus_per_node} GPUs. {' '.join(made.reasons)}"
    yield ""
    yield from (f"{number}. {note}" for number, note in enumerate(made.notes, start=1))
    if made.remote is not None:
        yield ""
        yield (
            f"Then it answers at {made.remote.base_url}/v1 as {made.remote.model}; its key is "
            f"{made.remote.key_from}."
        )
    if with_files:
        for one in made.files:
            yield ""
            yield f"----- {one.name}{' (executable)' if one.executable else ''}"
            yield one.text.rstrip("\n")
