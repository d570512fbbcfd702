"""All that a window or a command wants of engine environments, in one place."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from m1desk.engines.environments.choice import (
    PACKAGE,
    bindings_version,
    choose,
    chosen_name,
    was_chosen,
)
from m1desk.engines.environments.containers import find_tool
from m1desk.engines.environments.installer import Installer
from m1desk.engines.environments.llama_builds import LlamaAdvice, LlamaBuild, advise
from m1desk.engines.environments.llama_library import choose_build, llama_request
from m1desk.engines.environments.packages import vllm_package
from m1desk.engines.environments.store import EnvironmentStore
from m1desk.engines.environments.values import (
    LLAMA_CPP,
    VLLM,
    ContainerImage,
    EngineEnvironment,
    InstallProgress,
    InstallRequest,
    KeptEnvironment,
    Tool,
)
from m1desk.engines.environments.versions import choose_version
from m1desk.errors import BadInput
from m1desk.fit import refuse_version

if TYPE_CHECKING:
    from m1desk.hardware import Machine
    from m1desk.store import Folders

    Listener = Callable[[InstallProgress], None]

BUILT_IN: Final = "built-in"
"""What the app's own build of llama.cpp is called."""


@dataclass(frozen=True, slots=True)
class EnginesHere:
    """The engines of this machine.

    Attributes:
        kept: the environments, those that can't be used too.
        chosen: the build of llama.cpp in use: an environment's name, or "built-in".
        llama_version: of llama-cpp-python.
        advice: what that build makes of the machine.
    """

    kept: tuple[KeptEnvironment, ...]
    chosen: str
    llama_version: str
    advice: LlamaAdvice

    @property
    def llama_words(self) -> str:
        """The build of llama.cpp in use, in a line."""
        backends = ", ".join(self.advice.in_use) or "backends unknown"
        return f"{self.chosen}; {PACKAGE} {self.llama_version}; {backends}"


@dataclass(frozen=True, slots=True)
class VllmWanted:
    """Which vLLM is to be installed; what is empty is found out.

    Attributes:
        architecture: of the model that it is for.
    """

    architecture: str = ""
    version: str = ""
    package: str = ""
    name: str = ""
    python: Path | None = None
    tool: Tool = "pip"
    index: str = ""


class EngineDesk:
    """Engines of one user. The plain methods wait for the disk: call them from a worker thread."""

    def __init__(self, folders: Folders, machine: Callable[[], Machine]) -> None:
        """Prepare; `machine` says what this machine has, and may block."""
        self._folders = folders
        self._machine = machine
        self.store = EnvironmentStore.of(folders)
        self._installer = Installer(self.store)

    def look(self) -> EnginesHere:
        """What is here; raises StorageError."""
        return EnginesHere(
            self.store.list(),
            chosen_name(self._folders) or BUILT_IN,
            bindings_version(),
            advise(self._machine()),
        )

    async def install_vllm(
        self,
        wanted: VllmWanted,
        on_progress: Listener,
        say: Callable[[str], None] = lambda _words: None,
    ) -> EngineEnvironment:
        """Install the vLLM that a model needs, or the newest; `say` hears what was decided.

        Raises:
            BadInput: there is none for this machine or for the model.
            EngineFailed, StorageError: as `Installer.install` does.
        """
        package, version = wanted.package, wanted.version
        if not package:
            package = vllm_package(await asyncio.to_thread(self._machine))
        if not version:
            releases = await self._installer.releases(package, wanted.python)
            choice = choose_version(wanted.architecture, releases)
            if not choice.version:
                raise BadInput(f"No version of {package} can be had for this.", choice.reason)
            say(choice.reason)
            version = choice.version
        elif refusal := refuse_version(wanted.architecture, version):
            raise BadInput("The model does not run on that version.", refusal)
        request = InstallRequest(
            name=wanted.name or f"{package}-{version}",
            engine=VLLM,
            package=package,
            version=version,
            python=wanted.python,
            tool=wanted.tool,
            index=wanted.index,
        )
        return await self._install(request, on_progress, say)

    async def install_llama(
        self,
        build: LlamaBuild | None,
        on_progress: Listener,
        say: Callable[[str], None] = lambda _words: None,
        *,
        name: str = "",
        index: str = "",
        tool: Tool = "pip",
    ) -> EngineEnvironment:
        """Install a build of llama.cpp, or the one that would be better here.

        Raises:
            BadInput: none is needed.
            EngineFailed, StorageError: as `Installer.install` does.
        """
        if build is None:
            advice = advise(await asyncio.to_thread(self._machine))
            build = advice.better
            if build is None:
                raise BadInput(
                    "No other build of llama.cpp is needed here.",
                    advice.reason,
                    "Name one with --build if you want it all the same.",
                )
        request = llama_request(build, name, index=index, tool=tool)
        return await self._install(request, on_progress, say)

    async def test(self, name: str, on_progress: Listener) -> None:
        """Have an environment tested; raises BadInput, EngineFailed."""
        await self._installer.test(name, on_progress)

    async def take_in(self, name: str, python: Path, on_progress: Listener) -> EngineEnvironment:
        """Add a vLLM that is here already; raises BadInput, EngineFailed."""
        return await self._installer.take_in(name, python, on_progress)

    async def take_in_image(
        self,
        name: str,
        reference: str,
        on_progress: Listener,
        *,
        tool: str = "",
        pull: bool = False,
    ) -> EngineEnvironment:
        """Add a container image that has vLLM; where there are NVIDIA GPUs, it is given them.

        Args:
            name: of the environment.
            reference: such as "docker.io/vllm/vllm-openai:v0.23.0".
            on_progress: hears how far it is.
            tool: "podman" or "docker"; "" for the first that is here.
            pull: whether it may be fetched.

        Raises:
            BadInput: it can't be named so, or is not here, or nothing here runs containers.
            EngineFailed: it can't be fetched, or there is no vLLM that works.
        """
        machine = await asyncio.to_thread(self._machine)
        gpus = any(device.vendor == "nvidia" for device in machine.accelerators)
        image = ContainerImage(reference, "", find_tool(tool), gpus)
        return await self._installer.take_in_image(name, image, on_progress, pull=pull)

    async def repair(
        self,
        name: str,
        on_progress: Listener,
        say: Callable[[str], None] = lambda _words: None,
        *,
        python: Path | None = None,
    ) -> EngineEnvironment:
        """Install the same again, beside what is there until that has passed its test.

        Args:
            name: of the environment, also of one that was never finished.
            on_progress: hears how far it is.
            say: hears what was decided.
            python: the interpreter to make it with in place of the one that was named before.

        Raises:
            BadInput: there is none of that name, or the user named it.
            EngineFailed, StorageError: as `Installer.install` does.
        """
        request = (await asyncio.to_thread(self.store.find, name)).request
        if request is None:
            raise BadInput(
                f"{name} can't be repaired.",
                "How it was made is not known here: you named it, or an earlier M1 Desk made it.",
                "Remove it and install another, or add it again.",
            )
        if request.engine == LLAMA_CPP:  # the bindings may have changed since
            request = replace(request, version=bindings_version())
        return await self._install(
            replace(request, python=python or request.python), on_progress, say
        )

    async def roll_back(self, name: str, on_progress: Listener) -> EngineEnvironment:
        """Let the build that counted before count again; raises as `Installer.roll_back` does."""
        environment = await self._installer.roll_back(name, on_progress)
        await self._use_where_it_is(name)
        return environment

    def forget(self, name: str) -> int:
        """Delete the build that counted before, and give the bytes freed.

        Raises:
            BadInput: there is none, or it is in use.
            StorageError: the record can't be written.
        """
        return self.store.forget(name)

    def use(self, name: str) -> None:
        """Load models with this build of llama.cpp from now on.

        Raises:
            BadInput: it can't be used.
            StorageError: the choice can't be kept.
        """
        if name == BUILT_IN:
            choose(self._folders, "", "", None)
        else:
            choose_build(self._folders, self.store.get(name))

    def remove(self, name: str) -> int:
        """Delete an environment and give the bytes freed; raises BadInput, StorageError."""
        freed = self.store.remove(name)
        if was_chosen(self._folders, name):
            self.use(BUILT_IN)
        return freed

    async def _install(
        self, request: InstallRequest, on_progress: Listener, say: Callable[[str], None]
    ) -> EngineEnvironment:
        say(f"Installing {request.requirement} as {request.name}.")
        environment = await self._installer.install(request, on_progress)
        await self._use_where_it_is(request.name)
        return environment

    async def _use_where_it_is(self, name: str) -> None:
        """Where it was chosen: its libraries are in another folder now."""
        if was_chosen(self._folders, name):
            await asyncio.to_thread(self.use, name)
