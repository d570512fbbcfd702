"""Where the sentences of a text begin, by its punctuation alone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_FIRST_WORD = re.compile(r"(?:^|[.!?:][\"'”’]?[^\S\n]+|\n\s*)(?=(\S+))")


def first_words(text: str) -> Iterator[tuple[int, str]]:
    """The place (characters) and the first word of each sentence or line; what follows a colon too.

    A point in the middle of a sentence makes two of it: for a lesson that is near enough.
    """
    return ((word.start(1), word.group(1)) for word in _FIRST_WORD.finditer(text))
