"""The words after `start.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bootstrap.backends import BACKENDS
from bootstrap.console import SetupError

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Options:
    """What to do.

    Attributes:
        job: run the program, the checks, only set up, or show the help.
        backend: the engine's backend asked for, or "".
        apt: whether Debian packages may be installed.
        rest: words for the program (`app`) or for pytest (`test`).
    """

    job: Literal["app", "test", "setup", "help"]
    backend: str = ""
    apt: bool = True
    rest: tuple[str, ...] = ()


def parse(words: Sequence[str]) -> Options:
    """Options from the command line; the first word that isn't start.py's own ends them.

    Raises:
        SetupError: an unknown backend.
    """
    left = list(words)
    backend = ""
    apt = True
    while left:
        word = left[0]
        if word in {"-h", "--help"}:
            return Options("help")
        if word == "--no-apt":
            apt = False
            left.pop(0)
        elif word == "--backend" or word.startswith("--backend="):
            backend = _backend(left)
        else:
            break
    if left and left[0] in {"test", "setup"}:
        job: Literal["test", "setup"] = "test" if left[0] == "test" else "setup"
        return Options(job, backend, apt, tuple(left[1:]))
    if left and left[0] == "--":
        left.pop(0)
    return Options("app", backend, apt, tuple(left))


def _backend(left: list[str]) -> str:
    """Take `--backend NAME` or `--backend=NAME` off the front of `left`."""
    _, _, name = left.pop(0).partition("=")
    if not name and left:
        name = left.pop(0)
    if name not in BACKENDS:
        raise SetupError(
            f"There is no backend named {name!r}.", f"Choose one of: {', '.join(BACKENDS)}."
        )
    return name
