"""What a model writes, token by token, sorted into answer, reasoning and tool calls."""

from __future__ import annotations

import codecs
import json
import re
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

_THINK, _THINK_END = "<think>", "</think>"
_CALLS, _CALLS_END = "<tool_calls>", "</tool_calls>"  # MiniMax-M1: one JSON object a line
_CALL, _CALL_END = "<tool_call>", "</tool_call>"  # Hermes and Qwen: one JSON object
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Text:
    """More of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Reasoning:
    """More of the model's thinking."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A whole call of a tool.

    Attributes:
        index: 0 for the answer's first call.
        id: made up here, unique.
        arguments_json: a JSON object as text.
    """

    index: int
    id: str
    name: str
    arguments_json: str


Piece = Text | Reasoning | ToolCall
_Mode = Literal["start", "text", "think", "calls", "call"]


class OutputParser:
    """Feed it the bytes of each token; it gives the pieces that are certain so far.

    A character that spans tokens comes out whole; bytes that are no UTF-8 become U+FFFD. What might
    become a tag or a stop text is held back until it is clear. How the bytes are cut into tokens
    never changes the joined result.

    Stop texts are looked for in everything the model writes, reasoning and tags included, as
    llama.cpp does it. The first one to be complete wins; the longest, if several end together.

    `<think>` counts at the very start of the answer only, or when the prompt opened it: an answer
    that merely speaks of the tag stays an answer. An unclosed one is reasoning to the end.
    """

    def __init__(
        self,
        *,
        stops: Sequence[str],
        starts_in_think: bool,
        parse_think: bool,
        parse_tool_calls: bool,
    ) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._stops = _StopFilter(stops)
        self._openers: dict[str, _Mode] = (
            {_CALLS: "calls", _CALL: "call"} if parse_tool_calls else {}
        )
        self._mode: _Mode = "text"
        if parse_think:
            self._mode = "think" if starts_in_think else "start"
        self._skip: Literal["", "newline", "newlines"] = "newline" if self._mode == "think" else ""
        self._buffer = ""
        self._pieces: list[Piece] = []
        self._calls = 0
        self._steps: dict[_Mode, Callable[[bool], bool]] = {
            "start": self._step_start,
            "text": self._step_text,
            "think": self._step_think,
            "calls": self._step_calls,
            "call": self._step_call,
        }

    @property
    def stopped_by(self) -> str | None:
        """The stop text that was met, or None; from it on everything is dropped."""
        return self._stops.met

    @property
    def is_thinking(self) -> bool:
        """Whether what comes next is thinking, as far as it is certain."""
        return self._mode == "think"

    @property
    def is_within_character(self) -> bool:
        """Whether the bytes so far end in the middle of a character."""
        return bool(self._decoder.getstate()[0])

    def feed(self, piece: bytes) -> list[Piece]:
        """Give the pieces that `piece` completes; none once a stop text was met."""
        return self._advance(self._stops.feed(self._decoder.decode(piece)), final=False)

    def finish(self) -> list[Piece]:
        """Give what was held back: the answer ends here."""
        rest = self._stops.feed(self._decoder.decode(b"", final=True)) + self._stops.finish()
        return self._advance(rest, final=True)

    def _advance(self, text: str, *, final: bool) -> list[Piece]:
        self._buffer += text
        while self._steps[self._mode](final):
            pass
        pieces, self._pieces = self._pieces, []
        return pieces

    # Each step takes what it can from the buffer and says whether another step may follow.

    def _step_start(self, final: bool) -> bool:  # noqa: FBT001 - one signature for all steps
        begun = self._buffer.lstrip()
        if begun.startswith(_THINK):
            self._enter("think", begun[len(_THINK) :], skip="newline")
            return True
        if _THINK.startswith(begun) and not final:
            return False
        self._mode = "text"
        return True

    def _step_text(self, final: bool) -> bool:  # noqa: FBT001
        self._drop_newlines()
        found = [(at, tag) for tag in self._openers if (at := self._buffer.find(tag)) >= 0]
        if not found:
            self._emit(Text, self._take_certain(tuple(self._openers), final=final))
            return False
        at, tag = min(found)
        self._emit(Text, self._buffer[:at])
        self._enter(self._openers[tag], self._buffer[at + len(tag) :])
        return True

    def _step_think(self, final: bool) -> bool:  # noqa: FBT001
        self._drop_newlines()
        at = self._buffer.find(_THINK_END)
        if at < 0:
            self._emit(Reasoning, self._take_certain((_THINK_END,), final=final))
            return False
        self._emit(Reasoning, self._buffer[:at])
        self._enter("text", self._buffer[at + len(_THINK_END) :], skip="newlines")
        return True

    def _step_calls(self, final: bool) -> bool:  # noqa: FBT001
        line, newline, rest = self._buffer.partition("\n")
        at = _find_outside_strings(line, _CALLS_END)
        if at >= 0:
            self._emit_line(self._buffer[:at])
            self._enter("text", self._buffer[at + len(_CALLS_END) :], skip="newlines")
            return True
        if newline or final:
            self._emit_line(line + newline)
            self._buffer = rest
        return bool(newline)

    def _step_call(self, final: bool) -> bool:  # noqa: FBT001
        at = _find_outside_strings(self._buffer, _CALL_END)
        if at < 0 and not final:
            return False
        closed = at >= 0
        body, rest = (
            (self._buffer[:at], self._buffer[at + len(_CALL_END) :])
            if closed
            else (
                self._buffer,
                "",
            )
        )
        understood = self._emit_call(body)
        if not understood:
            self._emit(Text, _CALL + body + (_CALL_END if closed else ""))
        self._enter("text", rest, skip="newlines" if understood else "")
        return closed

    def _enter(
        self, mode: _Mode, buffer: str, skip: Literal["", "newline", "newlines"] = ""
    ) -> None:
        self._mode, self._buffer, self._skip = mode, buffer, skip

    def _drop_newlines(self) -> None:
        """Drop what `_skip` says of the newlines that follow a tag, once it is clear how many."""
        if self._skip and self._buffer:
            if self._skip == "newline":
                self._buffer = self._buffer.removeprefix("\n")
                self._skip = ""
            else:
                self._buffer = self._buffer.lstrip("\r\n")
                self._skip = "" if self._buffer else self._skip

    def _take_certain(self, tags: tuple[str, ...], *, final: bool) -> str:
        """Take the buffer but for an end that may become one of `tags`."""
        held = 0 if final else max((_overlap(self._buffer, tag) for tag in tags), default=0)
        certain = self._buffer[: len(self._buffer) - held]
        self._buffer = self._buffer[len(certain) :]
        return certain

    def _emit(self, kind: type[Text | Reasoning], text: str) -> None:
        if not text:
            return
        last = self._pieces[-1] if self._pieces else None
        if isinstance(last, Text | Reasoning) and type(last) is kind:
            self._pieces[-1] = kind(last.text + text)
        else:
            self._pieces.append(kind(text))

    def _emit_line(self, line: str) -> None:
        """One line of a `<tool_calls>` block: a call, or text when it is not understood."""
        if line.strip() and not self._emit_call(line):
            self._emit(Text, line)

    def _emit_call(self, text: str) -> bool:
        call = _parse_call(text)
        if call is None:
            return False
        name, arguments = call
        # Nine letters and digits: the templates of Mistral's models take nothing else back.
        self._pieces.append(ToolCall(self._calls, uuid.uuid4().hex[:9], name, arguments))
        self._calls += 1
        return True


class _StopFilter:
    """Passes text on until a stop text is complete, and holds back what may become one."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._held = ""
        self.met: str | None = None

    def feed(self, text: str) -> str:
        """Give the text that is certainly no part of a stop text."""
        if self.met is not None:
            return ""
        text = self._held + text
        found = [(at + len(stop), at, stop) for stop in self._stops if (at := text.find(stop)) >= 0]
        if found:
            _, at, self.met = min(found)
            self._held = ""
            return text[:at]
        kept = max((_overlap(text, stop) for stop in self._stops), default=0)
        certain, self._held = text[: len(text) - kept], text[len(text) - kept :]
        return certain

    def finish(self) -> str:
        """Give what was held back: no stop text can be completed any more."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, target: str) -> int:
    """How many characters at the end of `text` are a true beginning of `target`."""
    longest = min(len(text), len(target) - 1)
    return next((n for n in range(longest, 0, -1) if text.endswith(target[:n])), 0)


def _find_outside_strings(text: str, tag: str) -> int:
    """Where `tag` first stands outside of JSON's string literals, or -1."""
    at = text.find(tag)
    while at >= 0 and '"' in _STRING.sub("", text[:at]):
        at = text.find(tag, at + 1)
    return at


def _parse_call(text: str) -> tuple[str, str] | None:
    """The name and the arguments (JSON text) of a call, or None when it is not understood."""
    try:
        call = json.loads(text)
        name, arguments = call["name"], call.get("arguments", {})
        if isinstance(arguments, str):
            arguments = json.loads(arguments)
        if not (isinstance(name, str) and name and isinstance(arguments, dict)):
            return None
        name.encode()
        return name, _dump(arguments)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _dump(arguments: dict[str, object]) -> str:
    text = json.dumps(arguments, ensure_ascii=False, allow_nan=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair can travel as an escape only
        return json.dumps(arguments, allow_nan=False)
    return text
