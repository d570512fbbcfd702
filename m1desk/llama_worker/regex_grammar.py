"""A schema's `pattern`, as an expression of a GBNF grammar for the inside of a JSON string.

The common core of regular expressions: literals, classes, groups, alternatives, quantifiers. A
pattern without anchors may match anywhere. What a JSON string can't hold as it is (quotes,
backslashes, control characters) is written as JSON escapes it.
"""

from __future__ import annotations

import json
import re
from typing import Final

from m1desk.llama_worker.json_grammar import literal

MAX_CHARACTERS: Final = 500
"""Longest pattern."""
MAX_REPETITIONS: Final = 500
"""Largest product of nested quantifiers; `*` and `+` count once."""
MAX_GROUPS: Final = 20
"""Deepest nesting of groups."""

_DIGIT = [("0", "9")]
_WORD = [("0", "9"), ("A", "Z"), ("_", "_"), ("a", "z")]
_WHITE = [(" ", " "), ("\t", "\t"), ("\n", "\n"), ("\r", "\r")]
_CLASSES = {"d": _DIGIT, "w": _WORD, "s": _WHITE}
_CONTROLS = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v", "0": "\0"}
_HEX = re.compile(r"x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})")
_BOUNDS = re.compile(r"\{(\d{1,6})(,(\d{1,6})?)?\}")
_MUST_ESCAPE = [("\0", "\x1f"), ('"', '"'), ("\\", "\\"), ("\x7f", "\x7f")]

_Ranges = list[tuple[str, str]]


class PatternError(ValueError):
    """A pattern that is malformed, or uses what a grammar can't say; the message says what."""


def pattern_grammar(pattern: str) -> str:
    """The expression that matches what `pattern` matches, between the quotes of a JSON string.

    Uses the rule `char` of `json_grammar.RULES`.

    Raises:
        PatternError: it can't be followed.
    """
    if len(pattern) > MAX_CHARACTERS:
        raise PatternError(f"has more than {MAX_CHARACTERS} characters")
    starts = pattern.startswith("^")
    ends = pattern.endswith("$") and not _is_escaped(pattern, len(pattern) - 1)
    inner = pattern[1 if starts else 0 : len(pattern) - 1 if ends else len(pattern)]
    expression = _Parser(inner).parse()
    return " ".join(["" if starts else "char*", f"({expression})", "" if ends else "char*"]).strip()


def _is_escaped(pattern: str, position: int) -> bool:
    before = pattern[:position]
    return (len(before) - len(before.rstrip("\\"))) % 2 == 1


class _Parser:
    """Recursive descent; each method gives an expression and how often its parts may repeat."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0

    def parse(self) -> str:
        expression, _ = self._alternatives(0)
        if self._at < len(self._pattern):
            raise PatternError("has an unbalanced ')'")
        return expression

    def _alternatives(self, depth: int) -> tuple[str, int]:
        if depth > MAX_GROUPS:
            raise PatternError(f"nests more than {MAX_GROUPS} groups")
        choices = [self._sequence(depth)]
        while self._take("|"):
            choices.append(self._sequence(depth))
        return " | ".join(text for text, _ in choices), max(weight for _, weight in choices)

    def _sequence(self, depth: int) -> tuple[str, int]:
        items: list[str] = []
        heaviest = 1
        while self._at < len(self._pattern) and self._pattern[self._at] not in "|)":
            text, weight = self._quantified(*self._atom(depth))
            items.append(text)
            heaviest = max(heaviest, weight)
        return " ".join(items) or '""', heaviest

    def _atom(self, depth: int) -> tuple[str, int]:
        char = self._next()
        if char == "(":
            if self._take("?") and not self._take(":"):
                raise PatternError("uses a lookaround or a named group")
            inner, weight = self._alternatives(depth + 1)
            if not self._take(")"):
                raise PatternError("has an unbalanced '('")
            return f"({inner})", weight
        if char == "[":
            return self._class(), 1
        if char == ".":
            return _written([("\n", "\n"), ("\r", "\r")], negated=True), 1
        if char == "\\":
            return self._escape_outside(), 1
        if char in "*+?^$":
            raise PatternError(f"has '{char}' where it can't stand")
        return _written([(char, char)]), 1

    def _quantified(self, text: str, weight: int) -> tuple[str, int]:
        match = _BOUNDS.match(self._pattern, self._at)
        if match:
            self._at = match.end()
            low = int(match[1])
            high = int(match[3]) if match[3] else None if match[2] else low
            return self._repeated(text, weight, low, high)
        for mark in "*+?":
            if self._take(mark):
                self._take("?")  # lazy or not, the texts that match are the same
                return text + mark, weight
        return text, weight

    def _repeated(self, text: str, weight: int, low: int, high: int | None) -> tuple[str, int]:
        self._take("?")
        weight *= max(low, high or 0, 1)
        if high is not None and low > high:
            raise PatternError("has a repetition that is upside down")
        if weight > MAX_REPETITIONS:
            raise PatternError(f"repeats more than {MAX_REPETITIONS} times")
        if high == 0:
            return '""', 1
        return f"{text}{{{low},{'' if high is None else high}}}", weight

    def _class(self) -> str:
        negated = self._take("^")
        ranges: _Ranges = []
        if self._take("]"):
            raise PatternError("has an empty class")
        while not self._take("]"):
            ranges += self._class_item()
        return _written(ranges, negated=negated)

    def _class_item(self) -> _Ranges:
        low = self._class_char()
        is_range = self._pattern[self._at : self._at + 1] == "-" and (
            self._pattern[self._at + 1 : self._at + 2] not in {"]", ""}
        )
        if isinstance(low, list) or not is_range:
            return low if isinstance(low, list) else [(low, low)]
        self._at += 1
        high = self._class_char()
        if isinstance(high, list) or high < low:
            raise PatternError("has a range in a class that is upside down")
        return [(low, high)]

    def _class_char(self) -> str | _Ranges:
        char = self._next()
        return self._escape() if char == "\\" else char

    def _escape_outside(self) -> str:
        if self._pattern[self._at : self._at + 1] in {"D", "W", "S"}:
            return _written(_CLASSES[self._next().lower()], negated=True)
        escape = self._escape()
        return _written(escape if isinstance(escape, list) else [(escape, escape)])

    def _escape(self) -> str | _Ranges:
        """What follows a backslash: a character or a class."""
        match = _HEX.match(self._pattern, self._at)
        if match:
            self._at = match.end()
            return chr(int(match[1] or match[2], 16))
        char = self._next()
        if char in _CLASSES:
            return _CLASSES[char]
        if char in _CONTROLS:
            return _CONTROLS[char]
        if char.isalnum():
            raise PatternError(f"uses '\\{char}', which a grammar can't say")
        return char

    def _next(self) -> str:
        if self._at >= len(self._pattern):
            raise PatternError("ends too early")
        self._at += 1
        return self._pattern[self._at - 1]

    def _take(self, mark: str) -> bool:
        taken = self._pattern.startswith(mark, self._at)
        self._at += len(mark) if taken else 0
        return taken


def _written(ranges: _Ranges, *, negated: bool = False) -> str:
    """One character out of `ranges` (or none of them), as it stands in a JSON string."""
    if negated:
        plain = f"[^{''.join(_range(*r) for r in [*ranges, *_MUST_ESCAPE])}]"
        escaped = [char for char in '"\\' if not any(low <= char <= high for low, high in ranges)]
    else:
        parts = [part for low, high in ranges for part in _without_escaped(low, high)]
        plain = f"[{''.join(_range(*part) for part in parts)}]" if parts else ""
        escaped = [char for low, high in ranges for char in _ESCAPED if low <= char <= high]
    choices = [plain] if plain else []
    choices += [literal(json.dumps(char)[1:-1]) for char in escaped]
    return choices[0] if len(choices) == 1 else f"({' | '.join(choices)})"


_ESCAPED: Final = [*map(chr, range(0x20)), '"', "\\", "\x7f"]


def _without_escaped(low: str, high: str) -> _Ranges:
    """The parts of a range whose characters may stand in a JSON string as they are."""
    parts = []
    start = ord(low)
    for bad in sorted(map(ord, _ESCAPED)):
        if start <= bad <= ord(high):
            if bad > start:
                parts.append((chr(start), chr(bad - 1)))
            start = bad + 1
    if start <= ord(high):
        parts.append((chr(start), high))
    return parts


def _range(low: str, high: str) -> str:
    return _code(low) if low == high else f"{_code(low)}-{_code(high)}"


def _code(char: str) -> str:
    """A character in a class of the grammar; hexadecimal unless it can't be mistaken."""
    return char if char.isascii() and char.isalnum() else f"\\U{ord(char):08X}"
