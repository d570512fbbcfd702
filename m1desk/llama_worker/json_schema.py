"""A JSON schema as a GBNF grammar.

Written anew because llama-cpp-python's converter can't be given foreign schemas: it loops for ever
on some patterns, multiplies a bound into gigabytes, mixes up references that end alike, and its
literals and patterns allow answers that are no JSON. Here every size is bounded and nothing is
fetched.

The keywords followed are those that shape an answer: type, enum, const, properties, required,
additionalProperties, items, prefixItems, minItems, maxItems, minLength, maxLength, pattern, format,
anyOf, oneOf (as anyOf), allOf of objects, $ref within the schema. Keywords that narrow a value
further (`minimum`, `uniqueItems`, `not` ...), and what stands beside anyOf, are not enforced.
Properties come in the order of the schema; others only where `additionalProperties` allows them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from m1desk.llama_worker.errors import RequestError
from m1desk.llama_worker.json_grammar import RULES, json_literal, written
from m1desk.llama_worker.regex_grammar import PatternError, pattern_grammar

MAX_PARTS: Final = 5000
"""Most sub-schemas in a schema, enum values included."""
MAX_LEVELS: Final = 40
"""Deepest nesting of sub-schemas, between one reference and the next."""
MAX_COUNT: Final = 1000
"""Largest bound of a length or a number of items."""

MAX_CHARACTERS: Final = 2_000_000
"""Longest grammar made."""

_PARAM = "json_schema"
_TYPES = frozenset({"string", "number", "integer", "boolean", "null", "array", "object"})
_FORMATS = frozenset({"date", "time", "date-time", "uuid"})


def schema_grammar(schema: object) -> str:
    """The grammar (root rule `root`) of the JSON that `schema` describes.

    Raises:
        RequestError: it is no schema, is too large or too deep, or points outside of itself.
    """
    return _Converter(schema).convert()


class _Converter:
    """One schema on its way; every method gives an expression of the grammar."""

    def __init__(self, schema: object) -> None:
        self._schema = schema
        self._parts = 0
        self._rules: dict[str, str] = {}
        self._references: dict[str, str] = {}
        self._waiting: list[tuple[str, object]] = []

    def convert(self) -> str:
        self._rules["root"] = self._visit(self._schema, 0)
        while self._waiting:  # each target once, however many point to it
            name, target = self._waiting.pop()
            self._rules[name] = self._visit(target, 0)
        grammar = written({**self._rules, **RULES})
        if len(grammar) > MAX_CHARACTERS:
            raise _refusal("makes too large a grammar")
        return grammar

    def _visit(self, schema: object, level: int) -> str:
        self._count(1)
        if level > MAX_LEVELS:
            raise _refusal(f"is nested more than {MAX_LEVELS} levels deep")
        if schema is True:
            return "value"
        if not isinstance(schema, Mapping):
            raise _refusal(f"has {schema!r:.40} where a schema belongs")
        if "$ref" in schema:
            return self._reference(schema["$ref"])
        for word in ("anyOf", "oneOf"):
            if word in schema:
                return self._any(self._list(schema[word], word, level))
        if isinstance(schema.get("type"), list):
            # Each type with the keywords that concern it.
            kinds = [{**schema, "type": kind} for kind in schema["type"]]
            return self._any(self._list(kinds, "type", level))
        return self._typed(schema, level)

    def _typed(self, schema: Mapping[str, Any], level: int) -> str:
        kind = schema.get("type")
        if kind is not None and not (isinstance(kind, str) and kind in _TYPES):
            raise _refusal(f"has the unknown type {kind!r:.40}")
        if "const" in schema:
            return json_literal(schema["const"])
        if "enum" in schema:
            return self._enum(schema["enum"])
        if kind in {None, "object"} and schema.keys() & {"properties", "additionalProperties"}:
            return self._object(schema, level)
        if kind in {None, "object"} and "allOf" in schema:
            return self._merged(schema["allOf"], level)
        if kind in {None, "array"} and schema.keys() & {
            "items", "prefixItems", "minItems", "maxItems",
        }:  # fmt: skip
            return self._array(schema, level)
        if kind in {None, "string"} and schema.keys() & {
            "pattern", "format", "minLength", "maxLength",
        }:  # fmt: skip
            return self._string(schema)
        return kind or "value"

    def _enum(self, values: object) -> str:
        if not isinstance(values, list) or not values:
            raise _refusal("has an 'enum' that is no list of values")
        self._count(len(values))
        return self._any([json_literal(value) for value in values])

    def _object(self, schema: Mapping[str, Any], level: int) -> str:
        properties = schema.get("properties", {})
        required = schema.get("required", [])
        if not isinstance(properties, Mapping) or not isinstance(required, list):
            raise _refusal("has 'properties' or 'required' of the wrong kind")
        if not all(isinstance(name, str) for name in required):
            raise _refusal("has 'required' with something else than names")
        must = set(required)
        named = {**properties, **{name: True for name in required if name not in properties}}
        members = [
            (f'{json_literal(name)} ws ":" ws {self._visit(part, level + 1)}', name in must)
            for name, part in named.items()
        ]
        others = schema.get("additionalProperties", False)
        other = "" if others is False else f'string ws ":" ws {self._visit(others, level + 1)}'
        return f'("{{" ws {self._members(members, other)} ws "}}")'

    def _members(self, members: list[tuple[str, bool]], other: str) -> str:
        """The members in order, those that are not required left out or not.

        From the last to the first: what may come when nothing came before, and what after a comma.
        """
        other = self._rule(other) if other else ""
        first = f'({other} (ws "," ws {other})*)?' if other else '""'
        after = f'(ws "," ws {other})*' if other else '""'
        for member, is_required in reversed(members):
            name, rest = self._rule(member), self._rule(after)
            first = f"{name} {rest}" if is_required else f"({name} {rest} | {self._rule(first)})"
            after = (
                f'{"" if is_required else "("}ws "," ws {name}{"" if is_required else ")?"} {rest}'
            )
        return first

    def _merged(self, parts: object, level: int) -> str:
        """`allOf` of objects is one object with all their properties."""
        if not isinstance(parts, list) or not parts:
            raise _refusal("has 'allOf' that is no list of schemas")
        if len(parts) == 1:
            return self._visit(parts[0], level + 1)
        properties: dict[str, Any] = {}
        required: list[Any] = []
        for part in map(self._resolved, parts):
            own = part.get("properties") if isinstance(part, Mapping) else None
            must = part.get("required", []) if isinstance(part, Mapping) else None
            if not isinstance(own, Mapping) or not isinstance(must, list):
                raise _refusal("has 'allOf' of something else than objects with properties")
            self._count(len(own) + len(must))
            properties.update(own)
            required += must
        return self._object({"properties": properties, "required": required}, level)

    def _resolved(self, schema: object) -> object:
        for _ in range(MAX_LEVELS):
            if not (isinstance(schema, Mapping) and "$ref" in schema):
                break
            schema = self._target(schema["$ref"])
        else:
            raise _refusal("has references that go round in a circle")
        return schema

    def _array(self, schema: Mapping[str, Any], level: int) -> str:
        items = schema.get("prefixItems", schema.get("items", True))
        if isinstance(items, list):
            each = self._list(items, "prefixItems", level)
            return '("[" ws ' + ' ws "," ws '.join(each) + ' ws "]")'
        least, most = _bounds(schema, "minItems", "maxItems")
        if most == 0:
            return '("[" ws "]")'
        item = self._rule(self._visit(items, level + 1))
        more = _times(f'(ws "," ws {item})', max(least - 1, 0), None if most is None else most - 1)
        inner = f"{item} {more} ws" if least else f"({item} {more} ws)?"
        return f'("[" ws {inner} "]")'

    def _string(self, schema: Mapping[str, Any]) -> str:
        if "pattern" in schema:
            return self._pattern(schema["pattern"])
        form = schema.get("format")
        if isinstance(form, str) and form in _FORMATS:
            return f"format-{form}"
        least, most = _bounds(schema, "minLength", "maxLength")
        return f'("\\"" {_times("char", least, most)} "\\"")'

    def _pattern(self, pattern: object) -> str:
        if not isinstance(pattern, str):
            raise _refusal("has a pattern that is no text")
        try:
            return f'("\\"" {pattern_grammar(pattern)} "\\"")'
        except PatternError as error:
            raise _refusal(f"has the pattern {pattern!r:.60}, which {error}") from None

    def _list(self, schemas: object, word: str, level: int) -> list[str]:
        if not isinstance(schemas, list) or not schemas:
            raise _refusal(f"has '{word}' that is no list of schemas")
        return [self._visit(schema, level + 1) for schema in schemas]

    def _any(self, choices: list[str]) -> str:
        return f"({' | '.join(choices)})"

    def _rule(self, expression: str) -> str:
        name = f"rule-{len(self._rules)}"
        self._rules[name] = expression
        return name

    def _count(self, parts: int) -> None:
        self._parts += parts
        if self._parts > MAX_PARTS:
            raise _refusal(f"has more than {MAX_PARTS} parts")

    def _reference(self, reference: object) -> str:
        target = self._resolved({"$ref": reference})
        key = str(reference)
        if key not in self._references:
            self._references[key] = f"reference-{len(self._references)}"
            self._waiting.append((self._references[key], target))
        return self._references[key]

    def _target(self, reference: object) -> object:
        if not isinstance(reference, str) or not reference.startswith("#"):
            raise _refusal(f"points outside of itself ({reference!r:.60}); nothing is fetched")
        target = self._schema
        for step in reference.removeprefix("#").split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            if isinstance(target, Mapping) and key in target:
                target = target[key]
            elif isinstance(target, list) and key.isdecimal() and int(key) < len(target):
                target = target[int(key)]
            else:
                raise _refusal(f"has the reference {reference!r:.60}, which leads nowhere")
        return target


def _bounds(schema: Mapping[str, Any], low: str, high: str) -> tuple[int, int | None]:
    least = _bound(schema, low) or 0
    most = _bound(schema, high)
    if most is not None and least > most:
        raise _refusal(f"has a '{low}' above its '{high}'")
    return least, most


def _bound(schema: Mapping[str, Any], word: str) -> int | None:
    bound = schema.get(word)
    if bound is None:
        return None
    if isinstance(bound, bool) or not isinstance(bound, int) or bound < 0:
        raise _refusal(f"has a '{word}' that is no count")
    if bound > MAX_COUNT:
        raise _refusal(f"has a '{word}' of more than {MAX_COUNT}")
    return bound


def _times(expression: str, least: int, most: int | None) -> str:
    """An expression repeated; the library refuses `{0,0}` of nothing, so that becomes nothing."""
    if most == 0:
        return '""'
    if most is None and least == 0:
        return f"{expression}*"
    return f"{expression}{{{least},{'' if most is None else most}}}"


def _refusal(what: str) -> RequestError:
    return RequestError(f"The JSON schema {what}.", _PARAM)
