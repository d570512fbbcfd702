"""Finding words in a text of many megabytes, without holding anything up."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject, Signal

if TYPE_CHECKING:
    from m1desk.ui.bridge import Bridge, Submission

_SLICE: Final = 1 << 17
"""Characters searched at once: Python lets no other thread run meanwhile."""


class TextSearchViewModel(QObject):
    """Searches one text at a time; a newer search ends the older one.

    Signals:
        found: the words (str) and where they begin in the text (tuple of int).
    """

    found = Signal(str, object)

    def __init__(self, bridge: Bridge, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._work: Submission | None = None

    def search(self, text: str, words: str) -> None:
        """Find all places, large and small letters alike; "" finds nothing."""
        if self._work is not None:
            self._work.cancel()
            self._work = None
        if not words.strip():
            self.found.emit("", ())
            return
        self._work = self._bridge.submit(
            places(text, words), lambda found: self.found.emit(words, found)
        )


async def places(text: str, words: str) -> tuple[int, ...]:
    """Find where `words` begin in a text, in order, without overlaps; gives way in between."""
    pattern = words_pattern(words)
    reach = 4 * len(words) + 64
    found: list[int] = []
    position = 0
    while position < len(text):
        stop = min(len(text), position + _SLICE)
        last = position
        for match in pattern.finditer(text, position, min(len(text), stop + reach)):
            if match.start() >= stop:
                break
            found.append(match.start())
            last = match.end()
        position = max(stop, last)
        await asyncio.sleep(0)
    return tuple(found)


def words_pattern(words: str) -> re.Pattern[str]:
    """What is searched for: a blank stands for a line break too, as lines are broken anywhere."""
    parts = map(re.escape, words.split())
    return re.compile(r"\s+".join(parts), re.IGNORECASE)
