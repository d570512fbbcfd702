"""The step-by-step test of a remote server, from its address to what it can do."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from m1desk.engines.remote.interview import Interview
from m1desk.engines.remote.road import Road
from m1desk.engines.remote.verdicts import Outcome, StepVerdict, not_reached

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from m1desk.engines.remote.profiles import ServerProfile
    from m1desk.engines.remote.secrets import ServerSecrets
    from m1desk.store import Folders


async def examine_server(
    profile: ServerProfile, secrets: ServerSecrets, folders: Folders
) -> AsyncGenerator[StepVerdict, None]:
    """Test a server; yields each step's verdict as soon as it is known, in the order of `Step`.

    Steps that a server does not have (a tunnel, a name, TLS) are left out. It is asked for a few
    tokens; nothing is tried twice, so that a fault shows.
    """
    async with AsyncExitStack() as held:
        road = Road(profile, folders, held)
        verdict = await road.check_address()
        yield verdict
        has_failed = verdict.outcome is Outcome.FAILED
        for step, look in (*road.steps(), *Interview(road, secrets, held).steps()):
            verdict = not_reached(step) if has_failed else await look()
            has_failed = has_failed or verdict.outcome is Outcome.FAILED
            yield replace(verdict, why=secrets.hide(verdict.why))
