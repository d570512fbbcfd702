"""Whether the window shows what a picture of it is meant to show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from m1desk.app_options import WindowOptions
    from m1desk.engines import EngineStatus

_SAMPLES: Final = 4
"""Seconds of history in a picture of the Monitor page."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What the window shows now.

    Attributes:
        samples: how often the machine was sampled (once a second).
        has_read: whether the models that are here were found.
        has_answered: whether a turn has ended.
    """

    page: str
    status: EngineStatus
    samples: int
    has_read: bool
    has_answered: bool


def is_picturesque(shown: Shown, options: WindowOptions) -> bool:
    """Whether all that was asked for is there, or has failed."""
    status = shown.status
    if not shown.has_read or shown.samples < (_SAMPLES if shown.page == "monitor" else 1):
        return False
    if options.model_path is not None and not status.is_ready and status.failure is None:
        return False
    return not options.prompt or shown.has_answered or status.failure is not None
