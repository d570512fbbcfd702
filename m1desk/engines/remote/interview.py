"""The later steps of a server's test: HTTP, path, key, models, an answer, a stream, abilities."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import httpx

from m1desk.engines.json_values import as_mapping
from m1desk.engines.refusal import refusal_from_response
from m1desk.engines.remote.abilities import ServerAbilities, find_abilities, model_cards
from m1desk.engines.remote.arrival import Arrival, note_arrival
from m1desk.engines.remote.connection import explain_loss, plain_client
from m1desk.engines.remote.tls import causes, wants_client_certificate
from m1desk.engines.remote.verdicts import Look, Step, StepVerdict, failed, ok, warning
from m1desk.errors import EngineRefused, EngineUnreachable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AsyncExitStack

    from m1desk.engines.remote.road import Road
    from m1desk.engines.remote.secrets import ServerSecrets

_MODELS: Final = "/v1/models"
_CHAT: Final = "/v1/chat/completions"
_ANSWER_SECONDS: Final = 180.0  # the first answer after a start may take long
_QUESTION: Final = "Count from 1 to 60."
_STREAMED_TOKENS: Final = 160
_PROGRESS_FIELD: Final = "return_progress"
_GUARDED: Final = frozenset({401, 403})
_NOT_HERE: Final = frozenset({400, 404, 405, 410})
_FROM_A_PROXY: Final = {
    "HTTPS port": "Use an address with https://.",
    "SSL certificate": "Give the client certificate and its key in the server's settings.",
}


class Interview:
    """Questions to a server that takes connections; `held` closes what it opens."""

    def __init__(self, road: Road, secrets: ServerSecrets, held: AsyncExitStack) -> None:
        self._road = road
        self._secrets = secrets
        self._held = held
        self._client: httpx.AsyncClient | None = None
        self._listing: httpx.Response | None = None
        self._cards: list[Mapping[str, Any]] = []
        self._answer: httpx.Response | EngineUnreachable | None = None
        self._answer_seconds = 0.0
        self._abilities = ServerAbilities()

    def steps(self) -> list[tuple[Step, Look]]:
        """The steps in their order; each needs those before it."""
        return [
            (Step.HTTP, self._http),
            (Step.PATH, self._path),
            (Step.KEY, self._key),
            (Step.MODELS, self._models),
            (Step.CHAT, self._chat),
            (Step.STREAM, self._stream),
            (Step.ABILITIES, self._tell_abilities),
        ]

    @property
    def _asking(self) -> httpx.AsyncClient:
        if self._client is None:
            raise RuntimeError("the steps must be taken in their order")
        return self._client

    @property
    def _model(self) -> str:
        return self._road.profile.model or (str(self._cards[0]["id"]) if self._cards else "")

    async def _http(self) -> StepVerdict:
        profile = self._road.profile
        client = plain_client(profile, self._secrets, self._road.transport())
        self._client = await self._held.enter_async_context(client)
        try:
            response = await client.get(_MODELS)
        except httpx.HTTPError as error:
            return self._no_http(error)
        except EngineUnreachable as error:
            return _refused(Step.HTTP, error)
        self._listing = response
        if response.is_redirect:
            return failed(
                Step.HTTP,
                "The server sends us elsewhere.",
                f"It says: {response.headers.get('location', '')}",
                "Use that address, if it is meant, without what follows /v1.",
            )
        if response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
            return _refused(Step.HTTP, _refusal(response))
        name = response.headers.get("server", "")
        return ok(Step.HTTP, f"{response.http_version} answers" + (f" ({name})." if name else "."))

    async def _path(self) -> StepVerdict:
        response = self._heard()
        cards = model_cards(_json(response)) if response.is_success else None
        if cards is not None:
            self._cards = cards
            return ok(Step.PATH, f"{self._road.profile.base_url}{_MODELS} lists models.")
        if response.status_code in _GUARDED:
            return ok(Step.PATH, "Something is there, behind a key.")
        refusal = _refusal(response)
        for words, todo in _FROM_A_PROXY.items():
            if words in refusal.why:
                return failed(Step.PATH, refusal.what, refusal.why, todo)
        if response.status_code in _NOT_HERE:
            return failed(
                Step.PATH,
                f"There is no engine at {self._road.profile.base_url}.",
                f"{_MODELS} answers {response.status_code}: {refusal.why}",
                await self._better_path(),
            )
        return _refused(Step.PATH, refusal)

    async def _key(self) -> StepVerdict:
        if self._heard().status_code in _GUARDED:
            return self._key_refused(self._heard())
        if self._model:
            # a list of models may be open to anybody: only an answer shows what the key is worth
            await self._ask_one_token()
        answer = self._answer
        if isinstance(answer, httpx.Response) and answer.status_code in _GUARDED:
            return self._key_refused(answer)
        has_key = bool(self._secrets.key or self._secrets.headers)
        return ok(Step.KEY, "The key is accepted." if has_key else "No key is asked for.")

    async def _models(self) -> StepVerdict:
        try:
            self._abilities = await find_abilities(self._asking, self._cards)
        except httpx.HTTPError as error:
            return _refused(Step.MODELS, explain_loss(self._road.profile, error))
        names = ", ".join(one.name for one in self._abilities.models)
        served = self._abilities.model(self._road.profile.model)
        if served is None:
            verdict = failed(
                Step.MODELS,
                f"The model {self._model} is not there." if self._model else "It has no model.",
                f"There are: {names}." if names else "The list is empty.",
                "Choose one of them." if names else "Load a model on the server.",
            )
            return replace(verdict, models=self._abilities.models)
        if not (served.context_tokens or self._road.profile.context_tokens):
            verdict = warning(
                Step.MODELS,
                f"{names}; the context length is not said.",
                "What fits can't be told before something is refused.",
                "Enter it in the server's settings, if you know it.",
            )
            return replace(verdict, models=self._abilities.models)
        listed = ", ".join(
            f"{one.name} ({one.context_tokens:,} tokens)" if one.context_tokens else one.name
            for one in self._abilities.models
        )
        return replace(ok(Step.MODELS, f"{listed}."), models=self._abilities.models)

    async def _chat(self) -> StepVerdict:
        answer = self._answer
        if isinstance(answer, EngineUnreachable):
            return _refused(Step.CHAT, answer)
        if answer is None:
            raise RuntimeError("the steps must be taken in their order")
        if not answer.is_success or not as_mapping(_json(answer)).get("choices"):
            return _refused(Step.CHAT, _refusal(answer))
        return ok(Step.CHAT, f"{self._model} answers after {self._answer_seconds:.1f} s.")

    async def _stream(self) -> StepVerdict:
        try:
            arrival = await self._listen_as_allowed()
        except EngineRefused as error:
            return _refused(Step.STREAM, error)
        except httpx.HTTPError as error:
            return _refused(Step.STREAM, explain_loss(self._road.profile, error))
        self._abilities = replace(self._abilities, prefill_progress=arrival.progress)
        return _judge(arrival, self._answer_seconds)

    async def _tell_abilities(self) -> StepVerdict:
        abilities = self._abilities
        missing = abilities.missing()
        who = {"unknown": "The server"}.get(abilities.kind, abilities.kind)
        if abilities.version:
            who += f" {abilities.version}"
        if not missing:
            return ok(Step.ABILITIES, f"{who} does all that an engine of this machine does.")
        return warning(
            Step.ABILITIES,
            f"{who} does not do all that an engine of this machine does.",
            " ".join(missing),
        )

    # -- questions ---------------------------------------------------------------------------------

    async def _ask_one_token(self) -> None:
        body = {
            "model": self._model,
            "messages": [{"role": "user", "content": "Hi"}],
            "max_tokens": 1,
        }
        began = time.monotonic()
        try:
            self._answer = await self._asking.post(_CHAT, json=body, timeout=_ANSWER_SECONDS)
        except httpx.HTTPError as error:
            self._answer = explain_loss(self._road.profile, error)
        except EngineUnreachable as error:
            self._answer = error
        self._answer_seconds = time.monotonic() - began

    async def _listen_as_allowed(self) -> Arrival:
        """Listen; some servers refuse a question for progress. Raises as `_listen` does."""
        try:
            return await self._listen(asks_for_progress=True)
        except EngineRefused as error:
            if _PROGRESS_FIELD not in error.why:
                raise
        return await self._listen(asks_for_progress=False)

    async def _listen(self, *, asks_for_progress: bool) -> Arrival:
        """Have a longer answer streamed, and note when its pieces come.

        Raises:
            EngineRefused: no stream came, or an error within it.
            httpx.HTTPError: the connection was lost.
        """
        body: dict[str, object] = {
            "model": self._model,
            "messages": [{"role": "user", "content": _QUESTION}],
            "max_tokens": _STREAMED_TOKENS,
            "stream": True,
        }
        if asks_for_progress:
            body[_PROGRESS_FIELD] = True
        began = time.monotonic()
        async with self._asking.stream(
            "POST", _CHAT, json=body, timeout=_ANSWER_SECONDS
        ) as response:
            kind = response.headers.get("content-type", "")
            if not response.is_success or not kind.startswith("text/event-stream"):
                raise refusal_from_response(response.status_code, await response.aread())
            return await note_arrival(response, began)

    async def _better_path(self) -> str:
        """Look whether the server is there without the prefix."""
        address = self._road.profile.address
        if not address.prefix:
            return "Add the path that leads to it; whoever runs the server knows it."
        try:
            response = await self._asking.get(f"{address.origin}{_MODELS}")
        except httpx.HTTPError:
            return "Check the path."
        if model_cards(_json(response)) is not None or response.status_code in _GUARDED:
            return f"It is there without the path {address.prefix}: use {address.origin}."
        return f"Check the path {address.prefix}."

    # -- verdicts ----------------------------------------------------------------------------------

    def _heard(self) -> httpx.Response:
        if self._listing is None:
            raise RuntimeError("the steps must be taken in their order")
        return self._listing

    def _key_refused(self, response: httpx.Response) -> StepVerdict:
        why = _refusal(response).why
        if response.status_code == httpx.codes.FORBIDDEN:
            return failed(
                Step.KEY,
                "The server does not allow us to ask.",
                why,
                "Ask whoever runs it what the key may do; a proxy may also refuse by address.",
            )
        if not self._secrets.key and not self._secrets.headers:
            return failed(
                Step.KEY, "The server wants a key.", why, "Add its key to the server's settings."
            )
        return failed(
            Step.KEY,
            "The server does not accept the key.",
            why,
            "Check the key, and enter it anew.",
        )

    def _no_http(self, error: httpx.HTTPError) -> StepVerdict:
        address = self._road.profile.address
        if any(wants_client_certificate(cause) for cause in causes(error)):
            return failed(
                Step.HTTP,
                "The server asks for a client certificate.",
                str(error),
                "Give the certificate and its key in the server's settings.",
            )
        if not isinstance(error, httpx.RemoteProtocolError | httpx.ReadError):
            return _refused(Step.HTTP, explain_loss(self._road.profile, error))
        reason = f"{error or type(error).__name__}".rstrip(".") + "."
        if not address.is_encrypted:
            return failed(
                Step.HTTP,
                "What answers there does not speak HTTP.",
                reason,
                "Check the port; if it is that of https, use an address with https://.",
            )
        return failed(
            Step.HTTP,
            "The server hangs up instead of answering.",
            reason,
            "Check the port; if the server wants a client certificate, give it with its key.",
        )


def _judge(arrival: Arrival, until_first_token: float) -> StepVerdict:
    held_back = arrival.is_held_back(until_first_token)
    if held_back:
        return warning(
            Step.STREAM,
            "The answer comes in large pieces, or only at its end.",
            "Something on the way, a proxy most likely, holds it back.",
            "Switch its buffering off; nginx needs `proxy_buffering off;`.",
        )
    if held_back is None:
        return ok(Step.STREAM, "The answer came too quickly to tell whether it is held back.")
    return ok(Step.STREAM, "The answer comes piece by piece.")


def _json(response: httpx.Response) -> object:
    try:
        return response.json()
    except (ValueError, RecursionError):
        return None


def _refusal(response: httpx.Response) -> EngineRefused:
    return refusal_from_response(response.status_code, response.content)


def _refused(step: Step, error: EngineRefused | EngineUnreachable) -> StepVerdict:
    return failed(step, error.what, error.why, error.todo)
