"""`m1desk recipe`: whether a model fits a cluster, and the files that run it there."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import typer

from m1desk.cli.session import say
from m1desk.errors import BadInput
from m1desk.fit import VllmQuantization
from m1desk.models import Hub, hub_settings
from m1desk.recipes import (
    TARGETS,
    ClusterPlan,
    ClusterWish,
    Launcher,
    Recipe,
    RecipeOptions,
    find_served,
    make_recipe,
    parse_cluster,
    plan_cluster,
    write_recipe,
)
from m1desk.store import Database, Folders, SettingsStore


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
    served = find_served(request.model, _hub, revision=request.revision, path=request.model_path)
    plan = plan_cluster(served, cluster, wish)
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


def launcher_called(name: str) -> Launcher:
    """The launcher of that name; raises BadInput."""
    known: tuple[Launcher, ...] = get_args(Launcher)
    found = next((one for one in known if one == name), None)
    if found is None:
        raise BadInput(f'"{name}" is no way to start vLLM.', "", _one_of(known))
    return found


def words_in(text: str) -> tuple[str, ...]:
    """The words that a shell would read; raises BadInput."""
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise BadInput(f"The arguments {text} can't be read.", f"{error}.") from error


def variables_in(texts: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Names and values; raises BadInput."""
    pairs = [text.partition("=") for text in texts]
    wrong = next((name for name, equals, _ in pairs if not equals), None)
    if wrong is not None:
        raise BadInput(f'"{wrong}" has no value.', "", "Write it as NAME=VALUE.")
    return tuple((name, value) for name, _, value in pairs)


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


def _hub() -> Hub:
    with Database(Folders.resolve().database) as database:
        settings = SettingsStore(database).load()
    say("Looking the model up at the Hub ...")
    return Hub(hub_settings(settings))


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
