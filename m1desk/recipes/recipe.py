"""A plan becomes files: `make_recipe(plan, target, options)`, and they are written."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from m1desk.errors import BadInput, StorageError
from m1desk.recipes.compose import compose_files
from m1desk.recipes.kubernetes import kubernetes_files, secret_names
from m1desk.recipes.notes import notes_of, readme
from m1desk.recipes.planning import ClusterPlan
from m1desk.recipes.scripts import ray_files, shell_files, skypilot_files, slurm_files
from m1desk.recipes.stack import stack_files
from m1desk.recipes.texts import (
    check_host,
    check_text,
    check_variable,
    check_word,
)
from m1desk.recipes.values import Recipe, RecipeFile, RecipeOptions, RemoteProposal, Target

_Make = Callable[[ClusterPlan, RecipeOptions], tuple[RecipeFile, ...]]

_MAKERS: Final[Mapping[Target, _Make]] = {
    "shell": shell_files,
    "ray": ray_files,
    "compose": compose_files,
    "kubernetes": kubernetes_files,
    "production-stack": stack_files,
    "slurm": slurm_files,
    "skypilot": skypilot_files,
}
_LOCAL_FILES: Final = frozenset({"certificate", "certificate_key", "chat_template"})
_KEYS: Final = frozenset({"VLLM_API_KEY", "RAY_AUTH_TOKEN"})
_KEY_OPTIONS: Final = frozenset({"--api-key", "--api_key"})
_EXECUTABLE: Final = 0o755
_PLAIN: Final = 0o644


def make_recipe(plan: ClusterPlan, target: Target, options: RecipeOptions | None = None) -> Recipe:
    """Write a plan down as files for one target; reads only the program's own templates.

    A plan that does not fit becomes a recipe without files that says why.

    Raises:
        BadInput: a name or a path can't be written down faithfully, or an option makes no sense.
    """
    if plan.verdict != "fits":
        return Recipe(plan, target, plan.verdict, reasons=plan.reasons, notes=plan.alternatives)
    asked = options or RecipeOptions()
    _check(plan, asked)
    notes = notes_of(plan, target, asked)
    return Recipe(
        plan=plan,
        target=target,
        verdict=plan.verdict,
        files=(*_MAKERS[target](plan, asked), readme(notes, plan.reasons)),
        reasons=plan.reasons,
        notes=notes,
        remote=_remote(plan, target, asked),
    )


def write_recipe(recipe: Recipe, folder: Path) -> tuple[Path, ...]:
    """Write the files, and give their paths; a file of the same text is left as it is.

    Raises:
        BadInput: a file of that name holds something else; nothing was written.
        StorageError: the folder can't be written.
    """
    paths = {folder / one.name: one for one in recipe.files}
    try:
        other = [path for path, one in paths.items() if _holds_something_else(path, one)]
        if other:
            raise BadInput(
                f"{other[0]} exists and holds something else.",
                "A recipe never replaces files.",
                "Choose an empty folder, or delete the old recipe.",
            )
        folder.mkdir(parents=True, exist_ok=True)
        for path, one in paths.items():
            path.write_text(one.text, encoding="utf-8", newline="\n")
            path.chmod(_EXECUTABLE if one.executable else _PLAIN)
    except OSError as error:
        raise StorageError(
            f"The recipe can't be written to {folder}.", f"{error}", "Choose another folder."
        ) from error
    return tuple(paths)


def _holds_something_else(path: Path, file: RecipeFile) -> bool:
    return os.path.lexists(path) and (
        not path.is_file() or path.read_bytes() != file.text.encode("utf-8")
    )


def _check(plan: ClusterPlan, options: RecipeOptions) -> None:
    model = plan.model
    for what, text in (
        ("The model's name", model.name),
        ("The model's repository", model.repository),
        ("The model's folder", model.path),
        *((f"The file {name}", getattr(options, name)) for name in sorted(_LOCAL_FILES)),
        *((f"The variable {name}", value.lstrip("-")) for name, value in options.environment),
        *(("An argument", word.lstrip("-")) for word in options.arguments),
    ):
        check_text(what, text)
    for what, text in (
        ("The revision", model.revision),
        ("The version", plan.version),
        ("The network interface", options.interface),
        ("The namespace", options.namespace),
        ("The partition", options.partition),
        ("The account", options.account),
    ):
        check_word(what, text)
    for name, _ in options.environment:
        check_variable(name)
    if any(name in _KEYS for name, _ in options.environment) or any(
        word.split("=")[0] in _KEY_OPTIONS for word in options.arguments
    ):
        raise BadInput(
            "A recipe holds no key.",
            "It would stand in files and command lines that others can read.",
            "new-keys.sh makes the keys where they are used.",
        )
    check_host(options.host)
    check_host(options.head_address)
    if not model.source or not model.name or not options.host:
        raise BadInput("A recipe needs the model's name, where it lies, and a host.")
    if model.path and not model.path.startswith("/"):
        raise BadInput(f'"{model.path}" is no full path.', "It must be the same on every node.", "")
    _check_numbers(options)


def _check_numbers(options: RecipeOptions) -> None:
    ports = (options.port, options.engine_port, options.group_port)
    if len(set(ports)) < len(ports) or not all(1 <= port <= 65_535 for port in ports):
        raise BadInput(f"The ports {ports} can't be used.", "They must differ, from 1 to 65535.")
    if not 1 <= options.hours <= 24 * 365:
        raise BadInput(f"{options.hours} hours can't be asked of Slurm.", "", "1 to 8760 can.")


def _remote(plan: ClusterPlan, target: Target, options: RecipeOptions) -> RemoteProposal:
    """Behind an Ingress the port is the usual one."""
    port = "" if target == "production-stack" else f":{options.port}"
    keys, _ = secret_names(plan, options)
    in_cluster = target in {"kubernetes", "production-stack"}
    return RemoteProposal(
        name=f"{plan.model.name} on {plan.cluster.text}",
        base_url=f"https://{options.host}{port}",
        model=plan.model.name,
        context_tokens=plan.wish.context_tokens,
        key_from=f"the Secret {keys}" if in_cluster else "VLLM_API_KEY in keys.env",
    )
