"""The server that answers instead of this machine's engine: one at a time, chosen by the person."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from m1desk.engines.remote.abilities import estimate_messages, estimate_text
from m1desk.engines.remote.connection import connect
from m1desk.engines.remote.profile_store import ProfileStore
from m1desk.engines.remote.secrets import missing
from m1desk.engines.status import Endpoint, EngineState, EngineStatus
from m1desk.errors import BadInput, EngineUnreachable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence

    from m1desk.engines.metrics import EngineMetrics
    from m1desk.engines.prepared import CheckpointPlan, PrepareEvent
    from m1desk.engines.remote.connection import RemoteClient
    from m1desk.engines.remote.watchdog import StallPatience
    from m1desk.engines.turn import ChatMessage, ChatRequest, TurnEvent
    from m1desk.store import Database, Folders

_COUNTERS_SECONDS: Final = 3.0
"""Graphs wait no longer for a server: they are drawn once a second."""


@dataclass(frozen=True, slots=True)
class ServerTrouble:
    """An answer of a server broke off: it is not reached any more, or it has stalled."""

    server: str
    error: EngineUnreachable


@dataclass(frozen=True, slots=True)
class ServerRecovery:
    """A server answers again, whose answer before had broken off."""

    server: str


class Estimates:
    """Counts tokens without asking anybody: what nobody has sent yet stays on this machine."""

    async def count_text(self, text: str) -> int:
        """Estimate a bare text; easily wrong by a quarter."""
        return estimate_text(text)

    async def count_tokens(self, messages: Sequence[ChatMessage]) -> int:
        """Estimate a conversation, with what a template adds."""
        return estimate_messages(messages)


class ServerInUse:
    """A server that is connected; it answers turns, and questions about documents."""

    def __init__(
        self, client: RemoteClient, held: AsyncExitStack, post: Callable[[object], None]
    ) -> None:
        """Take a client over; `held` closes it.

        `post` hears of every `ServerTrouble`, and of a `ServerRecovery` after it.
        """
        self._client = client
        self._held = held
        self._post = post
        self._needs = 0
        self._is_left = False
        self._is_silent = False

    @property
    def name(self) -> str:
        """What the person calls it."""
        return self._client.profile.name

    @property
    def address(self) -> str:
        """Where it is, and through which machine it is reached."""
        profile = self._client.profile
        way = f" through {profile.tunnel.destination}" if profile.tunnel else ""
        return profile.base_url + way

    @property
    def model(self) -> str:
        """Who answers, as it is kept beside each answer: the model, and where it runs."""
        return f"{self._client.model} on {self.name}"

    @property
    def tells_progress(self) -> bool:
        """Whether it says how far it has read a prompt, as far as that is known by now."""
        return self._client.abilities.prefill_progress is not False

    @property
    def missing(self) -> tuple[str, ...]:
        """What it can't do, each as a sentence, as far as it is known by now."""
        return self._client.abilities.missing()

    @property
    def is_silent(self) -> bool:
        """Whether its last answer broke off, and nothing has come since."""
        return self._is_silent

    @property
    def shows_metrics(self) -> bool:
        """Whether its counters can be read."""
        return self._client.abilities.metrics

    @property
    def context_tokens(self) -> int:
        """The longest request (tokens), 0 where neither it nor the person said."""
        return self._client.context_tokens

    @property
    def status(self) -> EngineStatus:
        """The same as an engine's status; the endpoint tells servers apart and has no key."""
        return EngineStatus(
            EngineState.READY,
            model_name=self.model,
            endpoint=Endpoint(self.address, self.model, ""),
            context_tokens=self.context_tokens,
            asked_context_tokens=self.context_tokens,
            server=self.name,
            is_silent=self.is_silent,
        )

    @asynccontextmanager
    async def needed(self) -> AsyncIterator[None]:
        """Keep it connected for the body of the `async with`, even if it is left meanwhile."""
        self._needs += 1
        try:
            yield
        finally:
            self._needs -= 1
            await self._close_unless_needed()

    @property
    def counts_exactly(self) -> bool:
        """Whether it counts tokens, and does not estimate."""
        return self._client.counts_exactly

    async def stream_turn(self, request: ChatRequest) -> AsyncGenerator[TurnEvent, None]:
        """Answer, piece by piece; raises as `RemoteClient.stream_turn` does."""
        async with self.needed():
            try:
                async with aclosing(self._client.stream_turn(request)) as events:
                    async for event in events:
                        self._note_life()
                        yield event
            except EngineUnreachable as error:
                self._is_silent = True
                self._post(ServerTrouble(self.name, error))
                raise

    async def count_text(self, text: str) -> int:
        """Count a text; raises as `RemoteClient.count_text` does."""
        return await self._client.count_text(text)

    async def count_tokens(self, messages: Sequence[ChatMessage]) -> int:
        """Count a conversation; raises as `RemoteClient.count_tokens` does."""
        return await self._client.count_tokens(messages)

    def prepare(
        self, name: str, messages: Sequence[ChatMessage], checkpoint: CheckpointPlan | None = None
    ) -> AsyncGenerator[PrepareEvent, None]:
        """Read the beginning of later prompts; raises as `EngineClient.prepare` does."""
        return self._client.prepare(name, messages, checkpoint)

    async def metrics(self) -> EngineMetrics | None:
        """Its counters; None where it shows none, or not soon enough.

        Raises:
            EngineRefused, EngineUnreachable: they can't be read.
        """
        if not self.shows_metrics:
            return None
        try:
            async with asyncio.timeout(_COUNTERS_SECONDS):
                return await self._client.metrics()
        except TimeoutError:
            return None

    async def leave(self) -> None:
        """Use it no more; answers that are being written come to their end first."""
        self._is_left = True
        await self._close_unless_needed()

    async def close(self) -> None:
        """Close the connection now."""
        await self._held.aclose()

    def _note_life(self) -> None:
        if self._is_silent:
            self._is_silent = False
            self._post(ServerRecovery(self.name))

    async def _close_unless_needed(self) -> None:
        if self._is_left and self._needs == 0:
            await self.close()


class Servers:
    """The servers that were added, and the one in use. Use it on one loop.

    Attributes:
        store: the profiles and their secrets; its methods wait for the disk and the keyring.
        in_use: the one that answers, None while this machine's engine does.
    """

    def __init__(
        self,
        database: Database,
        folders: Folders,
        post: Callable[[object], None],
        patience: StallPatience | None = None,
    ) -> None:
        """Connect to nothing yet; `post` hears of every `ServerTrouble`."""
        self.store = ProfileStore(database)
        self.in_use: ServerInUse | None = None
        self.folders = folders
        self._post = post
        self.patience = patience
        self._left: list[ServerInUse] = []

    async def use(self, name: str) -> ServerInUse:
        """Connect to a server and let it answer from now on, in place of another.

        Raises:
            BadInput: there is none of that name, or a secret it wants is not known.
            EngineError: as `connect`; what was in use before stays so.
        """
        profile = await asyncio.to_thread(self.store.get, name)
        secrets = await asyncio.to_thread(self.store.vault.read, profile)
        if missing(profile, secrets):
            raise BadInput(
                f"{name} wants a key that is not known.", "", "Enter it, then try again."
            )
        held = AsyncExitStack()
        reached = connect(profile, secrets, self.folders, patience=self.patience)
        client = await held.enter_async_context(reached)
        await self.leave()
        self.in_use = ServerInUse(client, held, self._post)
        return self.in_use

    async def leave(self) -> None:
        """Let this machine's engine answer again; doing so twice is harmless."""
        before, self.in_use = self.in_use, None
        if before is not None:
            self._left.append(before)
            await before.leave()

    async def close(self) -> None:
        """Close every connection, also those of answers still being written."""
        await self.leave()
        for server in self._left:
            await server.close()
        self._left.clear()
