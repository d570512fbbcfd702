"""Who answers `m1desk ask`: a model that is loaded here, or a remote server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from m1desk.cli.chat import KeepSpeed, keep_no_speed
from m1desk.cli.remote import FoundServer, server_session
from m1desk.cli.session import Session, say
from m1desk.errors import BadInput
from m1desk.store import Folders

if TYPE_CHECKING:
    from m1desk.engines import EngineClient


@dataclass(frozen=True, slots=True)
class Answerer:
    """Who answers.

    Attributes:
        model: as it is kept with the answer.
        context_tokens: its context length (tokens).
        keep_speed: keeps how fast an answer was, where that says something about this machine.
    """

    client: EngineClient
    model: str
    context_tokens: int
    folders: Folders
    keep_speed: KeepSpeed


def loaded_here(session: Session) -> Answerer:
    """The model that is loaded; raises EngineFailed when none is."""
    status = session.engine.status
    return Answerer(
        client=session.engine.client(),
        model=status.model_name,
        context_tokens=status.context_tokens,
        folders=session.folders,
        keep_speed=session.keep_speed,
    )


@asynccontextmanager
async def at_server(server: FoundServer, context_tokens: int) -> AsyncIterator[Answerer]:
    """A server, for the body of the `async with`; `context_tokens` holds where it says none.

    Raises:
        BadInput: nobody says how long its context is.
        EngineError: it does not answer, or not as an engine does.
    """
    name = server.profile.name
    async with server_session(server) as client:
        context = client.context_tokens or context_tokens
        if not context:
            raise BadInput(
                f"{name} does not say how long its context is.",
                "Whether the documents fit can't be told, and nothing is ever cut.",
                "Give --context, or the length in the server's settings.",
            )
        if not client.abilities.counts_messages:
            say(f"{name} does not count tokens: lengths are estimates.")
        yield Answerer(
            client=client,
            model=f"{client.model} on {name}",
            context_tokens=context,
            folders=Folders.resolve(),
            keep_speed=keep_no_speed,
        )
