"""What a model computes behind a document: after reading it, or after taking its state back.

Run as a program, it is the fresh process that a state must hold good in:

    python restored_logits.py MODEL STATE TOKENS_OF_THE_DOCUMENT OUTPUT.npy
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from m1desk.llama_worker.context import Batch, Context, ContextOptions
from m1desk.llama_worker.model import LoadOptions, Model
from m1desk.llama_worker.native import Native

CHUNK = 64
QUESTION = [(11 * number) % 150 + 30 for number in range(30)]


def document(length: int, seed: int = 1) -> list[int]:
    """Some tokens; different seeds share none at the start."""
    return [(7 * number + 31 * seed) % 200 + 20 for number in range(length)]


class Reader:
    """A context with four sequences, and tokens read into it in chunks."""

    def __init__(self, native: Native, model: Model, **options: object) -> None:
        sizes = {"context_tokens": 1024, "parallel": 4, "ubatch_tokens": CHUNK, **options}
        self.context = Context(native, model, ContextOptions(**sizes))  # type: ignore[arg-type]
        self._batch = Batch(native, 512)

    def read(self, sequence: int, tokens: list[int], position: int = 0) -> npt.NDArray[np.float32]:
        """Logits after the last of the tokens."""
        for start in range(0, len(tokens), CHUNK):
            self._batch.clear()
            part = tokens[start : start + CHUNK]
            last = self._batch.add(part, position + start, sequence, last_logits=True)
            assert self.context.decode(self._batch) == 0
        return self.context.logits(last).copy()

    def ask_beside(self, sequence: int, position: int, busy: dict[int, int]) -> list[np.ndarray]:
        """Logits of all sequences while a question is read: each batch has a token of each."""
        logits = []
        for start in range(0, len(QUESTION), 10):
            self._batch.clear()
            part = QUESTION[start : start + 10]
            ends = [
                self._batch.add([40 + start], there + start // 10, other, last_logits=True)
                for other, there in busy.items()
            ]
            ends.append(self._batch.add(part, position + start, sequence, last_logits=True))
            assert self.context.decode(self._batch) == 0
            logits += [self.context.logits(end).copy() for end in ends]
        return logits


@contextmanager
def loaded(native: Native, path: Path) -> Iterator[Model]:
    """A model, freed afterwards."""
    model = Model(native, LoadOptions(path, extra_buffers=False), lambda _fraction: None)
    try:
        yield model
    finally:
        model.close()


def main(model_path: str, state: str, count: str, output: str) -> None:
    """Take a state back and read the question behind it."""
    native = Native()
    with loaded(native, Path(model_path)) as model:
        reader = Reader(native, model, parallel=1, context_tokens=2048)
        assert reader.context.load_file(0, Path(state), int(count))
        np.save(output, reader.read(0, QUESTION, int(count)))
        reader.context.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
