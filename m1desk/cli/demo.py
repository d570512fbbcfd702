"""`m1desk demo`: the main job on a machine without a screen, a model or a network."""

from __future__ import annotations

import tempfile
from pathlib import Path

import m1desk
from m1desk.cli.chat import ChatOptions, chat
from m1desk.cli.session import say
from m1desk.engines import LlamaSettings
from m1desk.engines.greeting import QUESTION, write_greeting_model
from m1desk.engines.turn import SamplingParameters


def demo() -> None:
    """Make a tiny model, load it, and stream its answer to the terminal.

    Raises:
        M1DeskError: the model could not be made or loaded.
    """
    say("No demo model ships yet: making a tiny one on the spot. It has M1's architecture and")
    say("runs through every part of the engine, but its answer is fixed and means nothing.")
    with tempfile.TemporaryDirectory() as folder:
        model = write_greeting_model(Path(folder))
        say(f"\nYou: {QUESTION}\n")
        chat(
            ChatOptions(
                settings=LlamaSettings(model_path=model, context_tokens=2048),
                prompt=QUESTION,
                sampling=SamplingParameters(temperature=0.0, max_tokens=64),
            )
        )
    say(_how_to_see_the_window())


def _how_to_see_the_window() -> str:
    start = "python3 start.py" if _runs_from_checkout() else "m1desk"
    return (
        f"\nTo see the window, on a machine with a screen:  {start}\n"
        f"To render it without a screen:  {start} --screenshot window.png\n"
        f"To talk to a model of your own:  {start} chat MODEL.gguf"
    )


def _runs_from_checkout() -> bool:
    return (Path(m1desk.__file__).parent.parent / "start.py").exists()
