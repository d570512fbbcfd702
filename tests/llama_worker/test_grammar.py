"""Grammars for constrained answers, judged by llama.cpp itself."""

from __future__ import annotations

import ctypes
import json
import math
import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        (r"^[a-z]{2,3}-\d?x$", ["ab-x", "abc-7x"], ["a-x", "ab-77x", "ab-x "]),
        (r"^\w+([.-]\w+)*@\w+\.[a-z]{2,}$", ["ada.l@mail.org"], ["ada@mail", "@a.bc"]),
        (r"^(?:yes|no|)$", ["yes", "no", ""], ["yesno", "n"]),
        (r"^.*$", ["", 'say "hi" \\ é 🙂'], ["two\nlines"]),
        (r"^[^a]$", ["b", '"', "\\", "🙂"], ["a", ""]),
        (r"^[\]\-^\\\"]+$", [']-^\\"'], ["a"]),
        (r"^\S\s\D\W$", ["a b!", "a\nb!"], ["  b!", "a 1!", "a bb"]),
        (r"^\x41\u00e9\$$", ["Aé$"], ["Aé"]),
        (r"^a+?b*c??$", ["a", "aabbc"], ["b"]),
        (r"^[!-~]{3}$", ['a"\\'], ["aé!"]),
        (r"b", ["b", "abc", "b\n"], ["ac"]),
        (r"^a{0}b{2,}$", ["bb", "bbbb"], ["abb", "b"]),
        (r"^(a(b(c)?)?){1,2}$", ["abca", "ab"], ["", "aaa"]),
        ("", ["", "x"], []),
        ("^$", [""], ["x"]),
    ],
)
def test_text_follows_its_pattern(
    accepts: Accepts, pattern: str, good: list[str], bad: list[str]
) -> None:
    grammar = for_schema({"type": "string", "pattern": pattern})
    for text in good:
        assert re.search(pattern, text)
        assert accepts(grammar, json.dumps(text, ensure_ascii=False)), text
    for text in bad:
        assert not re.search(pattern, text)
        assert not accepts(grammar, json.dumps(text, ensure_ascii=False)), text


def test_a_pattern_never_lets_an_answer_leave_its_string(accepts: Accepts) -> None:
    for pattern in ("^.*$", "^[^a]*$", r"^\D*$", r'^["\\\n]*$', "x"):
        grammar = for_schema({"type": "string", "pattern": pattern})
        for answer in ('"x" "x"', '"x\\"', '"x\n"', '"x'):
            assert not accepts(grammar, answer), (pattern, answer)


@pytest.mark.parametrize("text", ODD_TEXTS)
def test_a_value_comes_as_it_was_asked_for(accepts: Accepts, text: str) -> None:
    grammar = for_schema({"enum": [text]})
    assert accepts(grammar, json.dumps(text, ensure_ascii=False))
    assert not accepts(grammar, '"other"')


def test_properties_may_be_left_out_one_by_one(accepts: Accepts) -> None:
    schema = {
        "properties": {name: {"const": 1} for name in "abcd"},
        "required": ["b"],
        "additionalProperties": {"const": 2},
    }
    grammar = for_schema(schema)
    for present in ("ab", "b", "bd", "abcd", "bcx", "bxy"):
        members = [f'"{name}": {1 if name in "abcd" else 2}' for name in present]
        assert accepts(grammar, "{" + ", ".join(members) + "}"), present
    for wrong in ("{}", '{"a": 1}', '{"b": 1,}', '{"b": 1 "c": 1}', '{,"b": 1}', '{"b": 2}'):
        assert not accepts(grammar, wrong), wrong


def test_a_model_may_break_lines_between_values(accepts: Accepts) -> None:
    grammar = for_schema(PERSON)
    assert accepts(grammar, json.dumps({"name": "Ada", "age": 1, "tags": ["a", "b"]}, indent=2))
    assert accepts(grammar, '{"name":"Ada","age":1,"tags":[]}')


def test_the_largest_bounds_still_parse(accepts: Accepts) -> None:
    assert accepts(for_schema({"type": "string", "maxLength": 1000}), '"a"')
    assert accepts(for_schema({"items": {"const": 1}, "maxItems": 1000}), "[1, 1]")
    assert accepts(for_schema({"type": "string", "pattern": "^((a{0,9}){0,50})$"}), '"aa"')
    wide = {"properties": {f"p{n}": {"const": n} for n in range(2000)}}
    assert accepts(for_schema(wide), '{"p3": 3, "p1999": 1999}')


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        schema = {"type": "array", "items": schema}
    return schema


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (nested(41), "more than 40 levels"),
        ({"enum": list(range(9000))}, "more than 5000 parts"),
        ({"type": "string", "maxLength": 10**9}, "'maxLength' of more than 1000"),
        ({"type": "array", "items": {}, "minItems": 10**9}, "'minItems' of more than 1000"),
        ({"type": "string", "minLength": 2, "maxLength": 1}, "above its"),
        ({"type": "string", "maxLength": -1}, "no count"),
        ({"pattern": "^a{100000}$"}, "repeats more than 500 times"),
        ({"pattern": "^((a{30}){30})$"}, "repeats more than 500 times"),
        ({"pattern": "^a{5,2}$"}, "upside down"),
        ({"pattern": "a" * 501}, "more than 500 characters"),
        ({"pattern": "(" * 30 + ")" * 30}, "more than 20 groups"),
        ({"pattern": "(?=a)"}, "lookaround"),
        ({"pattern": r"(a)\1"}, "can't say"),
        ({"pattern": r"\bword"}, "can't say"),
        ({"pattern": "a^b"}, "where it can't stand"),
        ({"pattern": "*"}, "where it can't stand"),
        ({"pattern": "a)"}, "unbalanced"),
        ({"pattern": "(a"}, "unbalanced"),
        ({"pattern": "[a"}, "ends too early"),
        ({"pattern": "[]"}, "empty class"),
        ({"pattern": "[z-a]"}, "upside down"),
        ({"pattern": "a\\"}, "ends too early"),
        ({"pattern": 5}, "no text"),
        ({"type": "color"}, "unknown type"),
        ({"type": []}, "no list of schemas"),
        ({"anyOf": []}, "no list of schemas"),
        ({"enum": []}, "no list of values"),
        ({"properties": []}, "wrong kind"),
        ({"allOf": [{"type": "string"}, {"type": "integer"}]}, "something else than objects"),
        ({"$ref": "#/$defs/none"}, "leads nowhere"),
        ({"$ref": "https://example.org/schema.json"}, "nothing is fetched"),
        ({"$ref": "other.json#/a"}, "nothing is fetched"),
        ({"$ref": "#"}, "round in a circle"),
        (False, "where a schema belongs"),
        ({"items": 5}, "where a schema belongs"),
    ],
)
def test_a_schema_that_can_not_be_followed_is_refused(schema: Any, words: str) -> None:
    with pytest.raises(RequestError, match=words) as caught:
        for_schema(schema)
    assert caught.value.param == "json_schema"


VALUES = st.none() | st.booleans() | st.integers(-1, 3) | st.text("ab^$[(*\\", max_size=4)
SCHEMAS = st.recursive(
    VALUES | st.fixed_dictionaries({"type": st.sampled_from(["string", "integer", "object"])}),
    lambda inner: st.lists(inner, max_size=2)
    | st.dictionaries(
        st.sampled_from(
            ["type", "properties", "required", "items", "prefixItems", "anyOf", "allOf", "enum",
             "const", "$ref", "pattern", "format", "minLength", "maxItems",
             "additionalProperties"]
        ),
        inner | st.just("#") | st.dictionaries(st.text("ab", max_size=1), inner, max_size=2),
        max_size=3,
    ),
    max_leaves=8,
)  # fmt: skip


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(schema=SCHEMAS)
def test_any_schema_is_followed_or_refused_in_words(schema: Any) -> None:
    try:
        grammar = for_schema(schema)
    except RequestError as error:
        assert error.message.startswith("The JSON schema ")  # noqa: PT017 - either is right
    else:
        assert "root ::= " in grammar


def test_an_enum_of_long_texts_is_refused() -> None:
    with pytest.raises(RequestError, match="too large a grammar"):
        for_schema({"enum": ["a" * 3_000_000]})


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
