"""Request bodies: what they mean, and what is said when they mean nothing."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from m1desk.llama_worker.requests import (
    GenerationRequest,
    RequestError,
    SamplingOptions,
    load_json,
    parse_chat,
    parse_completion,
    parse_detokenize,
    parse_tokenize,
)

if TYPE_CHECKING:
    from collections.abc import Callable

DEFAULTS = SamplingOptions()
HELLO = [{"role": "user", "content": "Hello"}]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}


def chat(**fields: Any) -> GenerationRequest:
    return parse_chat({"messages": HELLO, **fields}, DEFAULTS)


def completion(**fields: Any) -> GenerationRequest:
    return parse_completion({"prompt": "Once", **fields}, DEFAULTS)


def refusal(**fields: Any) -> RequestError:
    with pytest.raises(RequestError) as caught:
        chat(**fields)
    return caught.value


def test_a_bare_chat_gets_the_defaults() -> None:
    request = chat()
    assert request.messages == ({"role": "user", "content": "Hello"},)
    assert request.prompt is None
    assert request.sampling == DEFAULTS
    assert request.max_tokens is None
    assert not request.stream
    assert request.logprobs is None
    assert request.constraint is None
    assert request.tools is None
    assert request.reuse_prefix
    assert request.add_generation_prompt


def test_everything_a_chat_may_say_arrives() -> None:
    request = chat(
        model="m", stream=True, stream_options={"include_usage": True}, return_progress=True,
        max_tokens=5, temperature=0, top_p=0.9, top_k=10, min_p=0.1, typical_p=0.8,
        repeat_penalty=1.1, repeat_last_n=128, presence_penalty=0.5, frequency_penalty=-0.5,
        seed=7, stop=["a", "b"], logprobs=True, top_logprobs=3, ignore_eos=True,
        cache_prompt=False, logit_bias={"5": -100, "6": 1.5}, tools=[TOOL], tool_choice="auto",
        chat_template_kwargs={"enable_thinking": False}, add_generation_prompt=False,
        thinking_budget_tokens=9,
    )  # fmt: skip
    assert request == GenerationRequest(
        messages=({"role": "user", "content": "Hello"},), tools=(TOOL,), model="m", stream=True,
        include_usage=True, return_progress=True, max_tokens=5, stop=("a", "b"), logprobs=3,
        ignore_eos=True, reuse_prefix=False, add_generation_prompt=False,
        template_arguments={"enable_thinking": False}, thinking_tokens=9,
        sampling=SamplingOptions(
            temperature=0.0, top_p=0.9, top_k=10, min_p=0.1, typical_p=0.8, repeat_penalty=1.1,
            repeat_last_n=128, presence_penalty=0.5, frequency_penalty=-0.5, seed=7,
            logit_bias=((5, -100.0), (6, 1.5)),
        ),
    )  # fmt: skip


def test_null_and_unknown_fields_say_nothing() -> None:
    assert chat(temperature=None, stop=None, tools=None, stream_options=None, user="x") == chat()


def test_the_callers_defaults_hold_where_the_body_is_silent() -> None:
    mine = SamplingOptions(temperature=1.0, top_p=0.95, seed=3)
    request = parse_chat({"messages": HELLO, "temperature": 0.2}, mine)
    assert request.sampling == SamplingOptions(temperature=0.2, top_p=0.95, seed=3)


def test_other_servers_names_mean_the_same() -> None:
    assert chat(max_completion_tokens=9).max_tokens == 9
    assert chat(n_predict=-1).max_tokens is None
    assert chat(max_tokens=9, n_predict=9).max_tokens == 9
    assert chat(repetition_penalty=1.2).sampling.repeat_penalty == 1.2
    assert chat(top_k=-1).sampling.top_k == 0
    assert chat(seed=-1).sampling.seed is None
    assert chat(logit_bias=[[4, False]]).sampling.logit_bias == ((4, -math.inf),)
    assert chat(stop="a").stop == ("a",)
    assert chat(messages=[{"role": "developer", "content": "x"}]).messages == (
        {"role": "system", "content": "x"},
    )


def test_parts_of_text_are_joined() -> None:
    parts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    assert chat(messages=[{"role": "user", "content": parts}]).messages == (
        {"role": "user", "content": "one\ntwo"},
    )


def test_tool_calls_and_results_arrive() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": {"x": "é"}}}
    named = [{"type": "text", "name": "f", "text": "y"}]
    request = chat(
        messages=[
            *HELLO,
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "1", "content": "x"},
            {"role": "tool", "content": named},
        ]
    )
    assert request.messages is not None
    asked, told, told_by_name = request.messages[1:]
    assert asked["content"] is None
    assert asked["tool_calls"] == [
        {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"x": "é"}'}}
    ]
    assert told == {"role": "tool", "tool_call_id": "1", "content": "x"}
    assert told_by_name == {"role": "tool", "content": named}


def test_tool_choice_none_means_no_tools() -> None:
    assert chat(tools=[TOOL], tool_choice="none").tools is None


def test_the_form_of_the_answer_can_be_asked_for_in_every_dialect() -> None:
    for fields in (
        {"response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}}},
        {"response_format": {"type": "json_object", "schema": SCHEMA}},
        {"json_schema": SCHEMA},
    ):
        constraint = chat(**fields).constraint
        assert constraint is not None
        assert (constraint.kind, constraint.schema) == ("schema", SCHEMA)
    json_object = chat(response_format={"type": "json_object"}).constraint
    assert json_object is not None
    assert json_object.kind == "json"
    grammar = chat(grammar="root ::= [a]").constraint
    assert grammar is not None
    assert (grammar.kind, grammar.grammar) == ("grammar", "root ::= [a]")
    assert chat(response_format={"type": "text"}).constraint is None


@pytest.mark.parametrize(
    ("fields", "message", "param"),
    [
        ({"temperature": 7}, "'temperature' must be at most 5, not 7.", "temperature"),
        ({"temperature": -1}, "'temperature' must be at least 0, not -1.", "temperature"),
        ({"temperature": "hot"}, "'temperature' must be a number, not \"hot\".", "temperature"),
        ({"temperature": True}, "'temperature' must be a number, not true.", "temperature"),
        ({"top_p": 0}, "'top_p' must be more than 0, not 0.", "top_p"),
        ({"max_tokens": 1.5}, "'max_tokens' must be a whole number, not 1.5.", "max_tokens"),
        ({"max_tokens": 0}, "'max_tokens' must be at least 1.", "max_tokens"),
        ({"stream": "yes"}, "'stream' must be true or false, not \"yes\".", "stream"),
        ({"n": 2}, "'n' must be 1: this engine writes one answer to a request.", "n"),
        ({"stop": 5}, "'stop' must be a string or a list of strings.", "stop"),
        ({"stop": ["x"] * 17}, "'stop' may hold at most 16 texts.", "stop"),
        ({"stop": [""]}, "'stop' must hold texts of 1 to 1000 characters.", "stop"),
        ({"logit_bias": {"x": 1}}, "'logit_bias' has the key 'x', which is not a token id.",
         "logit_bias"),
        ({"logit_bias": {"1": 101}}, "'logit_bias' must give token 1 a number from -100 to 100.",
         "logit_bias"),
        ({"top_logprobs": 2}, "'top_logprobs' needs 'logprobs' to be true.", "top_logprobs"),
        ({"stream_options": {}}, "'stream_options' needs 'stream' to be true.", "stream_options"),
        ({"max_tokens": 5, "n_predict": 6},
         "'max_tokens' and 'n_predict' contradict each other: give one.", "max_tokens"),
        ({"grammar": "root ::= [a]", "json_schema": {}},
         "'json_schema' and 'grammar' contradict each other: give one.", "json_schema"),
        ({"response_format": {"type": "xml"}},
         "'response_format.type' must be 'text', 'json_object' or 'json_schema', not \"xml\".",
         "response_format.type"),
        ({"response_format": {"type": "json_schema"}},
         "'response_format.json_schema' is missing.", "response_format.json_schema"),
        ({"tool_choice": "required"},
         "'tool_choice' must be 'auto' or 'none': this engine can't force a tool call.",
         "tool_choice"),
        ({"messages": []}, "'messages' must not be empty.", "messages"),
        ({"messages": None}, "'messages' must be a list, not null.", "messages"),
        ({"messages": [5]}, "'messages[0]' must be an object, not 5.", "messages[0]"),
        ({"messages": [{"role": "user"}]},
         "'messages[0]' needs 'content'; only an assistant's tool calls may go without.",
         "messages[0]"),
        ({"messages": [{"role": 5, "content": ""}]},
         "'messages[0].role' must be 'system', 'developer', 'user', 'assistant' or 'tool', not 5.",
         "messages[0].role"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
         "'messages[0].content' holds a part of type 'image_url'; this engine reads text only.",
         "messages[0].content"),
        ({"messages": [{"role": "user", "content": 5}]},
         "'messages[0].content' must be a string, null, or a list of text parts.",
         "messages[0].content"),
        ({"tools": [{"name": "f"}]},
         "'tools' must hold functions: {'type': 'function', 'function': {'name': ...}}.", "tools"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_refused_in_a_sentence(
    fields: dict[str, Any], message: str, param: str
) -> None:
    error = refusal(**fields)
    assert (error.message, error.param) == (message, param)


def test_a_refusal_is_told_in_the_openai_dialect() -> None:
    assert RequestError("No.", "n").body() == {
        "error": {"message": "No.", "type": "invalid_request_error", "param": "n", "code": None}
    }


@pytest.mark.parametrize("body", [None, 5, "text", [], [HELLO]])
def test_a_body_that_is_no_object_is_refused(body: object) -> None:
    with pytest.raises(RequestError, match="request body' must be an object"):
        parse_chat(body, DEFAULTS)


def test_a_missing_field_is_named() -> None:
    with pytest.raises(RequestError, match="'messages' is missing"):
        parse_chat({}, DEFAULTS)
    with pytest.raises(RequestError, match="'prompt' is missing"):
        parse_completion({}, DEFAULTS)


def test_a_completion_takes_text_or_token_ids() -> None:
    assert completion().prompt == "Once"
    assert completion(prompt=["Once"]).prompt == "Once"
    assert completion(prompt=[1, 2]).prompt == (1, 2)
    assert completion(prompt=[[1, 2]]).prompt == (1, 2)
    assert completion(logprobs=4, max_tokens=3).logprobs == 4
    assert completion().messages is None


@pytest.mark.parametrize(
    "fields",
    [
        {"prompt": ["a", "b"]},
        {"prompt": [1, "a"]},
        {"prompt": [-1]},
        {"prompt": [True]},
        {"prompt": []},
        {"prompt": None},
        {"echo": True},
        {"suffix": "x"},
        {"best_of": 2},
        {"logprobs": True},
    ],
)
def test_what_a_completion_can_not_do_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(RequestError):
        completion(**fields)


def test_tokenize_takes_text_or_a_conversation() -> None:
    assert parse_tokenize({"content": "a"}).text == "a"
    assert parse_tokenize({"prompt": "a", "add_special": True}).add_special
    assert parse_tokenize({"content": ""}).text == ""
    conversation = parse_tokenize({"messages": HELLO, "tools": [TOOL]})
    assert conversation.messages == ({"role": "user", "content": "Hello"},)
    assert conversation.tools == (TOOL,)
    for body in ({}, {"content": "a", "prompt": "b"}, {"content": "a", "messages": HELLO}):
        with pytest.raises(RequestError, match="Give one of"):
            parse_tokenize(body)


def test_detokenize_takes_token_ids() -> None:
    assert parse_detokenize({"tokens": [1, 2]}) == (1, 2)
    assert parse_detokenize({"tokens": []}) == ()
    for tokens in ([-1], ["a"], [2**31], "a", None):
        with pytest.raises(RequestError, match="'tokens'"):
            parse_detokenize({"tokens": tokens})


def test_a_body_is_read_as_utf_8_json() -> None:
    assert load_json(b'\xef\xbb\xbf{"a": "\xc3\xa9\\ud83d\\ude42"}') == {"a": "é🙂"}


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b'{"a": "\xff"}', "not valid JSON"),
        (b'{"a": NaN}', "NaN is not a JSON number"),
        (b'{"a": -Infinity}', "-Infinity is not a JSON number"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not valid JSON"),
        (b"[" * 102 + b"]" * 102, "more than 100 levels"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a": "\\ud83d"}', "half of a surrogate pair"),
        (b'{"a": "\\uDE42"}', "half of a surrogate pair"),
    ],
)
def test_a_body_that_would_break_later_is_refused_at_once(raw: bytes, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        load_json(raw)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
FIELDS = st.sampled_from(
    ["messages", "tools", "tool_choice", "stop", "logit_bias", "response_format", "json_schema",
     "grammar", "seed", "n", "top_k", "temperature", "logprobs", "prompt", "stream",
     "stream_options", "chat_template_kwargs"]
)  # fmt: skip


@settings(deadline=None)
@given(body=st.dictionaries(FIELDS, JSON))
def test_any_body_is_taken_or_refused_in_words(body: dict[str, Any]) -> None:
    raw = json.dumps(body).encode()
    for parse, own in ((parse_chat, {"messages": HELLO}), (parse_completion, {"prompt": "x"})):
        said = outcome(parse, {**own, **load_json(raw)})  # type: ignore[dict-item]
        assert said.endswith(".")
        assert "Input should" not in said


def outcome(parse: Callable[[object, SamplingOptions], GenerationRequest], body: object) -> str:
    """What a caller is told; "Taken." when there is nothing to tell."""
    try:
        parse(body, DEFAULTS)
    except RequestError as error:
        return error.message
    return "Taken."
