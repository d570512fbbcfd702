"""A build of llama.cpp in an environment: where its libraries are, and whether they compute here.

They are tried with the app's own worker, in child processes, because a build that does not fit the
machine may end its process.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from pathlib import Path
from typing import Final

from m1desk.engines.environments.choice import (
    LIBRARIES_VARIABLE,
    PACKAGE,
    bindings_version,
    choose,
    matches_bindings,
)
from m1desk.engines.environments.llama_builds import LlamaBuild, backend_names
from m1desk.engines.environments.tools import ToolEnd, ToolRunner
from m1desk.engines.environments.values import (
    LLAMA_CPP,
    EngineEnvironment,
    EnvironmentAnswer,
    InstallRequest,
    Tool,
)
from m1desk.engines.spec import module_command
from m1desk.errors import BadInput, EngineFailed
from m1desk.hardware.engine_view import parse_devices
from m1desk.store import Folders

_WORKER: Final = "m1desk.llama_worker"
_SECONDS: Final = 300.0
_PLACES: Final = ("lib/python*/site-packages", "Lib/site-packages")


def libraries_of(python: Path) -> Path | None:
    """The folder of llama.cpp's libraries in an interpreter's environment, if there is one."""
    root = python.parent.parent
    found = (path for place in _PLACES for path in root.glob(f"{place}/llama_cpp/lib"))
    return next(found, None)


def llama_request(
    build: LlamaBuild, name: str = "", *, index: str = "", tool: Tool = "pip"
) -> InstallRequest:
    """What to install for a build: of the version that the app's bindings fit, and no other."""
    return InstallRequest(
        name=name or f"{LLAMA_CPP}-{build.name}",
        engine=LLAMA_CPP,
        package=PACKAGE,
        version=bindings_version(),
        tool=tool,
        index=index or build.index,
        backend=build.backend,
    )


def choose_build(folders: Folders, environment: EngineEnvironment) -> None:
    """Load models with the libraries of an environment from now on.

    Raises:
        BadInput: there is no llama.cpp in it, or of another version.
        StorageError: the choice can't be kept.
    """
    libraries = libraries_of(environment.python)
    usable = environment.engine == LLAMA_CPP and matches_bindings(environment.version)
    if libraries is None or not usable:
        raise BadInput(
            f"{environment.name} can't take the place of the app's own llama.cpp.",
            f"It has {environment.package} {environment.version}; {PACKAGE} {bindings_version()} "
            "is needed.",
            "Install one: m1desk engines install llama.cpp",
        )
    choose(folders, environment.name, environment.version, libraries)


async def examine_llama(
    python: Path,
    runner: ToolRunner,
    on_line: Callable[[str], None] | None = None,
    *,
    wanted: str = "",
) -> EnvironmentAnswer:
    """Load a build, list its devices and compute with it.

    Args:
        python: of the environment that holds it.
        runner: for the child processes.
        on_line: hears what they say.
        wanted: the backend that it must have; "" for any.

    Raises:
        EngineFailed: it is of another version, can't be loaded, lacks the backend, or computes
            wrongly.
    """
    libraries, version = libraries_of(python), _installed_version(python)
    if libraries is None:
        raise EngineFailed(f"There is no llama.cpp in {python}.", "", "Install it again.")
    if not matches_bindings(version):
        raise EngineFailed(
            f"This build is of llama-cpp-python {version}.",
            f"M1 Desk needs {bindings_version()}: its bindings fit no other.",
            f"Install version {bindings_version()}.",
        )
    here = {LIBRARIES_VARIABLE: str(libraries)}
    command = module_command(_WORKER)
    listed = await runner.run(
        [*command, "devices"], on_line, variables=here, limit_seconds=_SECONDS
    )
    view = parse_devices("\n".join(listed.lines))
    if view.note or not listed.succeeded:
        raise _does_not_load(listed, view.note)
    backends = backend_names(device.backend for device in view.devices)
    if wanted and wanted not in backends:
        raise EngineFailed(
            f"This build has no {wanted}, or finds no device for it.",
            f"It has: {', '.join(backends)}.",
            "Check that the GPU's driver is installed and that this user may use the GPU.",
        )
    for switch in ("on", "off"):  # as at the first start: some machines fail at extra buffers
        test = [*command, "selftest", "--extra-buffers", switch]
        end = await runner.run(test, on_line, variables=here, limit_seconds=_SECONDS)
        if end.succeeded:
            return EnvironmentAnswer(PACKAGE, version, platform.python_version(), backends)
    raise EngineFailed(
        "This build of llama.cpp does not compute on this machine.",
        f"Its self-test failed: {end.fate}.",
        f"All that it said is in {runner.log_path}.",
    )


def _installed_version(python: Path) -> str:
    """Of the package, by the folder of its description."""
    libraries = libraries_of(python)
    if libraries is None:
        return ""
    packages = libraries.parent.parent
    name = PACKAGE.replace("-", "_")
    found = next(packages.glob(f"{name}-*.dist-info"), None)
    return "" if found is None else found.name.removeprefix(f"{name}-").removesuffix(".dist-info")


def _does_not_load(end: ToolEnd, note: str) -> EngineFailed:
    return EngineFailed(
        "This build of llama.cpp can't be loaded on this machine.",
        note or f"It ended: {end.fate}.",
        "A library that it needs is missing, such as CUDA's runtime: install it, or choose another "
        "build.",
    )
