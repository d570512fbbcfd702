"""Command lines of podman and docker for an image that has vLLM.

A container sees the folders that it is given, at the paths that they have outside, and nothing else
of this machine's files. It is named as the run's scratch folder is, so that the guard knows what to
end. Nothing secret is on a command line: variables are passed on by their names.
"""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING, Final

from m1desk.engines.environments.values import (
    IMAGE_PYTHON,
    ContainerImage,
    ContainerTool,
    check_reference,
)
from m1desk.engines.guard.containers import CONTAINER_TOOLS
from m1desk.engines.guard.record import RUN_VARIABLE
from m1desk.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

_SHARED_MEMORY: Final = "16g"  # a limit: nothing is set aside; several GPUs' workers talk there
_UNSAYABLE: Final = frozenset(',"\n')
"""What podman and docker would read as the end of a path."""


def find_tool(wanted: str) -> ContainerTool:
    """The program to run containers with, the one that is wanted or the first that is here.

    Raises:
        BadInput: there is none, or this system's containers can't be used.
    """
    if sys.platform != "linux":
        raise BadInput(
            "Container images are used on Linux alone.",
            "Elsewhere containers run in a virtual machine that M1 Desk can't reach into.",
            "Start it yourself and add it as a server.",
        )
    if wanted and wanted not in CONTAINER_TOOLS:
        raise BadInput(f'"{wanted}" runs no containers.', "", "Choose podman or docker.")
    for tool in CONTAINER_TOOLS:
        if wanted in ("", tool) and shutil.which(tool):
            return "podman" if tool == "podman" else "docker"
    raise BadInput(
        f"{wanted or 'podman'} is not on this machine.",
        "Containers are run by it.",
        "Install podman or docker, or name an interpreter that has vLLM.",
    )


def inspect_command(tool: ContainerTool, reference: str) -> tuple[str, ...]:
    """Ask for the identifier of an image that is here."""
    check_reference(reference)
    return (tool, "image", "inspect", "--format", "{{.Id}}", reference)


def pull_command(tool: ContainerTool, reference: str) -> tuple[str, ...]:
    """Fetch an image."""
    check_reference(reference)
    return (tool, "pull", reference)


def run_command(
    image: ContainerImage,
    scratch: Path,
    arguments: Sequence[str],
    *,
    readable: Iterable[Path] = (),
    variables: Iterable[str] = (),
    on_network: bool = False,
) -> tuple[str, ...]:
    """Run the image's Python in a container that goes when it ends.

    Args:
        image: what was tested; never fetched.
        scratch: the run's own folder, which the guard makes; also the container's home.
        arguments: of Python.
        readable: files and folders that it may read.
        variables: names of what it gets of the environment of podman or docker.
        on_network: whether it shares this machine's network; otherwise it has none.

    Raises:
        BadInput: a path can't be told to podman or docker.
    """
    return (
        *(image.tool, "run", "--rm", "--init", "--pull=never", "--name", scratch.name),
        *("--network", "host" if on_network else "none"),
        *("--ipc", "private", "--shm-size", _SHARED_MEMORY, "--log-driver", "none"),
        # its files keep their labels: SELinux would want them changed
        *("--security-opt", "label=disable", "--security-opt", "no-new-privileges"),
        *_rights(image),
        *_mount(scratch),
        *(word for path in readable for word in _mount(path, "readonly")),
        *("--workdir", str(scratch), "--env", f"HOME={scratch}", "--env", "USER=m1desk"),
        *(word for name in (*variables, RUN_VARIABLE) for word in ("--env", name)),
        *("--entrypoint", str(IMAGE_PYTHON), image.id, *arguments),
    )


def linked_folders(folder: Path) -> tuple[Path, ...]:
    """Folders outside of one that its links lead to, as in the hub's cache; for reading them."""
    real = folder.resolve()
    targets = {path.resolve().parent for path in folder.rglob("*") if path.is_symlink()}
    return tuple(sorted(one for one in targets if not one.is_relative_to(real)))


def _rights(image: ContainerImage) -> Iterator[str]:
    """GPUs, and files in scratch that are this user's: podman sees to that by itself."""
    if image.tool == "docker":
        yield from ("--user", f"{os.getuid()}:{os.getgid()}")
    if image.gpus:
        yield from (
            ("--gpus", "all") if image.tool == "docker" else ("--device", "nvidia.com/gpu=all")
        )


def _mount(path: Path, *options: str) -> tuple[str, str]:
    if _UNSAYABLE & set(str(path)):
        raise BadInput(
            f"A container can't be given {path}.",
            "Its path holds a comma or a quotation mark.",
            "Rename the folder.",
        )
    return "--mount", ",".join(("type=bind", f"source={path}", f"target={path}", *options))
