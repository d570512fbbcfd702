"""Colours for code: Pygments on a thread of its own, the result put on the lines bit by bit."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from PySide6.QtCore import QObject, QRunnable, QThreadPool, QTimer, Signal
from PySide6.QtGui import QTextLayout
from shiboken6 import isValid

if TYPE_CHECKING:
    from collections.abc import Callable

    from PySide6.QtGui import QTextCharFormat, QTextDocument

LONGEST: Final = 300_000
"""Characters of code beyond which there are no colours: reading it takes seconds."""

_SLICE_SECONDS: Final = 0.004

_KINDS: Final = (
    ("Keyword", "keyword"),
    ("Operator.Word", "keyword"),
    ("Literal.String", "string"),
    ("Literal.Number", "number"),
    ("Comment", "comment"),
    ("Name.Function", "name"),
    ("Name.Class", "name"),
    ("Name.Tag", "name"),
    ("Name.Attribute", "builtin"),
    ("Name.Builtin", "builtin"),
    ("Name.Decorator", "builtin"),
    ("Name.Exception", "builtin"),
    ("Operator", "operator"),
)

Run = tuple[int, int, str]
"""Start and length in characters within the line, and the kind of token."""


def highlight(code: str, language: str) -> list[list[Run]]:
    """Find the coloured runs of each line; all lines are empty for an unknown language."""
    from pygments.lexers import get_lexer_by_name  # noqa: PLC0415 - costs 60 ms, off the GUI thread
    from pygments.util import ClassNotFound  # noqa: PLC0415

    lines: list[list[Run]] = [[] for _ in range(code.count("\n") + 1)]
    try:
        lexer = get_lexer_by_name(language)
    except ClassNotFound:
        return lines
    line, column = 0, 0
    for _, token, value in lexer.get_tokens_unprocessed(code):
        kind = _kind(str(token).removeprefix("Token."))
        for number, part in enumerate(value.split("\n")):
            if number:
                line, column = line + 1, 0
            if kind and part:
                lines[line].append((column, len(part), kind))
            column += len(part)
    return lines


def _kind(token: str) -> str:
    return next((kind for prefix, kind in _KINDS if token.startswith(prefix)), "")


class _Job(QRunnable):
    def __init__(self, code: str, language: str, report: Callable[[list[list[Run]]], None]) -> None:
        super().__init__()
        self._code = code
        self._language = language
        self._report = report

    def run(self) -> None:
        self._report(highlight(self._code, self._language))


@dataclass(slots=True)
class _Painting:
    """Lines that wait for their colours; a line's number in the document never changes."""

    document: QTextDocument
    first_block: int
    runs: list[list[Run]]
    formats: dict[str, QTextCharFormat]
    line: int = 0


class Highlighter(QObject):
    """Colours closed code blocks of any number of documents, one after the other.

    Lives on the GUI thread; `stop` waits for the thread that reads the code.
    """

    _found = Signal(int, object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pool = QThreadPool(self)
        self._pool.setMaxThreadCount(1)
        self._waiting: dict[int, tuple[QTextDocument, int, dict[str, QTextCharFormat]]] = {}
        self._number = 0
        self._paintings: deque[_Painting] = deque()
        self._timer = QTimer(self)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self._paint_some)
        self._found.connect(self._on_found)

    @property
    def is_idle(self) -> bool:
        """Whether all code that was asked for has its colours."""
        return not self._waiting and not self._paintings

    def colour(
        self,
        document: QTextDocument,
        position: int,
        code: str,
        language: str,
        formats: dict[str, QTextCharFormat],
    ) -> None:
        """Colour `code`, which stands in `document` from the block at `position` on."""
        if not language or len(code) > LONGEST:
            return
        self._number += 1
        number = self._number
        self._waiting[number] = (document, document.findBlock(position).blockNumber(), formats)
        found = self._found
        self._pool.start(_Job(code, language, lambda runs: found.emit(number, runs)))

    def forget(self, document: QTextDocument) -> None:
        """Drop what is still to be coloured of a document that is emptied or goes away."""
        self._waiting = {n: w for n, w in self._waiting.items() if w[0] is not document}
        self._paintings = deque(p for p in self._paintings if p.document is not document)

    def stop(self) -> None:
        """Drop everything and wait until the thread is done."""
        self._waiting.clear()
        self._paintings.clear()
        self._timer.stop()
        self._pool.clear()
        self._pool.waitForDone()

    def _on_found(self, number: int, runs: object) -> None:
        waiting = self._waiting.pop(number, None)
        if waiting is None or not isValid(waiting[0]):
            return
        document, first_block, formats = waiting
        lines = cast("list[list[Run]]", runs)
        self._paintings.append(_Painting(document, first_block, lines, formats))
        self._timer.start()

    def _paint_some(self) -> None:
        """Colour lines for a few milliseconds, then let the window live."""
        until = time.perf_counter() + _SLICE_SECONDS
        while self._paintings and time.perf_counter() < until:
            painting = self._paintings[0]
            if not isValid(painting.document) or not _paint_lines(painting, until):
                self._paintings.popleft()
        if not self._paintings:
            self._timer.stop()


def _paint_lines(painting: _Painting, until: float) -> bool:
    """Colour lines until the time is up; True when some are left."""
    document = painting.document
    block = document.findBlockByNumber(painting.first_block + painting.line)
    start = end = block.position()
    while painting.line < len(painting.runs) and block.isValid():
        ranges = []
        for begin, length, kind in painting.runs[painting.line]:
            one = QTextLayout.FormatRange()
            one.start, one.length, one.format = begin, length, painting.formats[kind]
            ranges.append(one)
        if ranges:
            block.layout().setFormats(ranges)
        end = block.position() + block.length()
        block = block.next()
        painting.line += 1
        if time.perf_counter() > until:
            break
    document.markContentsDirty(start, max(0, min(end, document.characterCount()) - start))
    return painting.line < len(painting.runs) and block.isValid()
