"""A real window that asks about its documents as soon as a model is ready, and tells how it goes.

    python -m support.asking_window MODEL QUESTION PLAN

It differs from `m1desk MODEL` in this: somebody sends the question; the documents are prepared by
PLAN (the fields of a CheckpointPlan in JSON), so that even a short one has many checkpoints; and
what the engine tells of the preparation goes to standard output too, a line of JSON each.
"""

from __future__ import annotations

import json
import sys
from contextlib import aclosing
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from PySide6.QtCore import QTimer

from m1desk import app_assembly
from m1desk.app import run_window
from m1desk.app_options import WindowOptions
from m1desk.engines import CheckpointPlan, EngineClient, managed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from m1desk.engines import PrepareEvent
    from m1desk.engines.turn import ChatMessage

_LOOK_MILLISECONDS = 20


class AskingAssembly(app_assembly.Assembly):
    """All of the window, and somebody who sends the question once it can be sent."""

    def __init__(self, question: str, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self._question = question
        self._look = QTimer(self)
        self._look.timeout.connect(self._ask_if_possible)
        self._look.start(_LOOK_MILLISECONDS)

    def _ask_if_possible(self) -> None:
        composer = self.documents_desk.page.set_view.composer
        composer.set_text(self._question)
        if composer.can_send:
            self._look.stop()
            composer.button.click()


class TellingClient(EngineClient):
    """Prepares by a plan of its own, and says what it hears."""

    plan = CheckpointPlan()

    async def prepare(
        self,
        name: str,
        messages: Sequence[ChatMessage],
        checkpoint: CheckpointPlan | None = None,
    ) -> AsyncGenerator[PrepareEvent, None]:
        """Prepare as any client does."""
        async with aclosing(super().prepare(name, messages, checkpoint or self.plan)) as events:
            async for event in events:
                print(json.dumps({"event": type(event).__name__, **asdict(event)}), flush=True)
                yield event


def main(model: str, question: str, plan: str) -> int:
    """Show the window until it is ended."""
    TellingClient.plan = CheckpointPlan(**json.loads(plan))
    options = WindowOptions(Path(model), page="documents", calibrate=False, greet=False)
    with (
        patch.object(managed, "EngineClient", TellingClient),
        patch.object(app_assembly, "Assembly", partial(AskingAssembly, question)),
    ):
        return run_window(options)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
