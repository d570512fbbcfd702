"""The parts of a working checkout, each installed only when it is missing or outdated."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bootstrap import backends, debian
from bootstrap.console import Console, ProgramError, SetupError
from bootstrap.environment import Environment, fingerprint, remove

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bootstrap.backends import Build

DISK_BYTES: Final = 2_000_000_000
"""What .venv, .cache and the build take at most, with room to spare."""

_STEP = re.compile(r"\[(\d+)/(\d+)\]")
_SOURCE = re.compile(r"([\w.+-]+\.(?:cu|cpp|c|mm|m|comp))\s*$")
_DOWNLOAD = re.compile(r"Downloading (\S+?)(?:-py\d\S*|-cp\d\S*|\.tar\.gz)?(?: \((.+)\))?$")
_BYTES = re.compile(r"Progress (\d+) of (\d+)")
_CHECK: Final = (
    "import gguf, httpx, jinja2, llama_cpp, numpy, psutil, pydantic, starlette, typer, uvicorn"
)


@dataclass(frozen=True, slots=True)
class Folders:
    """Where everything lies, from the repository's top (`root`)."""

    root: Path

    @property
    def cache(self) -> Path:
        """What can be made or fetched again: pip's downloads, the built engine, the log."""
        return self.root / ".cache"

    def lock(self, part: str) -> Path:
        """The lock file of a part: build, app, engine or dev."""
        return self.root / "requirements" / f"{part}.lock"


class Setup:
    """Brings a checkout's .venv to what the lock files say."""

    def __init__(self, root: Path, *, apt: bool, backend: str) -> None:
        self.folders = Folders(root)
        self.environment = Environment(root / ".venv")
        self._apt = apt
        self._backend = backend
        self._console = Console(self.folders.cache / "setup.log")

    def ensure(self, *, dev: bool) -> None:
        """Install what is missing or outdated; with `dev`, the tools of the checks too.

        Raises:
            SetupError: something is missing that can't be installed here, or did not install.
        """
        if not self.missing(dev=dev):
            return
        with _one_at_a_time(self.folders.cache, self._console):
            if not self.missing(dev=dev):
                return
            self._console.log.unlink(missing_ok=True)
            self._console.say("Setting up M1 Desk (a few minutes the first time, then no more).")
            self._warn_of_full_disk()
            self._install(dev=dev)
            if not self._works():
                self._console.say("What was there is damaged: making .venv anew.")
                remove(self.environment.folder)
                self._install(dev=dev)
                if not self._works():
                    raise SetupError(
                        "The installed packages can't be imported.",
                        f"The reason is at the end of {self._console.log}.",
                    )
            self._console.say("Set up. The next start takes no time.\n")

    def ensure_test_programs(self) -> None:
        """Get the servers that some tests talk to, or say that these tests are skipped."""
        missing = debian.missing_for_tests()
        if missing and debian.install(missing, self._console, allowed=self._apt):
            missing = debian.missing_for_tests()
        if missing:
            names = ", ".join(need.name for need in missing)
            self._console.say(
                f"Tests that need {names} are skipped. To run them: {debian.how_to_get(missing)}\n"
            )

    def wanted(self, *, dev: bool) -> dict[str, str]:
        """Each part with the fingerprint it should have."""
        names = ["build", "app", *(["dev"] if dev else [])]
        wanted = {name: fingerprint([self.folders.lock(name)]) for name in names}
        wanted["engine"] = self._engine_key(self._build())
        return wanted

    def missing(self, *, dev: bool) -> list[str]:
        """The parts that are not as they should be; "venv" when the environment itself is not."""
        if not self.environment.is_sound():
            return ["venv", *self.wanted(dev=dev)]
        wanted = self.wanted(dev=dev)
        return [part for part, key in wanted.items() if self.environment.installed(part) != key]

    def _install(self, *, dev: bool) -> None:
        """Install all that is missing, writing down each part when it is whole."""
        missing = self.missing(dev=dev)
        self._system(venv="venv" in missing, engine="engine" in missing)
        if "venv" in missing:
            with self._console.step("A virtual environment in .venv"):
                self.environment.create(self.folders.root, self._console)
        wanted = self.wanted(dev=dev)
        for part, title in (
            ("build", "Build tools"),
            ("app", "Python packages"),
            ("dev", "Tools for the checks"),
        ):
            if part in missing:
                with self._console.step(title):
                    self.environment.record(part, "")
                    lock = str(self.folders.lock(part))
                    self._pip("install", "--require-hashes", "--requirement", lock)
                    self.environment.record(part, wanted[part])
        if "engine" in missing:
            self.install_engine(wanted["engine"])

    def _system(self, *, venv: bool, engine: bool) -> None:
        """Get what the system lacks. Without Qt's libraries all but the window works."""
        required = debian.missing_for_setup(venv=venv, engine=engine)
        for_window = debian.missing_for_window()
        if required or for_window:
            debian.install([*required, *for_window], self._console, allowed=self._apt)
            required = debian.missing_for_setup(venv=venv, engine=engine)
        if required:
            names = ", ".join(need.name for need in required)
            needs = [*required, *debian.missing_for_window()]  # so that one command gets it all
            raise SetupError(f"Missing: {names}.", f"Run: {debian.how_to_get(needs)}")

    def install_engine(self, key: str) -> None:
        """Install the engine; build it first if no build like it is kept in .cache."""
        build = self._build()
        kept = self.folders.cache / "engine" / key[:16]
        if not list(kept.glob("*.whl")):
            with self._console.step(f"llama.cpp for {build.name} (minutes, and more for a GPU)"):
                for line in backends.advice(build.backend, backends.find()):
                    self._console.note(line)
                self._build_engine(build, kept)
        with self._console.step("Installing the engine"):
            self.environment.record("engine", "")
            wheel = next(kept.glob("*.whl"))
            self._pip("install", "--no-index", "--no-deps", "--force-reinstall", str(wheel))
        self.environment.record("backend", build.backend)
        self.environment.record("engine", key)

    def _build_engine(self, build: Build, kept: Path) -> None:
        """Build the engine's wheel from its locked source into `kept`."""
        begun = kept.with_name(kept.name + ".part")
        remove(begun)
        path = os.pathsep.join([str(self.environment.scripts), os.environ.get("PATH", os.defpath)])
        variables = {**build.environment, "PATH": path, "CMAKE_ARGS": build.cmake_args}
        try:
            self._pip(
                *("wheel", "--verbose", "--no-deps", "--no-build-isolation"),
                *("--wheel-dir", str(begun)),
                *("--require-hashes", "--requirement", str(self.folders.lock("engine"))),
                variables=variables,
            )
        except ProgramError as error:
            todo = "Build for the CPU instead: python3 start.py --backend cpu"
            raise SetupError(
                f"{error.tail}\nllama.cpp did not build for {build.name}. "
                f"The whole output is in {self._console.log}.",
                "" if build.backend == "cpu" else todo,
            ) from error
        remove(kept)
        begun.rename(kept)

    def _build(self) -> Build:
        """How the engine should be built."""
        built = self.environment.installed("backend") if self.environment.is_sound() else ""
        return backends.choose(
            self._backend, built, os.environ.get("CMAKE_ARGS", ""), backends.find()
        )

    def _engine_key(self, build: Build) -> str:
        """What tells one build of the engine from another."""
        lock = self.folders.lock("engine")
        return fingerprint([lock], build.cmake_args, platform.system(), backends.cpu_key())

    def _pip(self, verb: str, *words: str, variables: dict[str, str] | None = None) -> None:
        """Run the environment's pip with the user's settings, but its cache in the checkout."""
        flags = ["--disable-pip-version-check", "--no-input"]
        # pip 24.1 and later, the locked one, then says in lines how far a download is.
        flags += ["--progress-bar", "raw"] if self.environment.installed("build") else []
        if verb == "wheel":
            # pip's cache of wheels does not tell CMAKE_ARGS apart; ours, in .cache/engine, does.
            flags.append("--no-cache-dir")
        else:
            flags += ["--cache-dir", str(self.folders.cache / "pip"), "--no-user"]
        self._console.run(
            [str(self.environment.python), "-I", "-m", "pip", verb, *flags, *words],
            pick=PipNews(),
            every=5.0 if verb == "wheel" else 2.0,
            environment={**os.environ, **(variables or {})},
        )

    def _works(self) -> bool:
        """Whether the installed packages can be imported."""
        try:
            self._console.run([str(self.environment.python), "-I", "-c", _CHECK])
        except ProgramError:
            return False
        return True

    def _warn_of_full_disk(self) -> None:
        free = shutil.disk_usage(self.folders.root).free
        if free < DISK_BYTES:
            self._console.note(
                f"Only {free / 1e9:.1f} GB are free here; {DISK_BYTES / 1e9:.0f} GB may be needed."
            )


class PipNews:
    """Turns pip's and the engine build's output into notes for a person."""

    def __init__(self) -> None:
        self._file = ""

    def __call__(self, line: str) -> str:
        """A note about one line, or ""."""
        text = line.strip()
        if step := _STEP.match(text):
            source = _SOURCE.search(text)
            return f"{step[0]} {source[1] if source else 'linking'}"
        if amount := _BYTES.fullmatch(text):
            done, total = int(amount[1]), int(amount[2])
            return f"{self._file}: {done / 1e6:.0f} of {total / 1e6:.0f} MB"
        if download := _DOWNLOAD.match(text):
            self._file = download[1]
            return f"{self._file} {download[2] or ''}".strip()
        if text.startswith(("Installing collected", "Building wheel", "*** Configuring")):
            return text.split(":")[0].strip("* ")
        return ""


@contextlib.contextmanager
def _one_at_a_time(folder: Path, console: Console) -> Iterator[None]:
    """Hold the checkout's lock: of two setups at once, one waits for the other."""
    folder.mkdir(parents=True, exist_ok=True)
    if platform.system() == "Windows":  # no fcntl; two setups at once are the user's to avoid
        yield
        return
    import fcntl  # noqa: PLC0415 - not there on Windows

    with (folder / "setup.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            console.say("Another start.py is setting up this checkout; waiting for it.")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
