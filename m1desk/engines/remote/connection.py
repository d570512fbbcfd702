"""A client of a remote server: like an engine's on this machine, and honest about the rest."""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import httpx

from m1desk.engines.client import EngineClient
from m1desk.engines.refusal import refusal_from_response
from m1desk.engines.remote.abilities import (
    METRICS_PATHS,
    ServedModel,
    ServerAbilities,
    count_in,
    estimate_messages,
    estimate_text,
    find_abilities,
    model_cards,
    take_metrics,
)
from m1desk.engines.remote.profiles import checked
from m1desk.engines.remote.tls import explain_tls, tls_cause
from m1desk.engines.remote.transport import RetryPolicy, RetryTransport, server_transport
from m1desk.engines.remote.tunnel import Tunnel
from m1desk.engines.remote.watchdog import Look, Pulse, StallPatience, WatchTransport
from m1desk.engines.status import Endpoint
from m1desk.engines.turn import PrefillProgress, TextDelta
from m1desk.engines.turn_stream import THINKING_FIELD
from m1desk.errors import EngineRefused, EngineUnreachable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence

    from m1desk.engines.remote.profiles import ServerProfile
    from m1desk.engines.remote.secrets import ServerSecrets
    from m1desk.engines.turn import ChatMessage, ChatRequest, TurnEvent
    from m1desk.store import Folders

_log = logging.getLogger(__name__)

_CONNECT_SECONDS: Final = 10.0
_ANSWER_SECONDS: Final = 30.0
_UNKNOWN_FIELD: Final = frozenset({400, 422})
_PROGRESS_FIELD: Final = "return_progress"


@asynccontextmanager
async def connect(
    profile: ServerProfile,
    secrets: ServerSecrets,
    folders: Folders,
    *,
    retries: RetryPolicy | None = None,
    patience: StallPatience | None = None,
) -> AsyncIterator[RemoteClient]:
    """Reach a server, ask what it can do, and give a client of it for the body of the `async with`.

    Args:
        profile: the server; its model, or else the first it lists, is asked.
        secrets: what it wants to see.
        folders: for the record and the log of a tunnel.
        retries: how often something is tried again.
        patience: when a silent answer counts as stalled.

    Raises:
        BadInput: the profile, or one of its files, can't be used.
        EngineUnreachable: it does not answer, or is not trusted.
        EngineRefused: it answers, but not as an engine does, or has no such model.
    """
    profile = checked(profile)
    limits = patience or StallPatience()
    async with AsyncExitStack() as held:
        tunnel = None
        if profile.tunnel is not None:
            tunnel = Tunnel(profile.tunnel, profile.address, folders)
            held.push_async_callback(tunnel.close)
        plain = server_transport(profile, tunnel)
        trying = RetryTransport(plain, retries or RetryPolicy())
        asking = await held.enter_async_context(plain_client(profile, secrets, trying))
        abilities = await _ask_abilities(profile, secrets, asking)
        served = abilities.model(profile.model)
        if served is None:
            raise _no_such_model(profile, abilities)
        looking = await held.enter_async_context(
            plain_client(profile, secrets, plain, limits.answer_seconds)
        )
        client = RemoteClient(
            profile,
            secrets,
            served,
            abilities,
            WatchTransport(trying, _looking_with(looking, abilities), limits),
        )
        held.push_async_callback(client.aclose)
        yield client


class RemoteClient(EngineClient):
    """A model on a remote server. `connect` makes it."""

    def __init__(
        self,
        profile: ServerProfile,
        secrets: ServerSecrets,
        served: ServedModel,
        abilities: ServerAbilities,
        transport: httpx.AsyncBaseTransport,
    ) -> None:
        super().__init__(
            Endpoint(profile.base_url, served.name, secrets.key),
            headers=extra_headers(profile, secrets),
            transport=transport,
        )
        self.profile = profile
        self.context_tokens = served.context_tokens or profile.context_tokens
        self._secrets = secrets
        self._abilities = abilities
        self._asks_for_progress = True

    @property
    def abilities(self) -> ServerAbilities:
        """What the server can do, as far as it is known by now."""
        return self._abilities

    @property
    def counts_exactly(self) -> bool:
        """Whether the server counts tokens."""
        return self._abilities.counts_messages

    async def stream_turn(self, request: ChatRequest) -> AsyncGenerator[TurnEvent, None]:
        """Answer a conversation, as `EngineClient.stream_turn` does.

        Raises:
            EngineStalled: nothing comes, and the server does nothing.
            EngineRefused, EngineUnreachable: as there.
        """
        try:
            async with aclosing(super().stream_turn(request)) as events:
                async for event in events:
                    self._note(event)
                    yield event
        except EngineRefused as error:
            if not self._is_about_progress(error):
                raise
        else:
            return
        self._asks_for_progress = False
        async with aclosing(super().stream_turn(request)) as events:
            async for event in events:
                yield event

    async def count_tokens(self, messages: Sequence[ChatMessage]) -> int:
        """Count a conversation's tokens; an estimate unless `abilities.counts_messages`.

        Raises:
            EngineRefused, EngineUnreachable: as for `stream_turn`.
        """
        if not self._abilities.counts_messages:
            return estimate_messages(messages)
        return await super().count_tokens(messages)

    async def count_text(self, text: str) -> int:
        """Count the tokens of a bare text; an estimate unless `abilities.counts_text_at`.

        Raises:
            EngineRefused, EngineUnreachable: as for `stream_turn`.
        """
        if self._abilities.counts_text_at is None:
            return estimate_text(text)
        path, name = self._abilities.counts_text_at
        response = await self._ask("POST", path, json={"model": self.model, name: text})
        count = count_in(response.json())
        return estimate_text(text) if count is None else count

    def _metrics_path(self) -> str:
        return self._abilities.metrics_path or super()._metrics_path()

    def _note(self, event: TurnEvent) -> None:
        """Learn from an answer whether the server says how far it has read."""
        if self._abilities.prefill_progress is None:
            if isinstance(event, PrefillProgress):
                self._abilities = replace(self._abilities, prefill_progress=True)
            elif isinstance(event, TextDelta):
                self._abilities = replace(self._abilities, prefill_progress=False)

    def _is_about_progress(self, error: EngineRefused) -> bool:
        return (
            self._asks_for_progress
            and error.status in _UNKNOWN_FIELD
            and _PROGRESS_FIELD in error.why
        )

    def _turn_body(self, request: ChatRequest) -> dict[str, object]:
        body = super()._turn_body(request)
        if not self._asks_for_progress:
            body.pop(_PROGRESS_FIELD, None)
        thinking = body.pop(THINKING_FIELD, None)
        if thinking is not None and self._abilities.thinking_field:
            body[self._abilities.thinking_field] = thinking
        return body

    async def _ask(
        self, method: str, path: str, *, json: object = None, seconds: float = _ANSWER_SECONDS
    ) -> httpx.Response:
        with _hiding(self._secrets):
            return await super()._ask(method, path, json=json, seconds=seconds)

    @asynccontextmanager
    async def _open_stream(self, path: str, body: object) -> AsyncIterator[httpx.Response]:
        with _hiding(self._secrets):
            async with super()._open_stream(path, body) as response:
                yield response

    def _refuse_closed(self) -> None:
        if self._http.is_closed:
            raise EngineUnreachable(f"{self.profile.name} is not in use any more.")

    def _explain(self, error: httpx.HTTPError | httpx.StreamError) -> EngineUnreachable:
        return explain_loss(self.profile, error)


def plain_client(
    profile: ServerProfile,
    secrets: ServerSecrets,
    transport: httpx.AsyncBaseTransport,
    seconds: float = _ANSWER_SECONDS,
) -> httpx.AsyncClient:
    """Make a bare HTTP client at the server's address, with its key and its headers."""
    bearer = {"Authorization": f"Bearer {secrets.key}"} if secrets.key else {}
    return httpx.AsyncClient(
        base_url=profile.base_url,
        headers={**bearer, **extra_headers(profile, secrets)},
        transport=transport,
        timeout=httpx.Timeout(seconds, connect=min(seconds, _CONNECT_SECONDS)),
        trust_env=False,
    )


def extra_headers(profile: ServerProfile, secrets: ServerSecrets) -> dict[str, str]:
    """The headers beside the key, secret ones too."""
    return {**dict(profile.headers), **secrets.headers}


def explain_loss(
    profile: ServerProfile, error: httpx.HTTPError | httpx.StreamError
) -> EngineUnreachable:
    """Say why a server does not answer."""
    test = f"Run `m1desk remote test {profile.name}` to see where it fails."
    tls = tls_cause(error)
    if tls is not None:
        problem = explain_tls(tls, profile.address.host, "")
        return EngineUnreachable(problem.what, problem.why, problem.todo)
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        where = profile.address.origin
        return EngineUnreachable(
            f"{profile.name} does not answer.", f"No connection to {where} could be made.", test
        )
    if isinstance(error, httpx.TimeoutException):
        return EngineUnreachable(f"{profile.name} takes too long to answer.", "", test)
    _log.warning("the connection to %s was lost: %s: %s", profile.name, type(error).__name__, error)
    return EngineUnreachable(
        f"The connection to {profile.name} was lost.",
        "It broke off before the end.",
        f"Have it done again. {test}",
    )


async def _ask_abilities(
    profile: ServerProfile, secrets: ServerSecrets, http: httpx.AsyncClient
) -> ServerAbilities:
    try:
        response = await http.get("/v1/models")
        cards = model_cards(_answer_of(response)) if response.is_success else None
        if cards is None:
            with _hiding(secrets):
                raise refusal_from_response(response.status_code, response.content)
        return await find_abilities(http, cards)
    except httpx.HTTPError as error:
        raise explain_loss(profile, error) from error


def _answer_of(response: httpx.Response) -> Any:  # noqa: ANN401 - whatever JSON holds
    try:
        return response.json()
    except (ValueError, RecursionError):
        return None


def _looking_with(http: httpx.AsyncClient, abilities: ServerAbilities) -> Look:
    path = abilities.metrics_path or METRICS_PATHS[0]

    async def look() -> Pulse:
        """Look at the counters, or else whether the engine behind a proxy answers at all.

        Nothing below /v1 is asked but counters that were found there: llama_cpp.server breaks an
        answer off for any such question.
        """
        try:
            counters = await take_metrics(http, path)
            if counters is not None:
                return Pulse(answers=True, counters=counters)
            response = await http.get("/health")
        except (httpx.HTTPError, EngineUnreachable):
            return Pulse(answers=False)
        return Pulse(answers=response.status_code < httpx.codes.INTERNAL_SERVER_ERROR)

    return look


@contextmanager
def _hiding(secrets: ServerSecrets) -> Iterator[None]:
    """Keep secrets that a server repeats out of the errors made of its answers."""
    try:
        yield
    except EngineRefused as error:
        hidden = EngineRefused(
            error.what, secrets.hide(error.why), error.todo, status=error.status, code=error.code
        )
        raise hidden from None


def _no_such_model(profile: ServerProfile, abilities: ServerAbilities) -> EngineRefused:
    names = ", ".join(one.name for one in abilities.models)
    return EngineRefused(
        f"{profile.name} has no model {profile.model}."
        if profile.model
        else f"{profile.name} has no model loaded.",
        f"It has: {names}." if names else "It lists none.",
        "Choose another model in the server's settings.",
        status=404,
    )
