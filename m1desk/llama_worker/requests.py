"""Request bodies of the OpenAI dialect, checked and turned into frozen values."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from m1desk.llama_worker.bodies import (
    ChatBody,
    CompletionBody,
    DetokenizeBody,
    GenerationBody,
    PrepareBody,
    TokenizeBody,
    load_json,
)
from m1desk.llama_worker.body_errors import request_error
from m1desk.llama_worker.errors import RequestError
from m1desk.llama_worker.prepared_plan import CheckpointPlan

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "Constraint",
    "GenerationRequest",
    "PrepareRequest",
    "RequestError",
    "SamplingOptions",
    "TokenizeRequest",
    "load_json",
    "parse_chat",
    "parse_completion",
    "parse_detokenize",
    "parse_prepare",
    "parse_tokenize",
]

_Body = TypeVar("_Body", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class SamplingOptions:
    """How the next token is chosen. The defaults are llama.cpp's.

    Attributes:
        temperature: 0 takes the likeliest token always.
        top_k: 0 turns it off; so do top_p 1, min_p 0 and typical_p 1.
        repeat_penalty: 1 turns it off.
        repeat_last_n: how many tokens the penalties look back on (tokens).
        seed: None draws a fresh one.
        logit_bias: (token id, what is added to its logit; minus infinity forbids it).
    """

    temperature: float = 0.8
    top_k: int = 40
    top_p: float = 0.95
    min_p: float = 0.05
    typical_p: float = 1.0
    repeat_penalty: float = 1.0
    repeat_last_n: int = 64
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    seed: int | None = None
    logit_bias: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Constraint:
    """What form the answer must have.

    Attributes:
        kind: "json" is any JSON object; "schema" a JSON schema; "grammar" a GBNF grammar.
        schema: the JSON schema when kind is "schema".
        grammar: the grammar when kind is "grammar".
    """

    kind: Literal["json", "schema", "grammar"]
    schema: Mapping[str, object] | bool | None = None
    grammar: str | None = None


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """A request for an answer, from /v1/chat/completions or /v1/completions.

    Attributes:
        messages: of a chat, in OpenAI's shape, as ChatTemplate.render() takes them; None of a
            completion.
        prompt: of a completion, text or token ids; None of a chat.
        tools: what the model may call, in OpenAI's shape; None when there are none or the caller
            chose "none".
        max_tokens: the most tokens to write; None leaves it to the context.
        stop: texts that end the answer.
        logprobs: None, or how many alternatives to report with each token.
        reuse_prefix: whether an earlier state may be used (`cache_prompt`).
        add_generation_prompt: whether the template ends with the opening of the model's turn.
        template_arguments: extra variables of the chat template (`chat_template_kwargs`).
        model: the model's name as the caller gave it, or None.
        prepared: the prepared document that a chat begins with, or None.
        thinking_tokens: the most tokens to think; None leaves it to the model.
    """

    messages: tuple[dict[str, object], ...] | None = None
    prompt: str | tuple[int, ...] | None = None
    tools: tuple[dict[str, object], ...] | None = None
    sampling: SamplingOptions = field(default_factory=SamplingOptions)
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    stream: bool = False
    include_usage: bool = False
    return_progress: bool = False
    logprobs: int | None = None
    constraint: Constraint | None = None
    ignore_eos: bool = False
    reuse_prefix: bool = True
    add_generation_prompt: bool = True
    template_arguments: Mapping[str, object] = field(default_factory=dict)
    model: str | None = None
    prepared: str | None = None
    thinking_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class PrepareRequest:
    """A request to read the constant beginning of later prompts, and to keep its state.

    Attributes:
        messages: the last one is the user's, and its content is what later contents begin with.
        plan: when checkpoints are saved on the way.
    """

    messages: tuple[dict[str, object], ...]
    template_arguments: Mapping[str, object] = field(default_factory=dict)
    plan: CheckpointPlan = field(default_factory=CheckpointPlan)


@dataclass(frozen=True, slots=True)
class TokenizeRequest:
    """A request for token ids: of plain text, or of a conversation (one of them is None).

    Attributes:
        add_special: whether the vocabulary's opening and closing tokens are added.
        parse_special: whether the names of special tokens in the text become those tokens.
        count_only: whether the ids themselves are left out of the answer.
    """

    text: str | None
    messages: tuple[dict[str, object], ...] | None
    tools: tuple[dict[str, object], ...] | None = None
    add_special: bool = False
    parse_special: bool = True
    add_generation_prompt: bool = True
    template_arguments: Mapping[str, object] = field(default_factory=dict)
    count_only: bool = False


def parse_chat(body: object, defaults: SamplingOptions) -> GenerationRequest:
    """The request in a /v1/chat/completions body.

    Args:
        body: decoded JSON (`load_json`).
        defaults: what holds where the body is silent.

    Raises:
        RequestError: it is malformed, contradictory or out of range.
    """
    chat = _validated(ChatBody, body)
    if chat.top_logprobs is not None and not chat.logprobs:
        raise RequestError("'top_logprobs' needs 'logprobs' to be true.", "top_logprobs")
    if chat.prepared is not None and chat.cache_prompt is False:
        raise RequestError("'prepared' contradicts 'cache_prompt' being false.", "prepared")
    tools = chat.tools if chat.tool_choice != "none" else None
    thinking = chat.thinking_budget_tokens
    return replace(
        _common(chat, defaults),
        messages=tuple(message.openai() for message in chat.messages),
        tools=tuple(tools) if tools else None,
        logprobs=(chat.top_logprobs or 0) if chat.logprobs else None,
        add_generation_prompt=chat.add_generation_prompt is not False,
        template_arguments=chat.chat_template_kwargs or {},
        prepared=chat.prepared,
        thinking_tokens=None if thinking == -1 else thinking,
    )


def parse_prepare(body: object) -> PrepareRequest:
    """The request in a /v1/prepared/NAME body.

    Raises:
        RequestError: it is malformed or out of range.
    """
    given = _validated(PrepareBody, body)
    checkpoint = given.checkpoint.model_dump(exclude_none=True) if given.checkpoint else {}
    return PrepareRequest(
        messages=tuple(message.openai() for message in given.messages),
        template_arguments=given.chat_template_kwargs or {},
        plan=CheckpointPlan(**checkpoint),
    )


def parse_completion(body: object, defaults: SamplingOptions) -> GenerationRequest:
    """The request in a /v1/completions body; otherwise as `parse_chat`."""
    completion = _validated(CompletionBody, body)
    return replace(
        _common(completion, defaults), prompt=completion.prompt, logprobs=completion.logprobs
    )


def parse_tokenize(body: object) -> TokenizeRequest:
    """The request in a /tokenize body: `content`, `prompt` or `messages`.

    Raises:
        RequestError: none or several of them are given, or they are malformed.
    """
    given = _validated(TokenizeBody, body)
    sources = [given.content, given.prompt, given.messages]
    if sum(source is not None for source in sources) != 1:
        raise RequestError("Give one of 'content', 'prompt' and 'messages'.")
    return TokenizeRequest(
        text=given.content if given.content is not None else given.prompt,
        messages=tuple(m.openai() for m in given.messages) if given.messages else None,
        tools=tuple(given.tools) if given.tools else None,
        add_special=bool(given.add_special),
        parse_special=given.parse_special is not False,
        add_generation_prompt=given.add_generation_prompt is not False,
        template_arguments=given.chat_template_kwargs or {},
        count_only=given.count_only,
    )


def parse_detokenize(body: object) -> tuple[int, ...]:
    """The token ids in a /detokenize body's `tokens`.

    Raises:
        RequestError: they are missing or malformed.
    """
    tokens: tuple[int, ...] = _validated(DetokenizeBody, body).tokens
    return tokens


def _validated(kind: type[_Body], body: object) -> _Body:
    try:
        return kind.model_validate(body)
    except ValidationError as failure:
        raise request_error(failure) from None


def _common(body: GenerationBody, defaults: SamplingOptions) -> GenerationRequest:
    if body.stream_options is not None and not body.stream:
        raise RequestError("'stream_options' needs 'stream' to be true.", "stream_options")
    return GenerationRequest(
        sampling=_sampling(body, defaults),
        max_tokens=_max_tokens(body),
        stop=body.stop or (),
        stream=bool(body.stream),
        include_usage=bool(body.stream_options and body.stream_options.include_usage),
        return_progress=bool(body.return_progress),
        constraint=_constraint(body),
        ignore_eos=bool(body.ignore_eos),
        reuse_prefix=body.cache_prompt is not False,
        model=body.model,
    )


def _sampling(body: GenerationBody, defaults: SamplingOptions) -> SamplingOptions:
    _agreed(body, "repeat_penalty", "repetition_penalty")
    names = {field.name for field in fields(SamplingOptions)}
    given = body.model_dump(include=names, exclude_none=True)
    if body.repetition_penalty is not None:
        given["repeat_penalty"] = body.repetition_penalty
    if "top_k" in given:
        given["top_k"] = max(given["top_k"], 0)  # -1 is vLLM's word for "off"
    if "seed" in given:
        given["seed"] = None if given["seed"] == -1 else given["seed"]
    return replace(defaults, **given)


def _max_tokens(body: GenerationBody) -> int | None:
    limit = _agreed(body, "max_tokens", "max_completion_tokens", "n_predict")
    if limit == 0:
        raise RequestError("'max_tokens' must be at least 1.", "max_tokens")
    return None if limit == -1 else limit


def _agreed(body: GenerationBody, *names: str) -> int | None:
    """The value of a field that goes by several names."""
    given = {name: getattr(body, name) for name in names if getattr(body, name) is not None}
    if len(set(given.values())) > 1:
        said = " and ".join(f"'{name}'" for name in given)
        raise RequestError(f"{said} contradict each other: give one.", next(iter(given)))
    return next(iter(given.values()), None)


def _constraint(body: GenerationBody) -> Constraint | None:
    asked = {
        "response_format": _format_constraint(body),
        "json_schema": None
        if body.json_schema is None
        else Constraint("schema", schema=body.json_schema),
        "grammar": Constraint("grammar", grammar=body.grammar) if body.grammar else None,
    }
    given = {name: constraint for name, constraint in asked.items() if constraint}
    if len(given) > 1:
        said = " and ".join(f"'{name}'" for name in given)
        raise RequestError(f"{said} contradict each other: give one.", next(iter(given)))
    return next(iter(given.values()), None)


def _format_constraint(body: GenerationBody) -> Constraint | None:
    asked = body.response_format
    if asked is None or asked.type == "text":
        return None
    if asked.type == "json_object" and asked.body is None:
        return Constraint("json")
    schema = asked.json_schema.body if asked.json_schema else asked.body
    if schema is None:
        where = "response_format.json_schema"
        raise RequestError(f"'{where}' is missing.", where)
    return Constraint("schema", schema=schema)
