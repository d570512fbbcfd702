"""`m1desk engines`: vLLM and builds of llama.cpp, from their installation to their removal."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

from m1desk.cli.session import say
from m1desk.engines.environments.desk import EngineDesk, VllmWanted
from m1desk.engines.environments.llama_builds import find_build
from m1desk.engines.environments.values import (
    LLAMA_CPP,
    VLLM,
    EngineEnvironment,
    InstallProgress,
    KeptEnvironment,
    Tool,
)
from m1desk.engines.environments.words import describe, size_words
from m1desk.errors import BadInput
from m1desk.fit import size_text
from m1desk.hardware import probe_machine
from m1desk.models import load_catalog, read_safetensors_folder
from m1desk.store import Folders

if TYPE_CHECKING:
    from collections.abc import Callable

_STAGES: Final = {
    "checking": "Looking at the disk",
    "creating": "Making an interpreter of its own",
    "resolving": "Finding out what it needs",
    "downloading": "Fetching",
    "installing": "Installing",
    "fixing": "Looking for packages that don't match",
    "testing": "Testing: it is loaded and writes a few tokens",
    "done": "Done",
}


@dataclass(frozen=True, slots=True)
class InstallOrder:
    """What `m1desk engines install` was asked for; texts are empty where nothing was said."""

    engine: str
    version: str = ""
    model: str = ""
    name: str = ""
    package: str = ""
    build: str = ""
    index: str = ""
    python: Path | None = None
    tool: Tool = "pip"
    as_json: bool = False


@dataclass(frozen=True, slots=True)
class ImageOrder:
    """What `m1desk engines add` was told of a container image; empty where nothing was said."""

    reference: str = ""
    tool: str = ""
    pull: bool = False

    @property
    def further(self) -> bool:
        """Whether something was said that is of an image alone."""
        return self.pull or bool(self.tool)


def list_engines(*, as_json: bool) -> None:
    """Print the engines, and whether another build of llama.cpp would be better.

    Raises:
        StorageError: the folder can't be read.
    """
    here = _desk().look()
    advice = here.advice
    if as_json:
        report = {
            "environments": [environment_values(one) for one in here.kept],
            "llama_cpp": {
                "chosen": here.chosen,
                "version": here.llama_version,
                "backends": list(advice.in_use),
                "unused": list(advice.unused),
                "better": advice.better.name if advice.better else "",
                "reason": advice.reason,
            },
        }
        typer.echo(json.dumps(report, indent=2))
        return
    for one in here.kept:
        typer.echo(_line(one))
    typer.echo(f"llama.cpp: {here.llama_words}")
    say(advice.reason)
    if advice.better:
        say(f"Install it: m1desk engines install llama.cpp --build {advice.better.name}")
    if not any(one.environment and one.environment.engine == VLLM for one in here.kept):
        say("No vLLM was installed yet: m1desk engines install vllm")


def install_engine(order: InstallOrder) -> None:
    """Install an engine and print what was made.

    Raises:
        BadInput: the order can't be carried out.
        EngineFailed: the installation or its test failed.
        StorageError: the disk has no room.
    """
    desk = _desk()
    if order.engine == LLAMA_CPP:
        environment = asyncio.run(_install_llama(desk, order))
    elif order.engine == VLLM:
        environment = asyncio.run(_install_vllm(desk, order))
    else:
        raise BadInput(
            f'There is no engine "{order.engine}" to install.', "", f"Say {VLLM} or {LLAMA_CPP}."
        )
    _print(desk.store.find(environment.name), as_json=order.as_json)
    if order.engine == LLAMA_CPP:
        say(f"Models are loaded with it once you say so: m1desk engines use {environment.name}")


def repair_engine(name: str, python: Path | None, *, as_json: bool) -> None:
    """Install the same again; raises BadInput, EngineFailed, StorageError."""
    desk = _desk()
    asyncio.run(desk.repair(name, _teller(), say, python=python))
    _print(desk.store.find(name), as_json=as_json)


def roll_back_engine(name: str, *, as_json: bool) -> None:
    """Let the build before count again; raises BadInput, EngineFailed, StorageError."""
    desk = _desk()
    asyncio.run(desk.roll_back(name, _teller()))
    _print(desk.store.find(name), as_json=as_json)


def forget_build(name: str, *, yes: bool, as_json: bool) -> None:
    """Delete the build before and print the space that freed; asks first."""
    desk = _desk()
    before = desk.store.before(name).environment
    size = f" ({size_text(before.size_bytes)})" if before.size_bytes else ""
    _ask(f"Delete the build of {name} before, {before.package} {before.version}{size}?", yes=yes)
    freed = desk.forget(name)
    if as_json:
        typer.echo(json.dumps({"forgotten": before.version, "freed_bytes": freed}))
    else:
        typer.echo(f"{before.version} is deleted; {size_text(freed)} are free again.")


def use_build(name: str) -> None:
    """Choose the build of llama.cpp; raises BadInput when it can't be used."""
    _desk().use(name)
    say(f"Models are loaded with llama.cpp ({name}) from now on.")


def add_engine(name: str, python: Path | None, image: ImageOrder, *, as_json: bool) -> None:
    """Take in a vLLM that is here; raises BadInput or EngineFailed."""
    if bool(image.reference) == (python is not None) or (image.further and not image.reference):
        raise BadInput(
            "Where is the vLLM?", "", "Say --python PATH, or --image NAME, with --with and --pull."
        )
    desk = _desk()
    if python is not None:
        asyncio.run(desk.take_in(name, python, _teller()))
    else:
        taking = desk.take_in_image(
            name, image.reference, _teller(), tool=image.tool, pull=image.pull
        )
        asyncio.run(taking)
    _print(desk.store.find(name), as_json=as_json)


def examine_engine(name: str, *, as_json: bool) -> None:
    """Test an environment; raises BadInput when there is none, EngineFailed when it fails."""
    desk = _desk()
    asyncio.run(desk.test(name, _teller()))
    _print(desk.store.find(name), as_json=as_json)


def remove_engine(name: str, *, yes: bool, as_json: bool) -> None:
    """Delete an environment and print the space that freed; asks first."""
    desk = _desk()
    kept = desk.store.find(name)
    size = size_words(kept)
    _ask(f"Delete {name}{f' ({size})' if size else ''}?", yes=yes)
    say(f"Deleting {name} ...")
    freed = desk.remove(name)
    if as_json:
        typer.echo(json.dumps({"removed": name, "freed_bytes": freed}))
    else:
        typer.echo(f"{name} is deleted; {size_text(freed)} are free again.")


def _ask(question: str, *, yes: bool) -> None:
    """Ask before something is deleted; raises BadInput where that is not wanted."""
    if not yes and not (sys.stdin.isatty() and typer.confirm(question, err=True)):
        raise BadInput("Nothing was deleted.", "", "Say --yes to delete without a question.")


def environment_values(kept: KeptEnvironment) -> dict[str, Any]:
    """An environment as plain values for JSON."""
    found, answer = kept.environment, kept.answer
    return {
        "name": kept.name,
        "usable": found is not None and not kept.problem,
        "problem": kept.problem,
        "failed_test": kept.failed_test,
        "engine": found.engine if found else "",
        "package": found.package if found else "",
        "version": found.version if found else "",
        "python": str(found.python) if found else "",
        "image": found.image.reference if found and found.image else "",
        "managed": found.managed if found else True,
        "size_bytes": found.size_bytes if found else None,
        "rollback": _before_values(kept),
        "python_version": answer.python if answer else "",
        "runs_on": list(answer.runs_on) if answer else [],
        "architectures": sorted(answer.architectures) if answer else [],
    }


def _before_values(kept: KeptEnvironment) -> dict[str, Any] | None:
    """The build that a rollback would bring back; None where none is possible."""
    before = kept.before
    if before is None:
        return None
    return {
        "package": before.package,
        "version": before.version,
        "size_bytes": before.size_bytes,
    }


async def _install_vllm(desk: EngineDesk, order: InstallOrder) -> EngineEnvironment:
    wanted = VllmWanted(
        architecture=architecture_of(order.model),
        version=order.version,
        package=order.package,
        name=order.name,
        python=order.python,
        tool=order.tool,
        index=order.index,
    )
    return await desk.install_vllm(wanted, _teller(), say)


async def _install_llama(desk: EngineDesk, order: InstallOrder) -> EngineEnvironment:
    """Always of the version that the app's bindings fit."""
    if order.version or order.model or order.package or order.python:
        raise BadInput("llama.cpp is installed by --build alone.", "", "Leave the rest out.")
    build = find_build(order.build) if order.build else None
    return await desk.install_llama(
        build, _teller(), say, name=order.name, index=order.index, tool=order.tool
    )


def architecture_of(model: str) -> str:
    """The architecture that a model is known by: of a folder, of the catalog, or its own name.

    Raises:
        BadInput: the folder holds no checkpoint.
    """
    if Path(model).is_dir() and model:
        return read_safetensors_folder(Path(model)).architecture
    known = load_catalog().find(model)
    return known.architecture if known and known.architecture else model


def _desk() -> EngineDesk:
    return EngineDesk(Folders.resolve(), lambda: probe_machine(()))


def _print(kept: KeptEnvironment, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(environment_values(kept), indent=2))
    else:
        typer.echo(_line(kept))


def _line(kept: KeptEnvironment) -> str:
    lines = [f"{kept.name}: {describe(kept)}"]
    if kept.wants_repair:
        lines.append(f"  Install the same again: m1desk engines repair {kept.name}")
    if kept.before is not None:
        back = f"{kept.before.package} {kept.before.version}"
        lines.append(f"  Go back to {back}: m1desk engines rollback {kept.name}")
    return "\n".join(lines)


def _teller() -> Callable[[InstallProgress], None]:
    """Tells each stage once, and on a terminal what is in hand, on one line."""
    shown: set[str] = set()

    def tell(now: InstallProgress) -> None:
        words = _STAGES[now.stage]
        if words not in shown:  # finding out and fetching take turns
            shown.add(words)
            say(f"\r{words:78}" if sys.stderr.isatty() else words)
        if sys.stderr.isatty() and now.package:
            done = f" {size_text(now.done_bytes)} of" if now.done_bytes is not None else ""
            size = f"{done} {size_text(now.total_bytes)}" if now.total_bytes else ""
            say(f"\r  {now.packages} packages, {now.package}{size}"[:78].ljust(79), end="")

    return tell
