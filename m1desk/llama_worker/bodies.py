"""The shapes of request bodies in the OpenAI dialect, with llama.cpp's additions.

Unknown fields are ignored, as OpenAI's own server does; `null` means "not given". Types are taken
strictly: "5" is not a number and 1 is not true.
"""

from __future__ import annotations

import json
import math
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from m1desk.llama_worker.errors import RequestError
from m1desk.llama_worker.states_manifest import NAME_RULE, is_name

MAX_DEPTH = 100
"""Deepest nesting of a body, in levels."""
MAX_STOPS = 16
MAX_STOP_CHARACTERS = 1000
MAX_ALTERNATIVES = 20
_MAX_TOKEN = 2**31 - 1
_ENGINE_READS_TEXT = "holds a part of type {!r}; this engine reads text only."


def load_json(raw: bytes) -> object:
    """The value in a body, free of what would break later: lone surrogates, NaN, deep nesting.

    Raises:
        RequestError: it is not JSON in UTF-8, or holds one of these.
    """
    try:
        value: object = json.loads(raw.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except RecursionError:
        raise RequestError("The body is nested too deeply.") from None
    except ValueError as error:
        raise RequestError(f"The body is not valid JSON: {error}.") from None
    if _is_too_deep(value):
        raise RequestError(f"The body is nested more than {MAX_DEPTH} levels deep.")
    if b"\\ud" in raw or b"\\uD" in raw:
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise RequestError("A string holds half of a surrogate pair.") from None
    return value


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not a JSON number")


def _is_too_deep(value: object) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        children: list[object] = []
        for item in level:
            if isinstance(item, dict):
                children.extend(item.values())
            elif isinstance(item, list):
                children.extend(item)
        level = [child for child in children if isinstance(child, dict | list)]
        if not level:
            return False
    return True


class FieldError(ValueError):
    """What is wrong with a field; pydantic adds which one."""


class _Body(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False)


class FunctionCall(_Body):
    """Which function a message called; `arguments` is JSON text."""

    name: Annotated[str, Field(min_length=1, max_length=256)]
    arguments: str = "{}"

    @field_validator("arguments", mode="before")
    @classmethod
    def _accept_objects(cls, value: object) -> object:
        # Some clients send the object itself; what it means is plain.
        return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else value


class ToolCallBody(_Body):
    """One call in an assistant's message."""

    id: str | None = None
    type: Literal["function"] = "function"
    function: FunctionCall


class Message(_Body):
    """One message of a conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Any = None
    name: str | None = None
    reasoning_content: str | None = None
    tool_calls: Annotated[list[ToolCallBody], Field(max_length=1000)] | None = None
    tool_call_id: str | None = None

    @field_validator("content")
    @classmethod
    def _check_content(cls, value: object) -> object:
        if value is None or isinstance(value, str):
            return value
        if not isinstance(value, list):
            raise FieldError("must be a string, null, or a list of text parts.")
        for part in value:
            _check_part(part)
        return value

    @model_validator(mode="after")
    def _needs_content(self) -> Message:
        if self.content is None and not (self.role == "assistant" and self.tool_calls):
            raise FieldError("needs 'content'; only an assistant's tool calls may go without.")
        if self.tool_calls and self.role != "assistant":
            raise FieldError("has 'tool_calls', which only an assistant's message may have.")
        return self

    def openai(self) -> dict[str, object]:
        """The message in OpenAI's shape: what was not given is left out, text parts are joined.

        A tool's parts that carry a `name` stay parts: MiniMax-M1 reports several results so.
        """
        fields = self.model_dump(exclude_none=True)
        fields["role"] = "system" if self.role == "developer" else self.role
        fields["content"] = self._joined_content()
        return fields

    def _joined_content(self) -> object:
        if not isinstance(self.content, list):
            return self.content
        if self.role == "tool" and all("name" in part for part in self.content):
            return self.content
        return "\n".join(part["text"] for part in self.content)


def _check_part(part: object) -> None:
    if not isinstance(part, dict):
        raise FieldError("must hold objects with 'type' and 'text'.")
    kind = part.get("type")
    if kind != "text":
        raise FieldError(_ENGINE_READS_TEXT.format(kind))
    if not isinstance(part.get("text"), str):
        raise FieldError("holds a text part whose 'text' is not a string.")
    if not isinstance(part.get("name", ""), str):
        raise FieldError("holds a part whose 'name' is not a string.")


class StreamOptions(_Body):
    """What a stream ends with."""

    include_usage: bool | None = None


class JsonSchemaFormat(_Body):
    """The schema in a `response_format`."""

    body: dict[str, Any] | bool = Field(alias="schema")


class ResponseFormat(_Body):
    """What form the answer must have."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchemaFormat | None = None
    body: dict[str, Any] | bool | None = Field(default=None, alias="schema")


class SamplingBody(_Body):
    """How the next token is chosen."""

    temperature: Annotated[float, Field(ge=0, le=5)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=-1, le=_MAX_TOKEN)] | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    typical_p: Annotated[float, Field(gt=0, le=1)] | None = None
    repeat_penalty: Annotated[float, Field(gt=0, le=10)] | None = None
    repetition_penalty: Annotated[float, Field(gt=0, le=10)] | None = None
    repeat_last_n: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    seed: Annotated[int, Field(ge=-1, le=2**63 - 1)] | None = None
    logit_bias: Any = None

    @field_validator("logit_bias")
    @classmethod
    def _check_bias(cls, value: object) -> tuple[tuple[int, float], ...] | None:
        if value is None:
            return None
        if isinstance(value, dict):
            return tuple(_bias(token, bias) for token, bias in value.items())
        if isinstance(value, list) and all(isinstance(e, list) and len(e) == 2 for e in value):
            return tuple(_bias(token, bias) for token, bias in value)
        raise FieldError("must be an object of token ids with a number each.")


def _bias(token: object, bias: object) -> tuple[int, float]:
    if isinstance(token, str) and token.isascii() and token.isdigit() and len(token) < 11:
        token = int(token)
    if isinstance(token, bool) or not isinstance(token, int) or not 0 <= token <= _MAX_TOKEN:
        raise FieldError(f"has the key {str(token)[:20]!r}, which is not a token id.")
    if bias is False:  # llama.cpp's word for "never"
        return token, -math.inf
    if isinstance(bias, bool) or not isinstance(bias, int | float) or not -100 <= bias <= 100:
        raise FieldError(f"must give token {token} a number from -100 to 100.")
    return token, float(bias)


class GenerationBody(SamplingBody):
    """What chats and completions have in common."""

    model: str | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    return_progress: bool | None = None
    max_tokens: Annotated[int, Field(ge=-1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=-1)] | None = None
    n_predict: Annotated[int, Field(ge=-1)] | None = None
    stop: Any = None
    n: int | None = None
    response_format: ResponseFormat | None = None
    json_schema: dict[str, Any] | bool | None = None
    grammar: str | None = None
    ignore_eos: bool | None = None
    cache_prompt: bool | None = None

    @field_validator("stop")
    @classmethod
    def _check_stop(cls, value: object) -> tuple[str, ...]:
        stops = [value] if isinstance(value, str) else [] if value is None else value
        if not isinstance(stops, list) or not all(isinstance(stop, str) for stop in stops):
            raise FieldError("must be a string or a list of strings.")
        if len(stops) > MAX_STOPS:
            raise FieldError(f"may hold at most {MAX_STOPS} texts.")
        if not all(0 < len(stop) <= MAX_STOP_CHARACTERS for stop in stops):
            raise FieldError(f"must hold texts of 1 to {MAX_STOP_CHARACTERS} characters.")
        return tuple(stops)

    @field_validator("n")
    @classmethod
    def _check_n(cls, value: int | None) -> int | None:
        if value not in {None, 1}:
            raise FieldError("must be 1: this engine writes one answer to a request.")
        return value


class ChatBody(GenerationBody):
    """POST /v1/chat/completions."""

    messages: Annotated[list[Message], Field(min_length=1, max_length=100_000)]
    tools: Annotated[list[dict[str, Any]], Field(max_length=1000)] | None = None
    tool_choice: Any = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=MAX_ALTERNATIVES)] | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    add_generation_prompt: bool | None = None
    prepared: str | None = None
    thinking_budget_tokens: Annotated[int, Field(ge=-1)] | None = None

    @field_validator("prepared")
    @classmethod
    def _check_prepared(cls, value: str | None) -> str | None:
        if value is not None and not is_name(value):
            raise FieldError(NAME_RULE)
        return value

    @field_validator("tools")
    @classmethod
    def _check_tools(cls, value: list[dict[str, Any]] | None) -> list[dict[str, Any]] | None:
        for tool in value or ():
            function = tool.get("function")
            named = isinstance(function, dict) and isinstance(function.get("name"), str)
            if tool.get("type", "function") != "function" or not named:
                raise FieldError(
                    "must hold functions: {'type': 'function', 'function': {'name': ...}}."
                )
        return value

    @field_validator("tool_choice")
    @classmethod
    def _check_choice(cls, value: object) -> object:
        if value not in (None, "auto", "none"):
            raise FieldError("must be 'auto' or 'none': this engine can't force a tool call.")
        return value


class CompletionBody(GenerationBody):
    """POST /v1/completions."""

    prompt: Any
    logprobs: Annotated[int, Field(ge=0, le=MAX_ALTERNATIVES)] | None = None
    echo: bool | None = None
    suffix: str | None = None
    best_of: int | None = None

    @field_validator("prompt")
    @classmethod
    def _check_prompt(cls, value: object) -> str | tuple[int, ...]:
        if isinstance(value, list) and value and not isinstance(value[0], int):
            if len(value) > 1:
                raise FieldError("must be one prompt: this engine takes one at a time.")
            value = value[0]
        return value if isinstance(value, str) else token_ids(value)

    @field_validator("echo", "suffix")
    @classmethod
    def _check_unsupported(cls, value: object) -> object:
        if value:
            raise FieldError("is not supported by this engine.")
        return value

    @field_validator("best_of")
    @classmethod
    def _check_best_of(cls, value: int | None) -> int | None:
        return cls._check_n(value)


class CheckpointBody(_Body):
    """When a preparation saves its state on the way."""

    first_tokens: Annotated[int, Field(ge=1, le=_MAX_TOKEN)] | None = None
    growth: Annotated[float, Field(ge=1, le=100)] | None = None
    seconds: Annotated[float, Field(ge=0, le=1e9)] | None = None


class PrepareBody(_Body):
    """POST /v1/prepared/NAME."""

    messages: Annotated[list[Message], Field(min_length=1, max_length=100_000)]
    chat_template_kwargs: dict[str, Any] | None = None
    checkpoint: CheckpointBody | None = None

    @field_validator("messages")
    @classmethod
    def _check_last(cls, value: list[Message]) -> list[Message]:
        if value[-1].role != "user" or not value[-1].content:
            raise FieldError("must end with a user's message that is not empty.")
        return value


class TokenizeBody(_Body):
    """POST /tokenize."""

    content: str | None = None
    prompt: str | None = None
    messages: Annotated[list[Message], Field(min_length=1, max_length=100_000)] | None = None
    tools: Annotated[list[dict[str, Any]], Field(max_length=1000)] | None = None
    add_special: bool | None = None
    parse_special: bool | None = None
    add_generation_prompt: bool | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    count_only: bool = False


class DetokenizeBody(_Body):
    """POST /detokenize."""

    tokens: Any

    @field_validator("tokens")
    @classmethod
    def _check_tokens(cls, value: object) -> tuple[int, ...]:
        return token_ids(value, may_be_empty=True)


def token_ids(value: object, *, may_be_empty: bool = False) -> tuple[int, ...]:
    """The token ids in `value`; whether the vocabulary has them is for the engine to say.

    Raises:
        FieldError: it is not a list of whole numbers that are not negative.
    """
    if not isinstance(value, list) or not (value or may_be_empty):
        raise FieldError("must be a string or a list of token ids.")
    for token in value:
        if isinstance(token, bool) or not isinstance(token, int) or not 0 <= token <= _MAX_TOKEN:
            raise FieldError(f"holds {str(token)[:20]!r}, which is not a token id.")
    return tuple(value)
