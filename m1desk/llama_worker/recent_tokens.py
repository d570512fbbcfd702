"""The tokens of the last few texts: a document is asked about again and again."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt


def texts_key(kind: str, texts: Iterable[str]) -> bytes:
    """What `RecentTokens` knows texts by, for one kind of result: BLAKE2b, about 1 GB/s."""
    digest = hashlib.blake2b(kind.encode(), digest_size=32)
    for text in texts:
        data = text.encode()
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    return digest.digest()


class RecentTokens:
    """Tokens by keys, the oldest given up first. Safe from any thread."""

    def __init__(self, entries: int, tokens: int) -> None:
        """Keep so many entries at most, each of so many tokens (4 bytes) at most."""
        self._entries = entries
        self._tokens = tokens
        self._kept: OrderedDict[bytes, npt.NDArray[np.int32]] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, key: bytes) -> list[int] | None:
        """The tokens of a key, as a new list; None when they are not kept any more."""
        with self._lock:
            found = self._kept.get(key)
            if found is None:
                return None
            self._kept.move_to_end(key)
        tokens: list[int] = found.tolist()
        return tokens

    def keep(self, key: bytes, tokens: list[int]) -> None:
        """Remember the tokens of a key, unless they are too many."""
        if len(tokens) > self._tokens:
            return
        with self._lock:
            self._kept[key] = np.asarray(tokens, dtype=np.int32)
            self._kept.move_to_end(key)
            while len(self._kept) > self._entries:
                self._kept.popitem(last=False)
