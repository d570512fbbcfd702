"""A validation failure of a request body, put into one readable sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from m1desk.llama_worker.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

_KINDS = {
    "bool_type": "true or false",
    "dict_type": "an object",
    "float_type": "a number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "list_type": "a list",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "string_type": "a string",
}

_BOUNDS = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("more than", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("less than", "lt"),
}


def request_error(failure: ValidationError) -> RequestError:
    """The first thing wrong with a body, as a sentence that names the field."""
    first = failure.errors(include_url=False)[0]
    param = _path(first["loc"])
    return RequestError(_sentence(first, param or "the request body"), param or None)


def _path(location: tuple[int | str, ...]) -> str:
    """`messages[0].content`, as a caller would write it."""
    path = ""
    for step in location:
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else step
    return path


def _sentence(error: ErrorDetails, name: str) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "missing":
        return f"'{name}' is missing."
    if kind in _KINDS:
        return f"'{name}' must be {_KINDS[kind]}, not {_shown(error['input'])}."
    if kind in _BOUNDS:
        words, key = _BOUNDS[kind]
        return f"'{name}' must be {words} {context[key]:g}, not {_shown(error['input'])}."
    if kind == "literal_error":
        return f"'{name}' must be {context['expected']}, not {_shown(error['input'])}."
    if kind == "value_error":
        return f"'{name}' {context['error']}"
    return _length_sentence(kind, context, name) or f"'{name}': {error['msg']}."


def _length_sentence(kind: str, context: Mapping[str, object], name: str) -> str:
    if kind in {"too_short", "string_too_short"}:
        return f"'{name}' must not be empty."
    if kind == "too_long":
        return f"'{name}' may hold at most {context['max_length']} entries."
    if kind == "string_too_long":
        return f"'{name}' may have at most {context['max_length']} characters."
    return ""


def _shown(value: object) -> str:
    """A value, short enough for a sentence."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= 40 else f"{text[:36]}..."
