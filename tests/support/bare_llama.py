"""llama.cpp through its C face alone: what the worker's own classes are checked against."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Self

import llama_cpp
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt


def _silence(level: int, text: bytes, user: object) -> None:
    """Keep the library's account of itself out of the tests' output."""


_SILENCE = llama_cpp.llama_log_callback(_silence)
"""Kept for good: the library keeps no reference of its own."""


class BareLlama:
    """One model and one context with F32 cache, on one thread, extra buffers off."""

    def __init__(self, path: Path, *, context_tokens: int = 512, ubatch: int = 512) -> None:
        llama_cpp.llama_log_set(_SILENCE, ctypes.c_void_p(0))
        llama_cpp.llama_backend_init()
        model = llama_cpp.llama_model_default_params()
        model.use_extra_bufts = False
        self.model = llama_cpp.llama_model_load_from_file(str(path).encode(), model)
        if not self.model:
            raise RuntimeError(f"llama.cpp does not load {path}")
        self.vocabulary = llama_cpp.llama_model_get_vocab(self.model)
        self.context = llama_cpp.llama_init_from_model(
            self.model, _context_parameters(context_tokens, ubatch)
        )
        if not self.context:
            raise RuntimeError(f"llama.cpp makes no context for {path}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        llama_cpp.llama_free(self.context)
        llama_cpp.llama_model_free(self.model)

    @property
    def vocabulary_size(self) -> int:
        return int(llama_cpp.llama_vocab_n_tokens(self.vocabulary))

    @property
    def is_hybrid(self) -> bool:
        return bool(llama_cpp.llama_model_is_hybrid(self.model))

    def metadata(self, key: str) -> str | None:
        """The value of `key` in the file, as text."""
        buffer = ctypes.create_string_buffer(65536)
        length = llama_cpp.llama_model_meta_val_str(self.model, key.encode(), buffer, len(buffer))
        return buffer.value.decode() if length >= 0 else None

    def tokenize(self, text: str, *, special: bool = True) -> list[int]:
        """The token ids of `text`; with `special`, control tokens written out count as such."""
        data = text.encode()
        room = len(data) + 8
        buffer = (llama_cpp.llama_token * room)()
        count = llama_cpp.llama_tokenize(
            self.vocabulary, data, len(data), buffer, room, False, special
        )
        return list(buffer[:count])

    def detokenize(self, tokens: Sequence[int]) -> str:
        """The text of `tokens`, control tokens left out."""
        array = (llama_cpp.llama_token * len(tokens))(*tokens)
        buffer = ctypes.create_string_buffer(64 * len(tokens) + 64)
        length = llama_cpp.llama_detokenize(
            self.vocabulary, array, len(tokens), buffer, len(buffer), False, False
        )
        return buffer.raw[:length].decode()

    def is_end(self, token: int) -> bool:
        """Does `token` end an answer?"""
        return bool(llama_cpp.llama_vocab_is_eog(self.vocabulary, token))

    def logits(self, tokens: Sequence[int], *, chunk: int = 512) -> npt.NDArray[np.float32]:
        """Logits of every position (tokens x vocabulary), read `chunk` tokens at a time, afresh."""
        memory = llama_cpp.llama_get_memory(self.context)
        llama_cpp.llama_memory_clear(memory, True)
        starts = range(0, len(tokens), chunk)
        parts = [self._decode(tokens[start : start + chunk], start) for start in starts]
        return np.concatenate(parts)

    def greedy(self, prompt: Sequence[int], count: int) -> list[int]:
        """The `count` likeliest next tokens, one after the other."""
        scores = self.logits(prompt)[-1]
        answer: list[int] = []
        for position in range(len(prompt), len(prompt) + count):
            answer.append(int(scores.argmax()))
            scores = self._decode(answer[-1:], position)[0]
        return answer

    def _decode(self, tokens: Sequence[int], start: int) -> npt.NDArray[np.float32]:
        batch = llama_cpp.llama_batch_init(len(tokens), 0, 1)
        try:
            batch.n_tokens = len(tokens)
            for index, token in enumerate(tokens):
                batch.token[index] = token
                batch.pos[index] = start + index
                batch.n_seq_id[index] = 1
                batch.seq_id[index][0] = 0
                batch.logits[index] = 1
            if llama_cpp.llama_decode(self.context, batch) != 0:
                raise RuntimeError("llama.cpp does not decode")
            return np.stack(list(self._rows(len(tokens))))
        finally:
            llama_cpp.llama_batch_free(batch)

    def _rows(self, count: int) -> Iterator[npt.NDArray[np.float32]]:
        for index in range(count):
            row = llama_cpp.llama_get_logits_ith(self.context, index)
            yield np.ctypeslib.as_array(row, shape=(self.vocabulary_size,)).copy()


def _context_parameters(context_tokens: int, ubatch: int) -> llama_cpp.llama_context_params:
    parameters = llama_cpp.llama_context_default_params()
    parameters.n_ctx = context_tokens
    parameters.n_batch = context_tokens
    parameters.n_ubatch = ubatch
    # One thread: on a busy machine two wait for each other longer than a tiny model computes.
    parameters.n_threads = 1
    parameters.n_threads_batch = 1
    parameters.type_k = llama_cpp.GGML_TYPE_F32
    parameters.type_v = llama_cpp.GGML_TYPE_F32
    parameters.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED
    return parameters
