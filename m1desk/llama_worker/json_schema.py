"""A JSON schema out of a request, reduced to what the converter of llama-cpp-python understands.

The converter takes what it is given on trust: it can loop for ever on a pattern, multiply a bound
into gigabytes, and mix up references that end alike. So it gets a new schema, made here of the
known keywords only, with every size bounded and every reference renamed. Keywords that narrow a
value further (`minimum`, `uniqueItems`, `not` ...) are left out: the answer then keeps the rest.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from m1desk.llama_worker.errors import RequestError

MAX_NODES = 2000
"""Most sub-schemas in a schema, enum values included."""
MAX_LEVELS = 40
"""Deepest nesting of sub-schemas."""
MAX_REPETITIONS = 500
"""Largest bound of a length, a number of items or a pattern's quantifier."""
MAX_PROPERTIES = 200
"""Most properties of one object."""
MAX_PATTERN_CHARACTERS = 500

_PARAM = "json_schema"
_TYPES = frozenset({"string", "number", "integer", "boolean", "null", "array", "object"})
_QUANTIFIER = re.compile(r"\{([^}]*)\}")


def clean_schema(schema: object) -> dict[str, Any]:
    """The schema as the converter may have it.

    Raises:
        RequestError: it is no schema, is too large or too deep, or points outside of itself.
    """
    return _Cleaner(schema).clean()


class _Cleaner:
    """One schema on its way through."""

    def __init__(self, schema: object) -> None:
        self._root = schema
        self._nodes = 0
        self._names: dict[str, str] = {}
        self._waiting: list[tuple[str, object]] = []
        self._definitions: dict[str, dict[str, Any]] = {}

    def clean(self) -> dict[str, Any]:
        made = self._visit(self._root, 0)
        while self._waiting:  # each definition once, however many name it
            name, target = self._waiting.pop()
            self._definitions[name] = self._visit(target, 0)
        return {**made, "$defs": self._definitions} if self._definitions else made

    def _visit(self, schema: object, level: int) -> dict[str, Any]:
        self._count(1)
        if level > MAX_LEVELS:
            raise _refusal(f"is nested more than {MAX_LEVELS} levels deep")
        if schema is True:
            return {}
        if not isinstance(schema, Mapping):
            raise _refusal(f"has {schema!r:.40} where a schema belongs")
        if "$ref" in schema:
            return {"$ref": self._reference(schema["$ref"])}
        for word in ("anyOf", "oneOf"):
            if word in schema:
                return {"anyOf": self._list(schema[word], word, level)}
        if isinstance(schema.get("type"), list):
            return self._alternatives(schema, level)
        return self._typed(schema, level)

    def _alternatives(self, schema: Mapping[str, Any], level: int) -> dict[str, Any]:
        """A list of types is as many schemas, each with the keywords of its type."""
        made = [self._visit({**schema, "type": kind}, level + 1) for kind in schema["type"]]
        if not made:
            raise _refusal("has an empty list of types")
        return {"anyOf": made}

    def _typed(self, schema: Mapping[str, Any], level: int) -> dict[str, Any]:
        kind = schema.get("type")
        if kind is not None and kind not in _TYPES:
            raise _refusal(f"has the unknown type {kind!r:.40}")
        if "const" in schema:
            return {"enum": self._values([schema["const"]])}
        if "enum" in schema:
            return {"enum": self._values(schema["enum"])}
        if kind in {None, "object"} and schema.keys() & {"properties", "additionalProperties"}:
            return self._object(schema, level)
        if kind in {None, "object"} and "allOf" in schema:
            return self._merged(schema["allOf"], level)
        if kind in {None, "array"} and schema.keys() & {"items", "prefixItems"}:
            return self._array(schema, level)
        if kind == "array":
            return self._array({**schema, "items": {}}, level)
        if kind in {None, "string"}:
            return self._string(schema, kind)
        return {"type": kind}

    def _object(self, schema: Mapping[str, Any], level: int) -> dict[str, Any]:
        properties = schema.get("properties", {})
        required = schema.get("required", [])
        if not isinstance(properties, Mapping) or not isinstance(required, list):
            raise _refusal("has 'properties' or 'required' of the wrong kind")
        if len(properties) > MAX_PROPERTIES:
            raise _refusal(f"has an object of more than {MAX_PROPERTIES} properties")
        made: dict[str, Any] = {
            "type": "object",
            "properties": {name: self._visit(p, level + 1) for name, p in properties.items()},
            "required": [name for name in required if name in properties],
        }
        more = schema.get("additionalProperties", False)
        made["additionalProperties"] = self._visit(more, level + 1) if more is not False else False
        if not properties and more is not False and made["additionalProperties"] == {}:
            return {"type": "object"}
        return made

    def _merged(self, parts: object, level: int) -> dict[str, Any]:
        """`allOf` of objects is one object with all their properties."""
        merged: dict[str, Any] = {"type": "object", "properties": {}, "required": []}
        if not isinstance(parts, list) or not parts:
            raise _refusal("has an 'allOf' that is no list of schemas")
        if len(parts) == 1:
            return self._visit(parts[0], level + 1)
        for part in parts:
            target = part
            for _ in range(MAX_LEVELS):
                if not (isinstance(target, Mapping) and "$ref" in target):
                    break
                target = self._target(target["$ref"])
            if not isinstance(target, Mapping) or "properties" not in target:
                raise _refusal("has an 'allOf' of something else than objects with properties")
            self._count(len(target["properties"]))
            merged["properties"].update(target["properties"])
            merged["required"] += target.get("required", [])
        return self._object(merged, level)

    def _array(self, schema: Mapping[str, Any], level: int) -> dict[str, Any]:
        items = schema.get("prefixItems", schema.get("items", {}))
        if isinstance(items, list):
            return {"type": "array", "items": self._list(items, "prefixItems", level)}
        made = {"type": "array", "items": self._visit(items, level + 1)}
        return {**made, **_bounds(schema, "minItems", "maxItems")}

    def _string(self, schema: Mapping[str, Any], kind: str | None) -> dict[str, Any]:
        if "pattern" in schema:
            return {"type": "string", "pattern": _checked_pattern(schema["pattern"])}
        form = schema.get("format")
        if form in {"date", "time", "date-time", "uuid"}:
            return {"type": "string", "format": form}
        bounds = _bounds(schema, "minLength", "maxLength")
        if bounds or kind == "string":
            return {"type": "string", **bounds}
        return {}

    def _list(self, schemas: object, word: str, level: int) -> list[dict[str, Any]]:
        if not isinstance(schemas, list) or not schemas:
            raise _refusal(f"has '{word}' that is no list of schemas")
        return [self._visit(schema, level + 1) for schema in schemas]

    def _values(self, values: object) -> list[object]:
        if not isinstance(values, list) or not values:
            raise _refusal("has an 'enum' that is no list of values")
        self._count(len(values))
        if '"$ref"' in json.dumps(values):  # the converter would follow it
            raise _refusal("has a value with a key '$ref'")
        return values

    def _count(self, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise _refusal(f"has more than {MAX_NODES} parts")

    def _reference(self, reference: object) -> str:
        target = self._target(reference)
        reference = str(reference)
        if reference not in self._names:
            # The converter takes a reference's last word for its name.
            name = self._names[reference] = f"reference-{len(self._names)}"
            self._waiting.append((name, target))
        return f"#/$defs/{self._names[reference]}"

    def _target(self, reference: object) -> object:
        if not isinstance(reference, str) or not reference.startswith("#"):
            raise _refusal(f"points outside of itself ({reference!r:.60}); nothing is fetched")
        target = self._root
        for step in reference.lstrip("#").split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            if isinstance(target, Mapping) and key in target:
                target = target[key]
            elif isinstance(target, list) and key.isdecimal() and int(key) < len(target):
                target = target[int(key)]
            else:
                raise _refusal(f"has the reference {reference!r:.60}, which leads nowhere")
        return target


def _bounds(schema: Mapping[str, Any], low: str, high: str) -> dict[str, int]:
    made = {}
    for word in (low, high):
        if schema.get(word) is None:
            continue
        bound = schema[word]
        if isinstance(bound, bool) or not isinstance(bound, int) or bound < 0:
            raise _refusal(f"has a '{word}' that is no count")
        if bound > MAX_REPETITIONS:
            raise _refusal(f"has a '{word}' of more than {MAX_REPETITIONS}")
        made[word] = bound
    if high in made and made.get(low, 0) > made[high]:
        raise _refusal(f"has a '{low}' above its '{high}'")
    return made


def _checked_pattern(pattern: object) -> str:
    if not isinstance(pattern, str) or len(pattern) > MAX_PATTERN_CHARACTERS:
        raise _refusal(f"has a pattern of more than {MAX_PATTERN_CHARACTERS} characters")
    if not (pattern.startswith("^") and pattern.endswith("$")):
        raise _refusal("has a pattern that does not start with ^ and end with $")
    for quantifier in _QUANTIFIER.findall(pattern):
        bounds = [int(bound) for bound in quantifier.split(",") if bound.strip().isdecimal()]
        if any(bound > MAX_REPETITIONS for bound in bounds):
            raise _refusal(f"has a pattern that repeats more than {MAX_REPETITIONS} times")
        if bounds != sorted(bounds):
            raise _refusal("has a pattern whose repetition is upside down")
    return pattern


def _refusal(what: str) -> RequestError:
    return RequestError(f"The JSON schema {what}.", _PARAM)
