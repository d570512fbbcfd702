"""Which version of vLLM a model needs, and which environment at hand has it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from m1desk.engines.environments.values import VLLM, EngineEnvironment, KeptEnvironment
from m1desk.fit import refuse_version, supported_versions, version_numbers

_RELEASE: Final = re.compile(r"\d+(\.\d+)*(\.post\d+)?(\+[\w.]+)?")
"""No release candidates, no development versions."""


@dataclass(frozen=True, slots=True)
class VersionChoice:
    """A version for a model.

    Attributes:
        version: "" where no release will do.
        reason: a whole sentence.
    """

    version: str
    reason: str


@dataclass(frozen=True, slots=True)
class EnvironmentChoice:
    """An environment for a model.

    Attributes:
        environment: None where none will do.
        reasons: why it was chosen; where there is none, why each was refused and what to install.
    """

    environment: EngineEnvironment | None
    reasons: tuple[str, ...]


def choose_version(architecture: str, releases: Sequence[str]) -> VersionChoice:
    """The newest release that knows the architecture.

    Args:
        architecture: the class in a checkpoint's config.json, such as "MiniMaxM1ForCausalLM".
        releases: all there are, in any order.
    """
    offered = sorted(filter(_RELEASE.fullmatch, releases), key=_order, reverse=True)
    fitting = [release for release in offered if not refuse_version(architecture, release)]
    if not fitting:
        limits = supported_versions(architecture)
        wanted = f"It needs vLLM {limits[0]} to {limits[1]}. " if limits else ""
        return VersionChoice("", f"{wanted}None of {len(offered)} releases will do.".strip())
    chosen = fitting[0]
    if chosen == offered[0]:
        return VersionChoice(chosen, f"vLLM {chosen} is the newest.")
    return VersionChoice(chosen, refuse_version(architecture, offered[0]))


def refuse_environment(architecture: str, kept: KeptEnvironment) -> str:
    """Why a vLLM environment can't run the architecture, a sentence; "" if nothing is known.

    Its own word counts as much as the rule: it names what it could load in the past. What it does
    not list is not refused, because vLLM tries transformers' own code for that.
    """
    if kept.environment is None or kept.problem:
        return kept.problem or "It can't be used."
    if refusal := refuse_version(architecture, kept.environment.version):
        return refusal
    last = dict(kept.answer.removed).get(architecture) if kept.answer else None
    if last is None:
        return ""
    version = kept.environment.version
    return (
        f"vLLM {version} says that it has removed this architecture: install vLLM {last} for it, "
        "in an environment of its own."
    )


def choose_environment(architecture: str, kept: Iterable[KeptEnvironment]) -> EnvironmentChoice:
    """The environment with the newest vLLM that can run the architecture."""
    every = [one for one in kept if one.environment is None or one.environment.engine == VLLM]
    refusals = {one.name: refuse_environment(architecture, one) for one in every}
    usable = [one.environment for one in every if one.environment and not refusals[one.name]]
    if usable:
        best = max(usable, key=lambda environment: _order(environment.version))
        return EnvironmentChoice(best, (f"{best.name} has vLLM {best.version}.",))
    reasons = tuple(f"{name}: {refusal}" for name, refusal in refusals.items())
    limits = supported_versions(architecture)
    version = f" --version {limits[1]}" if limits else ""
    todo = f"Install one that can: m1desk engines install vllm{version}"
    return EnvironmentChoice(None, (*reasons, todo))


def _order(version: str) -> tuple[tuple[int, ...], int]:
    """For sorting: the numbers, then which later build of the same."""
    post = re.search(r"\.post(\d+)", version)
    return version_numbers(version), int(post[1]) if post else 0
