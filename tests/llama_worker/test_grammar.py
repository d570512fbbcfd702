"""Grammars for constrained answers, judged by llama.cpp itself."""

from __future__ import annotations

import ctypes
import json
import math
from typing import TYPE_CHECKING, Any

import pytest

from m1desk.llama_worker.errors import RequestError
from m1desk.llama_worker.grammar import grammar_for
from m1desk.llama_worker.model import LoadOptions, Model
from m1desk.llama_worker.native import Native
from m1desk.llama_worker.requests import Constraint, GenerationRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Accepts = Callable[[str, str], bool]


@pytest.fixture(scope="module")
def accepts(tiny_llama: Path) -> Iterator[Accepts]:
    """Whether llama.cpp lets a model write exactly a text under a grammar."""
    native = Native()
    model = Model(native, LoadOptions(tiny_llama, gpu_layers=0), lambda _fraction: None)
    end = next(t for t in range(model.facts.vocabulary) if model.is_end(t))

    def allows(sampler: Any, token: int) -> bool:
        lib = native.lib
        entry = lib.llama_token_data(id=token, logit=1.0, p=0.0)
        candidates = lib.llama_token_data_array(
            data=ctypes.pointer(entry), size=1, selected=-1, sorted=False
        )
        lib.llama_sampler_apply(sampler, ctypes.byref(candidates))
        return not math.isinf(candidates.data[0].logit)

    def accepts(grammar: str, text: str) -> bool:
        sampler = native.lib.llama_sampler_init_grammar(model.vocab, grammar.encode(), b"root")
        assert sampler, grammar
        try:
            for token in model.tokenize(text, special=False, add_special=False):
                if not allows(sampler, token):
                    return False
                native.lib.llama_sampler_accept(sampler, token)
            return allows(sampler, end)
        finally:
            native.lib.llama_sampler_free(sampler)

    yield accepts
    model.close()


def for_schema(schema: Any) -> str:
    grammar = grammar_for(GenerationRequest(constraint=Constraint("schema", schema=schema)))
    assert grammar is not None
    return grammar


def for_grammar(text: str) -> str | None:
    return grammar_for(GenerationRequest(constraint=Constraint("grammar", grammar=text)))


def test_a_free_answer_has_no_grammar() -> None:
    assert grammar_for(GenerationRequest()) is None


def test_json_object_means_any_object(accepts: Accepts) -> None:
    grammar = grammar_for(GenerationRequest(constraint=Constraint("json")))
    assert grammar is not None
    assert accepts(grammar, '{"a": [1, -2.5e3, {"b": null}], "c": "d\\n\\u00e9"}')
    assert not accepts(grammar, "[1]")
    assert not accepts(grammar, '{"a": 1')


PERSON = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Person",
    "type": "object",
    "properties": {
        "name": {"type": "string", "description": "Full name"},
        "age": {"type": ["integer", "null"]},
        "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 2},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}
TREE = {
    "$ref": "#/$defs/node",
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "value": {"type": "integer"},
                "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
            },
            "required": ["value", "next"],
        }
    },
}
SAME_ENDS = {
    "type": "array",
    "items": False,
    "prefixItems": [{"$ref": "#/$defs/one/x"}, {"$ref": "#/$defs/two/x"}],
    "$defs": {"one": {"x": {"const": 1}}, "two": {"x": {"const": "two"}}},
}
ODD_TEXTS = ['quo"te', "back\\slash", "new\nline", "ünï 🙂", "a/b", "$ref", ""]


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        (PERSON, '{"name": "Ada", "age": 36, "tags": ["a", "b"]}', '{"name": "Ada"}'),
        (PERSON, '{"name": "Ada", "age": null}', '{"name": "Ada", "age": 1, "more": 2}'),
        (PERSON, '{"name": "", "age": 1}', '{"name": "", "age": 1, "tags": ["c"]}'),
        (TREE, '{"value": 1, "next": {"value": 2, "next": null}}', '{"value": 1, "next": 2}'),
        (SAME_ENDS, '[1, "two"]', '["two", 1]'),
        ({"type": "string", "maxLength": 2}, '"ab"', '"abc"'),
        ({"minLength": 1}, '"a"', '""'),
        ({"type": "string", "pattern": "^[a-z]{2,3}-\\d?x$"}, '"abc-x"', '"a-x"'),
        ({"type": "string", "format": "date"}, '"2024-02-29"', '"2024-13-01"'),
        ({"type": "array", "minItems": 1, "maxItems": 2}, "[1, {}]", "[]"),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, '{"a": 1}', '{"a": ""}'),
        ({"const": {"a": ['x"y']}}, '{"a": ["x\\"y"]}', '{"a": ["xy"]}'),
        (
            {"allOf": [{"properties": {"a": {}}, "required": ["a"]}, {"properties": {"b": {}},
             "required": ["b"]}]},
            '{"a": 1, "b": 2}', '{"a": 1}',
        ),
        (True, "17", "x"),
        ({"properties": {'odd "name"\\': {"const": 1}}, "required": ['odd "name"\\']},
         '{"odd \\"name\\"\\\\": 1}', "{}"),
    ],
)  # fmt: skip
def test_an_answer_follows_its_schema(accepts: Accepts, schema: Any, good: str, bad: str) -> None:
    json.loads(good)
    grammar = for_schema(schema)
    assert accepts(grammar, good)
    assert not accepts(grammar, bad)


@pytest.mark.parametrize("text", ODD_TEXTS)
def test_a_value_comes_as_it_was_asked_for(accepts: Accepts, text: str) -> None:
    grammar = for_schema({"enum": [text]})
    assert accepts(grammar, json.dumps(text, ensure_ascii=False))
    assert not accepts(grammar, '"other"')


def test_the_largest_bounds_still_parse(accepts: Accepts) -> None:
    assert accepts(for_schema({"type": "string", "maxLength": 500}), '"a"')
    assert accepts(for_schema({"type": "array", "items": {"const": 1}, "maxItems": 500}), "[1, 1]")
    wide = {"properties": {f"p{n}": {"const": n} for n in range(60)}}
    assert accepts(for_schema(wide), '{"p3": 3, "p59": 59}')


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        schema = {"type": "array", "items": schema}
    return schema


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (nested(41), "more than 40 levels"),
        ({"enum": list(range(3000))}, "more than 2000 parts"),
        ({"properties": {f"p{n}": {} for n in range(201)}}, "more than 200 properties"),
        ({"type": "string", "maxLength": 10**9}, "'maxLength' of more than 500"),
        ({"type": "array", "items": {}, "minItems": 10**9}, "'minItems' of more than 500"),
        ({"type": "string", "minLength": 2, "maxLength": 1}, "above its"),
        ({"type": "string", "maxLength": -1}, "no count"),
        ({"type": "string", "pattern": "^a{1000000000}$"}, "more than 500 times"),
        ({"type": "string", "pattern": "^a{5,2}$"}, "upside down"),
        ({"type": "string", "pattern": "^" + "a" * 999 + "$"}, "more than 500 characters"),
        ({"type": "string", "pattern": "abc"}, "start with"),
        ({"type": "string", "pattern": "^]$"}, "too costly|not supported"),
        ({"type": "string", "pattern": "^(?=a)$"}, "not supported"),
        ({"type": "string", "pattern": "^*$"}, "not supported"),
        ({"type": "color"}, "unknown type"),
        ({"type": []}, "empty list of types"),
        ({"anyOf": []}, "no list of schemas"),
        ({"enum": []}, "no list of values"),
        ({"properties": []}, "wrong kind"),
        ({"allOf": [{"type": "string"}, {"type": "integer"}]}, "something else than objects"),
        ({"$ref": "#/$defs/none"}, "leads nowhere"),
        ({"$ref": "https://example.org/schema.json"}, "nothing is fetched"),
        ({"$ref": "other.json#/a"}, "nothing is fetched"),
        ({"enum": [{"$ref": "https://example.org/schema.json"}]}, "a key '[$]ref'"),
        (False, "where a schema belongs"),
        ({"items": 5}, "where a schema belongs"),
    ],
)
def test_a_schema_that_can_not_be_followed_is_refused(schema: Any, words: str) -> None:
    with pytest.raises(RequestError, match=words) as caught:
        for_schema(schema)
    assert caught.value.param == "json_schema"


def test_references_that_fan_out_stay_small() -> None:
    """Thirty definitions that each name the next one twice: written out, a billion."""
    definitions: dict[str, Any] = {
        f"d{n}": {"prefixItems": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(30)
    }
    definitions["d30"] = {"const": 1}
    schema = {"$ref": "#/$defs/d0", "$defs": definitions}
    assert len(for_schema(schema)) < 10_000


def test_a_callers_grammar_is_used_as_it_is(accepts: Accepts) -> None:
    text = 'root ::= "yes" | "no" [.!]{1,3} # a comment with ((((\n'
    assert for_grammar(text) == text
    assert accepts(text, "no!!")
    assert not accepts(text, "maybe")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("root ::= " + "a " * 40_000, "at most 65536 characters"),
        ("root ::= " + "(" * 101 + '"a"' + ")" * 101, "more than 100 groups"),
        ("".join(f"r{n} ::= [a]\n" for n in range(2001)), "more than 2000 rules"),
        ('root ::= "' + "a" * 10_000 + '"{2000}', "repeats too much"),
        ('root ::= "a"{5,2}', "upside down"),
        ('root ::= "a"{3,0}', "upside down"),
    ],
)
def test_a_grammar_that_would_hurt_the_engine_is_refused(text: str, words: str) -> None:
    with pytest.raises(RequestError, match=words) as caught:
        for_grammar(text)
    assert caught.value.param == "grammar"
