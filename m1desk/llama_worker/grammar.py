"""The grammar that a request's constraint asks for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from m1desk.llama_worker.errors import RequestError
from m1desk.llama_worker.json_schema import schema_grammar

if TYPE_CHECKING:
    from m1desk.llama_worker.requests import GenerationRequest

MAX_GRAMMAR_CHARACTERS = 64 * 1024
"""Longest grammar a caller may give."""
MAX_RULES = 2000
MAX_NESTING = 100
_MAX_REPEATED_CHARACTERS = 1_000_000
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
    return schema_grammar({"type": "object"} if constraint.kind == "json" else constraint.schema)


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


def _refusal(message: str) -> RequestError:
    return RequestError(message, "grammar")
