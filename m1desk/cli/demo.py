"""`m1desk demo`: the main job on a machine without a screen, a model or a network."""

from __future__ import annotations

from pathlib import Path

import m1desk
from m1desk.cli.ask import AskOptions, ModelOptions, ask_documents
from m1desk.cli.session import say
from m1desk.engines.turn import SamplingParameters
from m1desk.models.demo import SAMPLE_QUESTION, demo_model, sample_documents


def demo() -> None:
    """Ask the demo model about the sample documents, and check its answer.

    Raises:
        M1DeskError: the model could not be loaded.
    """
    say("The demo model answers a question about the sample documents. It is small, made for")
    say("trying the app, and knows nothing of the world.\n")
    ask_documents(
        AskOptions(
            files=sample_documents(),
            prepared=None,
            question=SAMPLE_QUESTION,
            model=ModelOptions(demo_model()),
            sampling=SamplingParameters(temperature=0.0),
        )
    )
    say(_how_to_go_on())


def _how_to_go_on() -> str:
    start = "python3 start.py" if _runs_from_checkout() else "m1desk"
    return (
        f"\nTo ask about documents of your own:  {start} ask FILES -q QUESTION --model MODEL.gguf\n"
        f"To see the window, on a machine with a screen:  {start}\n"
        f"To draw it without a screen:  {start} --screenshot window.png"
    )


def _runs_from_checkout() -> bool:
    return (Path(m1desk.__file__).parent.parent / "start.py").exists()
