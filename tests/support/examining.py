"""The step-by-step test of a server, taken to its end."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from m1desk.engines import Outcome, Step, StepVerdict, examine_server
from m1desk.store import Folders

if TYPE_CHECKING:
    from m1desk.engines import ServerProfile, ServerSecrets


async def examine(profile: ServerProfile, secrets: ServerSecrets) -> dict[Step, StepVerdict]:
    """All verdicts, in their order."""
    async with aclosing(examine_server(profile, secrets, Folders.resolve())) as steps:
        return {verdict.step: verdict async for verdict in steps}


def failed_steps(verdicts: dict[Step, StepVerdict]) -> list[Step]:
    """The step that failed, if any."""
    return [step for step, one in verdicts.items() if one.outcome is Outcome.FAILED]
