"""The queue worked on in a process of its own, by a window or in a terminal.

    python -m support.working_jobs window|terminal PLAN

It differs from `m1desk`, or from `m1desk jobs run`, in this: the clock on the wall is set by a file
(see wall_clock.py), and documents are prepared by PLAN (the fields of a CheckpointPlan in JSON), so
that even a short one has many checkpoints.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING
from unittest.mock import patch

import support.wall_clock  # noqa: F401 - before all that looks at the clock

from m1desk.app import run_window
from m1desk.app_options import WindowOptions
from m1desk.cli.commands import run_command_line
from m1desk.engines import CheckpointPlan, EngineClient

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from m1desk.engines import PrepareEvent
    from m1desk.engines.turn import ChatMessage


def main(where: str, plan: str) -> int:
    """Work until no job waits; a window does until it is ended."""
    prepare, own = EngineClient.prepare, CheckpointPlan(**json.loads(plan))

    def carefully(
        client: EngineClient,
        name: str,
        messages: Sequence[ChatMessage],
        checkpoint: CheckpointPlan | None = None,
    ) -> AsyncGenerator[PrepareEvent, None]:
        return prepare(client, name, messages, checkpoint or own)

    with patch.object(EngineClient, "prepare", carefully):
        if where == "terminal":
            return run_command_line(["jobs", "run"])
        return run_window(WindowOptions(page="jobs", calibrate=False, greet=False))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
