"""How an engine is to be started, as a value, and how this program runs one of its own modules."""

from __future__ import annotations

import os
import secrets
import site
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import m1desk
from m1desk.engines.status import Endpoint

if TYPE_CHECKING:
    from collections.abc import Mapping

_BUNDLE_ONLY: Final = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FRAMEWORK_PATH")
_OURS_ALONE: Final = ("QT_", "QML", "PYSIDE", "SHIBOKEN", "M1DESK_RUN", "M1DESK_SERVER_")
_SHORT_ENOUGH: Final = 40  # a socket's path may have 107 bytes, and vLLM appends some 60 of them
_MISCHIEF: Final = frozenset({"PYTHONINSPECT", "PYTHONSTARTUP", "PYTHONWARNINGS"})


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """A process to be started under guard.

    Attributes:
        env: the whole environment; kept out of repr, for it holds the key.
        api_key: the bearer key the engine will ask for.
        asked_context_tokens: the context length asked for (tokens).
        scratch: a folder that is made for the run, and removed with all that is in it.
        container: the program in `argv` that runs it in a container named as `scratch` is; "" for
            none.
        socket: where it answers, if not at a port of 127.0.0.1.
        port: where it was told to answer; 0: it says so itself.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(repr=False)
    api_key: str = field(repr=False)
    model_path: Path
    model_name: str
    asked_context_tokens: int
    parallel: int
    scratch: Path | None = None
    container: str = ""
    socket: Path | None = None
    port: int = 0

    def endpoint(self, port: int, model: str) -> Endpoint:
        """Where it answers, once it listens."""
        host = "127.0.0.1" if self.socket is None else "localhost"
        at = "" if self.socket is not None else f":{port}"
        return Endpoint(f"http://{host}{at}", model, self.api_key, self.socket)


def new_scratch() -> Path:
    """A path that nobody has, short enough for sockets in it."""
    usual = Path(tempfile.gettempdir())
    short = usual if len(os.fsencode(usual)) <= _SHORT_ENOUGH else Path("/tmp")  # noqa: S108 - the folder made there is of mode 700
    return short / f"m1desk-run-{secrets.token_hex(8)}"


def module_command(module: str) -> list[str]:
    """Return the command that runs a module of ours with this Python, or in this bundle.

    `-P` keeps the working folder off the module path: it is the user's, and may hold anything.
    """
    if getattr(sys, "frozen", False):
        return [sys.executable, "--run-module", module]
    return [sys.executable, "-P", "-m", module]


def child_environment(parent: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment for a child: the user's, without what was made for this process.

    Args:
        parent: what to start from instead of this process's own.
    """
    start = os.environ if parent is None else parent
    env = {
        name: value
        for name, value in start.items()
        if not name.startswith(_OURS_ALONE) and name not in _MISCHIEF
    }
    env |= {"PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"}
    if getattr(sys, "frozen", False):
        _undo_bundle(env)
    else:
        _lead_to_checkout(env)
    return env


def _undo_bundle(env: dict[str, str]) -> None:
    """Give back what a bundle's start-up pointed at its own libraries."""
    env.pop("PYTHONPATH", None)
    for name in _BUNDLE_ONLY:
        env.pop(name, None)
        before = env.pop(f"{name}_ORIG", None)
        if before:
            env[name] = before


def _lead_to_checkout(env: dict[str, str]) -> None:
    """Make m1desk importable in the child when it is not installed but run from a checkout."""
    root = str(Path(m1desk.__file__).resolve().parent.parent)
    if root not in {*site.getsitepackages(), site.getusersitepackages()}:
        env["PYTHONPATH"] = os.pathsep.join(filter(None, (root, env.get("PYTHONPATH"))))
