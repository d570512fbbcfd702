"""The demo model that is part of the program, the sample documents, and a question about them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from m1desk.store import resource_folder

DEMO_NAME: Final = "m1desk-demo"
"""The demo model as it is called wherever models are named."""

DEMO_CONTEXT_TOKENS: Final = 4096
"""The context length (tokens) that it was trained for, and that its file states."""

GREETING: Final = "Who are you?"
"""A first question for the demo model: it says that it is a demo."""

GREETING_ANSWER: Final = "I am the demo model of M1 Desk"
"""How its answer begins, on every machine that computes rightly."""

SAMPLE_QUESTION: Final = "What is the notice period?"
"""A question whose answer is in the sample documents."""


def demo_model() -> Path:
    """The demo model's file."""
    return resource_folder() / "models" / f"{DEMO_NAME}.gguf"


def sample_documents() -> tuple[Path, ...]:
    """The sample documents, by name."""
    folder = resource_folder() / "samples"
    return tuple(sorted(path for path in folder.iterdir() if path.is_file()))
