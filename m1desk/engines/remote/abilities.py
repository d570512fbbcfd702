"""What a server can do, found out by asking it; whatever it did not show counts as missing."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import httpx

from m1desk.engines.json_values import as_count, as_mapping, as_text
from m1desk.engines.metrics import work_counters
from m1desk.engines.turn_stream import THINKING_FIELD

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from m1desk.engines.turn import ChatMessage

ServerKind = Literal["m1desk", "vllm", "llama-server", "llama-cpp-python", "unknown"]

METRICS_PATHS: Final = ("/metrics", "/v1/metrics")
"""An engine's own, and the one that the recipes' reverse proxy guards by the engine's key."""
_THINKING_FIELDS: Final[Mapping[ServerKind, str]] = {
    "m1desk": THINKING_FIELD,
    "llama-server": THINKING_FIELD,
    "vllm": "thinking_token_budget",
}

_ASK_SECONDS: Final = 15.0
_ASCII_A_TOKEN: Final = 3.5
_TOKENS_A_MESSAGE: Final = 8
_TEXT_COUNTERS: Final = (
    ("/tokenize", "content"),  # our worker, llama-server
    ("/tokenize", "prompt"),  # vLLM
    ("/extras/tokenize/count", "input"),  # llama_cpp.server
)


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model that a server lists; `context_tokens` is 0 where it does not say (tokens)."""

    name: str
    context_tokens: int = 0


@dataclass(frozen=True, slots=True)
class ServerAbilities:
    """What a server can do beside answering.

    Attributes:
        version: as the server calls it, "" if it does not say.
        prefill_progress: it says how far the reading of a prompt is; None until an answer showed.
        prepared: it keeps prepared documents.
        counts_messages: it counts the tokens of a conversation as the model reads it.
        counts_text_at: path and field that count the tokens of a text; None if nothing does.
        metrics_path: where it shows its counters; "" if it does not.
    """

    kind: ServerKind = "unknown"
    version: str = ""
    models: tuple[ServedModel, ...] = ()
    prefill_progress: bool | None = None
    prepared: bool = False
    counts_messages: bool = False
    counts_text_at: tuple[str, str] | None = None
    metrics_path: str = ""

    @property
    def metrics(self) -> bool:
        """Whether it shows its counters."""
        return bool(self.metrics_path)

    @property
    def thinking_field(self) -> str:
        """What it calls the limit of a model's thinking, "" where it is not known to have one."""
        return _THINKING_FIELDS.get(self.kind, "")

    def model(self, name: str) -> ServedModel | None:
        """The model of that name, or the first one for ""; None when the server has it not."""
        return next((one for one in self.models if name in {one.name, ""}), None)

    def missing(self) -> tuple[str, ...]:
        """What it can't do, each as a sentence for the user."""
        lacks = (
            (self.prefill_progress is False, "It does not say how far a long prompt is read."),
            (not self.prepared, "It keeps no prepared documents: each question reads them anew."),
            (not self.counts_messages, "It does not count tokens: lengths are estimates."),
            (not self.metrics, "It shows no counters: speeds and stalls are seen less well."),
        )
        return tuple(sentence for is_lacking, sentence in lacks if is_lacking)


async def find_abilities(
    http: httpx.AsyncClient, cards: Sequence[Mapping[str, Any]]
) -> ServerAbilities:
    """Ask a server what it can do. What is refused, or not understood, it can't do.

    Args:
        http: a client at the server's address, with its key.
        cards: what its /v1/models lists.

    Raises:
        httpx.HTTPError, EngineUnreachable: it does not answer any more.
    """
    name = as_text(cards[0].get("id")) if cards else ""
    props, version, metrics, messages, texts = await asyncio.gather(
        _json(http, "GET", "/props"),
        _json(http, "GET", "/version"),
        _find_metrics(http),
        _count(http, name, "/tokenize", "messages", [{"role": "user", "content": "a"}]),
        asyncio.gather(*(_count(http, name, *where, "a") for where in _TEXT_COUNTERS)),
    )
    counters = [where for where, count in zip(_TEXT_COUNTERS, texts, strict=True) if count]
    extensions = props.get("extensions")
    known = extensions if isinstance(extensions, list) else []
    kind = _kind(props, cards, version, counters)
    return ServerAbilities(
        kind=kind,
        version=as_text(version.get("version")) or as_text(props.get("build_info")),
        models=tuple(_served(card, props) for card in cards),
        prefill_progress=True if "prompt_progress" in known else None,
        prepared="prepared" in known,
        counts_messages=bool(messages),  # llama-server counts 0 where it finds no "content"
        counts_text_at=counters[0] if counters else None,
        metrics_path=metrics,
    )


async def take_metrics(http: httpx.AsyncClient, path: str) -> tuple[float, ...] | None:
    """The server's counters of work; None when it shows none at this path.

    Raises:
        httpx.HTTPError: no answer.
    """
    response = await http.get(path)
    if not response.is_success:
        return None
    try:
        return work_counters(response.text)
    except ValueError:
        return None


def model_cards(answer: object) -> list[Mapping[str, Any]] | None:
    """The entries of an answer of /v1/models; None when it is none."""
    cards = as_mapping(answer).get("data")
    if not isinstance(cards, list):
        return None
    return [card for card in cards if isinstance(card, dict) and as_text(card.get("id"))]


def count_in(answer: Mapping[str, Any]) -> int | None:
    """The number of tokens in an answer of a tokenizer, in whichever form it has."""
    tokens = answer.get("tokens")
    count = answer.get("count", len(tokens) if isinstance(tokens, list) else None)
    return count if isinstance(count, int) else None


def estimate_text(text: str) -> int:
    """Tokens of a text, estimated: rather too many, and wrong by a quarter easily."""
    plain = sum(map(str.isascii, text))
    return math.ceil(plain / _ASCII_A_TOKEN) + len(text) - plain


def estimate_messages(messages: Sequence[ChatMessage]) -> int:
    """Tokens of a conversation, estimated with what a template adds to each message."""
    return sum(estimate_text(one.content) + _TOKENS_A_MESSAGE for one in messages)


async def _find_metrics(http: httpx.AsyncClient) -> str:
    """Where the counters are shown, or ""."""
    for path in METRICS_PATHS:
        try:
            if await take_metrics(http, path) is not None:
                return path
        except httpx.ReadTimeout:
            continue
    return ""


async def _count(
    http: httpx.AsyncClient, model: str, path: str, name: str, value: object
) -> int | None:
    return count_in(await _json(http, "POST", path, {"model": model, name: value}))


async def _json(
    http: httpx.AsyncClient, method: str, path: str, body: object = None
) -> Mapping[str, Any]:
    """Ask; {} for a refusal and for what is no JSON object."""
    try:
        response = await http.request(method, path, json=body, timeout=_ASK_SECONDS)
    except httpx.ReadTimeout:  # a router may swallow what it does not know
        return {}
    if not response.is_success:
        return {}
    try:
        return as_mapping(response.json())
    except (ValueError, RecursionError):
        return {}


def _kind(
    props: Mapping[str, Any],
    cards: Sequence[Mapping[str, Any]],
    version: Mapping[str, Any],
    counters: Sequence[tuple[str, str]],
) -> ServerKind:
    if isinstance(props.get("extensions"), list):
        return "m1desk"
    if any(card.get("owned_by") == "vllm" for card in cards):
        return "vllm"
    if "default_generation_settings" in props:
        return "llama-server"
    if ("/extras/tokenize/count", "input") in counters:
        return "llama-cpp-python"
    return (
        "vllm"
        if as_text(version.get("version")) and ("/tokenize", "prompt") in counters
        else "unknown"
    )


def _served(card: Mapping[str, Any], props: Mapping[str, Any]) -> ServedModel:
    settings = as_mapping(props.get("default_generation_settings"))
    for length in (
        card.get("max_model_len"),
        card.get("context_length"),
        props.get("n_ctx"),
        settings.get("n_ctx"),
        as_mapping(card.get("meta")).get("n_ctx"),
    ):
        if tokens := as_count(length):
            return ServedModel(as_text(card.get("id")), tokens)
    return ServedModel(as_text(card.get("id")))
