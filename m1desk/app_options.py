"""What the command line asks of the window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from m1desk.ui.tokens import ThemeChoice


@dataclass(frozen=True, slots=True)
class WindowOptions:
    """What the command line asks of the window.

    Attributes:
        model_path: a model to load at start.
        documents: files and folders to read at start, as a new set.
        screenshot: save a picture of the window there and end; nothing is remembered.
        page: "chat", "documents", "jobs", "models", "monitor", "servers" or "settings"; "" for the
            last one.
        theme: instead of the one in the settings.
        size: width and height in pixels, instead of the last one.
        prompt: asked in a new conversation once the model is ready.
        exit_after_answer: end when that is answered; the exit status says whether it went well.
        calibrate: measure the engine at start if it never was on this machine.
        greet: on a first start, with no model and no conversation, show a tiny model's answer.
    """

    model_path: Path | None = None
    documents: tuple[Path, ...] = ()
    screenshot: Path | None = None
    page: str = ""
    theme: ThemeChoice | None = None
    size: tuple[int, int] | None = None
    prompt: str = ""
    exit_after_answer: bool = False
    calibrate: bool = True
    greet: bool = True

    @property
    def may_greet(self) -> bool:
        """Whether nothing else is asked for than the window itself."""
        asks = self.screenshot is not None or self.model_path is not None or bool(self.documents)
        return self.greet and not asks
