"""The pieces of JSON as rules of a GBNF grammar, and literals in its spelling."""

from __future__ import annotations

import json
from typing import Final

SPACE: Final = "ws"
"""The rule of the white space a model may write: a bound keeps it from writing nothing else."""

_CHAR = r'[^"\\\x00-\x1F\x7F] | "\\" (["\\/bfnrt] | "u" [0-9a-fA-F]{4})'
_DATE = '[0-9]{4} "-" ("0" [1-9] | "1" [0-2]) "-" ("0" [1-9] | [12] [0-9] | "3" [01])'
_TIME = (
    '([01] [0-9] | "2" [0-3]) ":" [0-5] [0-9] ":" [0-5] [0-9] ("." [0-9]{1,6})? '
    '("Z" | [-+] ([01] [0-9] | "2" [0-3]) ":" [0-5] [0-9])'
)
_HEX = "[0-9a-fA-F]"

RULES: Final = {
    SPACE: r'| " " | "\n" [ \t]{0,20}',
    "char": _CHAR,
    "string": r'"\"" char* "\""',
    "digits": '"0" | [1-9] [0-9]{0,15}',
    "integer": '"-"? digits',
    "number": '"-"? digits ("." [0-9]{1,16})? ([eE] [-+]? [0-9]{1,3})?',
    "boolean": '"true" | "false"',
    "null": '"null"',
    "value": "object | array | string | number | boolean | null",
    "member": 'string ws ":" ws value',
    "object": '"{" ws (member (ws "," ws member)* ws)? "}"',
    "array": '"[" ws (value (ws "," ws value)* ws)? "]"',
    "date": _DATE,
    "time": _TIME,
    "format-date": r'"\"" date "\""',
    "format-time": r'"\"" time "\""',
    "format-date-time": r'"\"" date "T" time "\""',
    "format-uuid": r'"\"" ' + ' "-" '.join(f"{_HEX}{{{n}}}" for n in (8, 4, 4, 4, 12)) + r' "\""',
}
"""Rule by name. An integer has 16 digits at most: JavaScript and others can't hold more."""


def literal(text: str) -> str:
    """Exactly `text`, as a literal of the grammar."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def json_literal(value: object) -> str:
    """Exactly `value` written as JSON; characters are escaped only where they must be."""
    return literal(json.dumps(value, ensure_ascii=False, separators=(", ", ": ")))


def written(rules: dict[str, str]) -> str:
    """The grammar's text."""
    return "".join(f"{name} ::= {rule}\n" for name, rule in rules.items())
