"""Markdown that is still being written: what is closed is parsed once, only the open end again.

A message that grows by a thousand tokens a second can't be parsed from its beginning each time.
Of the blocks at the top level only the last can still change, and of a list only its last item;
all before is closed for good. An open code fence needs no parser at all: its lines are passed on
as they come.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from m1desk.ui.widgets.markdown_blocks import Block, blocks_of, make_parser, start_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markdown_it.token import Token

_FENCE: Final = re.compile(r"( {0,3})(`{3,}|~{3,})")

_UNDECIDED: Final = re.compile(r"(?:[-=*_+#>`~|:\s]*|\s*\d{1,9}[.)]?\s*| {0,3}(`{3}|~{3}).*)$")
"""A last line that may yet become a list, a rule, a fence or the underline of a heading: shown
only when it has become something, or the text above it would jump."""


@dataclass(frozen=True, slots=True)
class Freeze:
    """These blocks take the place of the tail, for good."""

    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Tail:
    """These blocks are the tail now; the next step replaces them."""

    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class OpenCode:
    """A code block begins in place of the tail."""

    language: str


@dataclass(frozen=True, slots=True)
class AppendCode:
    """More of the open code block."""

    text: str


@dataclass(frozen=True, slots=True)
class CloseCode:
    """The open code block is complete."""


Step = Freeze | Tail | OpenCode | AppendCode | CloseCode


@dataclass(frozen=True, slots=True)
class _CutList:
    """A list whose first items are frozen: what the rest of it looks like."""

    kind: str
    markup: str
    next_number: int


@dataclass(slots=True)
class _Fence:
    """The open fence: how it closes, and whether a line of it was already passed on."""

    indent: int
    marker: str
    started: bool = False

    def closes(self, line: str) -> bool:
        match = _FENCE.match(line)
        return (
            match is not None
            and match[2][0] == self.marker[0]
            and len(match[2]) >= len(self.marker)
            and not line[match.end() :].strip()
        )

    def may_close(self, partial: str) -> bool:
        """Whether a line whose end has not come yet could still be the closing one."""
        return not partial.strip(f" \t{self.marker[0]}")

    def unindent(self, line: str) -> str:
        spaces = len(line) - len(line.lstrip(" "))
        return line[min(self.indent, spaces) :]


class MarkdownStream:
    """Takes text as it arrives and says, step by step, what to change in what is shown."""

    def __init__(self) -> None:
        self._parser = make_parser()
        self._tail = ""
        self._carriage_return = ""
        self._fence: _Fence | None = None
        self._list: _CutList | None = None
        self._line_open = False

    def feed(self, text: str) -> list[Step]:
        """Take more text; return the steps that bring the picture up to date, in order."""
        text = self._carriage_return + text
        self._carriage_return = "\r" if text.endswith("\r") else ""
        text = text.removesuffix("\r").replace("\r\n", "\n").replace("\r", "\n")
        self._tail += text
        return self._advance(final=False)

    def finish(self) -> list[Step]:
        """No more text comes; return the last steps."""
        if self._carriage_return:
            self._tail += "\n"
            self._carriage_return = ""
        return self._advance(final=True)

    def _advance(self, *, final: bool) -> list[Step]:
        steps: list[Step] = []
        while True:
            if self._fence is not None:
                steps += self._advance_fence(self._fence, final=final)
                if self._fence is not None:
                    return steps
            opened = self._advance_blocks(steps, final=final)
            if not opened:
                return steps

    # -- inside an open fence ---------------------------------------------------------------

    def _advance_fence(self, fence: _Fence, *, final: bool) -> list[Step]:
        """Pass on the code that came; leave the fence when its closing line did."""
        lines = self._tail.split("\n")
        partial = lines.pop()
        code: list[str] = []
        for number, line in enumerate(lines):
            if not self._line_open and fence.closes(line):
                self._tail = "\n".join([*lines[number + 1 :], partial])
                return self._close(code)
            code.append(self._code_line(fence, line))
            fence.started = True
            self._line_open = False
        self._tail = partial
        return self._partial_line(fence, code, final=final)

    def _code_line(self, fence: _Fence, line: str) -> str:
        """Return the text to append for a whole line: its break belongs before it."""
        if self._line_open:
            return line
        return ("\n" if fence.started else "") + fence.unindent(line)

    def _partial_line(self, fence: _Fence, code: list[str], *, final: bool) -> list[Step]:
        """Pass on what is there of the last line, unless it may be the closing fence."""
        partial = self._tail
        if final:
            if not self._line_open and fence.closes(partial):
                self._tail = ""
                return self._close(code)
            if partial.strip():
                code.append(self._code_line(fence, partial))
            self._tail = ""
            return self._close(code)
        if partial and (self._line_open or not fence.may_close(partial)):
            code.append(self._code_line(fence, partial))
            fence.started = True
            self._line_open = True
            self._tail = ""
        return _append(code)

    def _close(self, code: list[str]) -> list[Step]:
        self._fence = None
        self._line_open = False
        return [*_append(code), CloseCode()]

    # -- outside ----------------------------------------------------------------------------

    def _advance_blocks(self, steps: list[Step], *, final: bool) -> bool:
        """Freeze what is closed, show the rest; True when a fence was opened instead."""
        shown = self._tail if final else _without_undecided(self._tail)
        tokens = self._parser.parse(shown)
        starts = [i for i, token in enumerate(tokens) if token.level == 0 and token.nesting >= 0]
        if not starts:
            if final:
                self._tail = ""
            steps.append(Freeze(()) if final else Tail(()))
            return False
        last = starts[-1]
        if tokens[last].type == "fence" and tokens[last].map is not None:
            self._freeze(steps, tokens[:last])
            self._cut_at(shown, tokens[last])
            self._enter_fence(tokens[last], steps)
            return True
        if final:
            self._freeze(steps, tokens)
            self._tail = ""
            return False
        cut = _last_item(tokens, last) or last
        if cut == last:
            self._freeze(steps, tokens[:last])
            self._cut_at(shown, tokens[last])
            steps.append(Tail(tuple(self._blocks(tokens[last:]))))
        else:
            self._freeze_items(steps, tokens, last, cut)
            self._cut_at(shown, tokens[cut])
            remaining = self._parser.parse(_without_undecided(self._tail))
            steps.append(Tail(tuple(self._blocks(remaining))))
        return False

    def _enter_fence(self, token: Token, steps: list[Step]) -> None:
        opening, _, rest = self._tail.partition("\n")
        match = _FENCE.match(opening)
        assert match is not None  # noqa: S101 - the parser called this line a fence
        self._fence = _Fence(len(match[1]), match[2])
        self._tail = rest
        self._list = None
        words = token.info.split(maxsplit=1)
        steps.append(OpenCode(words[0] if words else ""))

    def _cut_at(self, shown: str, token: Token) -> None:
        """Drop from the tail all lines before `token`."""
        line = token.map[0] if token.map else 0
        offset = 0
        for _ in range(line):
            offset = shown.index("\n", offset) + 1
        self._tail = self._tail[offset:]

    def _freeze(self, steps: list[Step], tokens: Sequence[Token]) -> None:
        if not tokens:
            return
        steps.append(Freeze(tuple(self._blocks(tokens))))
        self._list = self._cut_list(tokens)

    def _freeze_items(
        self, steps: list[Step], tokens: Sequence[Token], last: int, cut: int
    ) -> None:
        """Freeze all before the last item of the open list that begins at `last`."""
        opening = tokens[last]
        steps.append(Freeze(tuple(self._blocks(tokens[:cut]))))
        before = self._list if last == 0 else None
        first = start_number(opening)
        if before is not None and (before.kind, before.markup) == (opening.type, opening.markup):
            first = before.next_number
        items = sum(t.type == "list_item_open" and t.level == 1 for t in tokens[last:cut])
        self._list = _CutList(opening.type, opening.markup, first + items)

    def _cut_list(self, tokens: Sequence[Token]) -> _CutList | None:
        """Return the list that `tokens` end with, as more of it may follow."""
        if not tokens[-1].type.endswith("_list_close"):
            return None
        first = max(
            i for i, t in enumerate(tokens) if t.level == 0 and t.type.endswith("_list_open")
        )
        opening = tokens[first]
        items = sum(t.type == "list_item_open" and t.level == 1 for t in tokens[first:])
        number = start_number(opening)
        if first == 0 and self._continues(opening) and self._list is not None:
            number = self._list.next_number
        return _CutList(opening.type, opening.markup, number + items)

    def _continues(self, opening: Token) -> bool:
        cut = self._list
        return cut is not None and (cut.kind, cut.markup) == (opening.type, opening.markup)

    def _blocks(self, tokens: Sequence[Token]) -> list[Block]:
        number = None
        if tokens and self._continues(tokens[0]) and self._list is not None:
            number = self._list.next_number
        return blocks_of(tokens, number)


def _append(code: list[str]) -> list[Step]:
    text = "".join(code)
    return [AppendCode(text)] if text else []


def _last_item(tokens: Sequence[Token], start: int) -> int | None:
    """Return the index of the last item of a top-level list that has more than one."""
    if not tokens[start].type.endswith("_list_open"):
        return None
    items = [
        i
        for i in range(start, len(tokens))
        if tokens[i].type == "list_item_open" and tokens[i].level == 1
    ]
    return items[-1] if len(items) > 1 else None


def _without_undecided(text: str) -> str:
    """Drop a last line of which one can't say yet what it will be."""
    start = text.rfind("\n") + 1
    return text[:start] if _UNDECIDED.match(text, start) else text
