"""The grammar that a request's constraint asks for."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from m1desk.llama_worker.deadline import OutOfTime, run_limited
from m1desk.llama_worker.errors import RequestError
from m1desk.llama_worker.json_schema import clean_schema

if TYPE_CHECKING:
    from m1desk.llama_worker.requests import GenerationRequest

MAX_GRAMMAR_CHARACTERS = 64 * 1024
"""Longest grammar a caller may give."""
MAX_MADE_CHARACTERS = 512 * 1024
"""Longest grammar that a JSON schema may become."""
MAX_RULES = 2000
MAX_NESTING = 100
_MAX_REPEATED_CHARACTERS = 1_000_000
_SECONDS = 2.0
_TOO_LARGE = "The grammar is too large: {}."

# What a grammar's text is made of, as far as its size goes: literals, sets, comments, quantifiers.
_TOKEN = re.compile(
    r'"(?:[^"\\]|\\.)*"|\[(?:[^\]\\]|\\.)*\]|#[^\n]*|\{(?P<bounds>[^}]*)\}|(?P<other>::=|[()])',
    re.DOTALL,
)


def grammar_for(request: GenerationRequest) -> str | None:
    """The GBNF grammar (root rule `root`) of a request's answer, or None when it is free.

    Raises:
        RequestError: the schema or grammar is unsupported, too large or too deep.
    """
    constraint = request.constraint
    if constraint is None:
        return None
    if constraint.kind == "grammar":
        return _checked(constraint.grammar or "")
    schema = {"type": "object"} if constraint.kind == "json" else clean_schema(constraint.schema)
    return _from_schema(schema)


def _checked(grammar: str) -> str:
    """A caller's grammar, if the library can parse it without running out of memory or stack."""
    if len(grammar) > MAX_GRAMMAR_CHARACTERS:
        raise _refusal(_TOO_LARGE.format(f"at most {MAX_GRAMMAR_CHARACTERS} characters are taken"))
    depth = rules = repeated = 0
    size = 1  # of what a quantifier may repeat
    for token in _TOKEN.finditer(grammar):
        if token["bounds"] is not None:
            repeated += _repetitions(token["bounds"]) * size
        size = len(token[0])
        rules += token["other"] == "::="
        depth += {"(": 1, ")": -1}.get(token["other"] or "", 0)
        if depth > MAX_NESTING:
            raise _refusal(_TOO_LARGE.format(f"it nests more than {MAX_NESTING} groups"))
    if rules > MAX_RULES:
        raise _refusal(_TOO_LARGE.format(f"it has more than {MAX_RULES} rules"))
    if repeated > _MAX_REPEATED_CHARACTERS:
        raise _refusal(_TOO_LARGE.format("it repeats too much too often"))
    return grammar


def _repetitions(bounds: str) -> int:
    """The larger bound of `{m}`, `{m,}` or `{m,n}`; the library hangs on one upside down."""
    numbers = [int(part) for part in bounds.split(",") if part.strip().isdecimal()]
    if numbers != sorted(numbers):
        raise _refusal(f"The grammar has the repetition {{{bounds}}}, which is upside down.")
    return numbers[-1] if numbers else 0


def _from_schema(schema: dict[str, Any]) -> str:
    try:
        grammar = run_limited(lambda: _convert(schema), _SECONDS, source="llama_grammar.py")
    except OutOfTime:
        raise RequestError("The JSON schema is too costly to follow.", "json_schema") from None
    except RequestError:
        raise
    except Exception as error:  # noqa: BLE001 - the converter asserts, indexes and recurses
        raise RequestError(f"The JSON schema is not supported: {error}", "json_schema") from None
    if len(grammar) > MAX_MADE_CHARACTERS:
        raise RequestError("The JSON schema is too large.", "json_schema")
    return grammar


def _convert(schema: dict[str, Any]) -> str:
    # Imported late: it loads the whole engine.
    from llama_cpp.llama_grammar import SchemaConverter  # noqa: PLC0415

    class Converter(SchemaConverter):  # type: ignore[misc]  # the library is untyped
        """The library's converter, which forgets to escape a backslash in a literal."""

        def _format_literal(self, literal: str) -> str:
            text = json.dumps(json.loads(literal), ensure_ascii=False)
            escaped = text.replace("\\", "\\\\").replace('"', '\\"')
            return f'"{escaped}"'

    converter = Converter(prop_order={}, allow_fetch=False, dotall=False, raw_pattern=False)
    resolved = converter.resolve_refs(schema, "request")
    converter.visit(resolved, "")
    grammar: str = converter.format_grammar()
    return grammar


def _refusal(message: str) -> RequestError:
    return RequestError(message, "grammar")
