"""What the step-by-step test of a server found, as values."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from m1desk.engines.remote.abilities import ServedModel


class Step(Enum):
    """The steps of the test, in their order."""

    ADDRESS = "address"
    TUNNEL = "tunnel"
    NAME = "name"
    TCP = "tcp"
    TLS = "tls"
    HTTP = "http"
    PATH = "path"
    KEY = "key"
    MODELS = "models"
    CHAT = "chat"
    STREAM = "stream"
    ABILITIES = "abilities"


STEP_NAMES: Final = {
    Step.ADDRESS: "Address",
    Step.TUNNEL: "SSH tunnel",
    Step.NAME: "Name",
    Step.TCP: "Connection",
    Step.TLS: "TLS",
    Step.HTTP: "HTTP",
    Step.PATH: "Path",
    Step.KEY: "Key",
    Step.MODELS: "Models",
    Step.CHAT: "Answer",
    Step.STREAM: "Streaming",
    Step.ABILITIES: "Abilities",
}


class Outcome(Enum):
    """How a step went; after the first that failed, the rest is not reached."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    NOT_REACHED = "not_reached"


@dataclass(frozen=True, slots=True)
class StepVerdict:
    """One step: what was found, why it is so, and what the user can do; the last two may be "".

    Attributes:
        fingerprint: of a certificate that is not trusted but could be pinned; else "".
        models: what the server lists, in the step that asks for it.
    """

    step: Step
    outcome: Outcome
    what: str
    why: str = ""
    todo: str = ""
    fingerprint: str = ""
    models: tuple[ServedModel, ...] = ()


Look = Callable[[], Awaitable[StepVerdict]]
"""Takes a step and says what was found."""


def ok(step: Step, what: str) -> StepVerdict:
    """A step that went well."""
    return StepVerdict(step, Outcome.OK, what)


def warning(step: Step, what: str, why: str = "", todo: str = "") -> StepVerdict:
    """A step that went well enough to go on."""
    return StepVerdict(step, Outcome.WARNING, what, why, todo)


def failed(step: Step, what: str, why: str = "", todo: str = "") -> StepVerdict:
    """A step that ends the test."""
    return StepVerdict(step, Outcome.FAILED, what, why, todo)


def not_reached(step: Step) -> StepVerdict:
    """A step after the one that failed."""
    return StepVerdict(step, Outcome.NOT_REACHED, "Not reached.")
