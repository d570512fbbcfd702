"""A model in memory: loading it with progress, its vocabulary, its facts."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from m1desk.llama_worker.expert_placement import experts_in_main_memory
from m1desk.llama_worker.native import Native
from m1desk.wire import FailureReason

_OUT_OF_MEMORY_WORDS = ("failed to allocate", "unable to allocate", "out of memory", "bad_alloc")
_MARKERS = (
    "<think>",
    "</think>",
    "<tool_calls>",
    "</tool_calls>",
    "<tool_call>",
    "</tool_call>",
)
_ALL_LAYERS: Final = 0x7FFFFFFF
_UNKNOWN_ARCHITECTURE_WORDS = ("unknown model architecture",)


def readable_name(name: str) -> str:
    """A name with marks in place of bytes that are no text: file names may hold any bytes."""
    return name.encode("utf-8", "replace").decode("utf-8")


class LoadError(Exception):
    """The library could not load the model or make a context.

    Attributes:
        reason: which kind of failure it was.
        detail: the library's own words.
    """

    def __init__(self, reason: FailureReason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


def failure_reason(detail: str, otherwise: FailureReason) -> FailureReason:
    """What kind of failure the library's complaints describe."""
    lowered = detail.lower()
    if any(words in lowered for words in _OUT_OF_MEMORY_WORDS):
        return "out_of_memory"
    if any(words in lowered for words in _UNKNOWN_ARCHITECTURE_WORDS):
        return "unknown_architecture"
    return otherwise


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """How to load a model.

    Attributes:
        gpu_layers: -1 for all.
        extra_buffers: allows weight repacking.
        cpu_expert_layers: layers whose experts stay in main memory.
    """

    path: Path
    gpu_layers: int = -1
    extra_buffers: bool = True
    cpu_expert_layers: tuple[int, ...] = ()


def place_layers(params: Any, gpu_layers: int, cpu_expert_layers: Sequence[int]) -> object:  # noqa: ANN401 - ctypes has no types
    """Say in the library's `params` what goes to the GPU; -1 for all layers.

    Returns what must live until the model is loaded.
    """
    params.n_gpu_layers = gpu_layers if gpu_layers >= 0 else _ALL_LAYERS
    experts = experts_in_main_memory(cpu_expert_layers)
    params.tensor_buft_overrides = ctypes.cast(experts, ctypes.c_void_p)
    return experts


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What a loaded model says of itself (sizes in bytes, lengths in tokens)."""

    name: str
    architecture: str
    description: str
    size_bytes: int
    parameters: int
    trained_context: int
    vocabulary: int
    chat_template: str | None
    needs_snapshots: bool  # its state can't be cut at the tail: recurrent or hybrid memory


class Model:
    """A loaded model. Reading the vocabulary is safe from any thread."""

    def __init__(
        self, native: Native, options: LoadOptions, on_progress: Callable[[float], None]
    ) -> None:
        """Load the weights.

        `on_progress` hears fractions from 0.0 to 1.0 on this thread.

        Raises:
            LoadError: the file is unusable or memory is short.
        """
        lib = native.lib
        self._lib = lib
        self._native = native
        native.log.clear()

        def progress(fraction: float, _user_data: object) -> bool:
            on_progress(fraction)
            return True

        params = lib.llama_model_default_params()
        placed = place_layers(params, options.gpu_layers, options.cpu_expert_layers)
        params.use_extra_bufts = options.extra_buffers
        callback = lib.llama_progress_callback(progress)
        params.progress_callback = callback
        # not every file's name is text; fsencode gives its very bytes, and UTF-8 on Windows
        self.handle = lib.llama_model_load_from_file(os.fsencode(options.path), params)
        del placed  # until here the library looked at it
        if not self.handle:
            detail = native.log.complaints() or "the library gave no reason"
            raise LoadError(failure_reason(detail, "bad_model_file"), detail)
        self._vocab = lib.llama_model_get_vocab(self.handle)
        self._pieces: dict[int, bytes] = {}
        self._check_rope()
        self._check_vocabulary()
        self._markers = self._read_markers()
        self.facts = self._read_facts(options.path)

    def _check_rope(self) -> None:
        """Refuse a rotation over no dimensions: computing it, the library never comes to an end."""
        key = f"{self.metadata('general.architecture')}.rope.dimension_count"
        rotates = self._lib.llama_model_rope_type(self.handle) != self._lib.LLAMA_ROPE_TYPE_NONE
        if rotates and self.metadata(key) == "0":
            raise LoadError("bad_model_file", f"{key} is 0")

    def _check_vocabulary(self) -> None:
        """Refuse a vocabulary on which the library would not come to an end.

        Its tokenizer for RWKV starts over, and over, at a byte that begins tokens but is none
        (llama.cpp's llm_tokenizer_rwkv_session::tokenize, seen in b10437).
        """
        if self._lib.llama_vocab_type(self._vocab) != self._lib.LLAMA_VOCAB_TYPE_RWKV:
            return
        count = int(self._lib.llama_vocab_n_tokens(self._vocab))
        pieces = {self._read_piece(token, special=True) for token in range(count)}
        if any(piece[:1] not in pieces for piece in pieces if piece):
            raise LoadError("bad_model_file", "its vocabulary lacks single bytes")

    def _read_facts(self, path: Path) -> ModelFacts:
        lib, handle = self._lib, self.handle
        description = ctypes.create_string_buffer(256)
        lib.llama_model_desc(handle, description, ctypes.sizeof(description))
        template = lib.llama_model_chat_template(handle, None)
        return ModelFacts(
            name=self.metadata("general.name") or readable_name(path.stem),
            architecture=self.metadata("general.architecture") or "",
            description=description.value.decode(errors="replace"),
            size_bytes=int(lib.llama_model_size(handle)),
            parameters=int(lib.llama_model_n_params(handle)),
            trained_context=int(lib.llama_model_n_ctx_train(handle)),
            vocabulary=int(lib.llama_vocab_n_tokens(self._vocab)),
            chat_template=template.decode(errors="replace") if template else None,
            needs_snapshots=bool(
                lib.llama_model_is_recurrent(handle) or lib.llama_model_is_hybrid(handle)
            ),
        )

    def metadata(self, key: str) -> str | None:
        """The value of a metadata key as text, or None."""
        size = self._lib.llama_model_meta_val_str(self.handle, key.encode(), None, 0)
        if size < 0:
            return None
        buffer = ctypes.create_string_buffer(size + 1)
        self._lib.llama_model_meta_val_str(self.handle, key.encode(), buffer, size + 1)
        return buffer.value.decode(errors="replace")

    @property
    def vocab(self) -> object:
        """The library's handle on the vocabulary, for samplers."""
        return self._vocab

    def tokenize(self, text: str, *, special: bool = True, add_special: bool = True) -> list[int]:
        """Token ids of `text`.

        `special` recognises control tokens written in the text; `add_special` adds the
        beginning-of-sequence token where the model wants one.
        """
        data = text.encode()
        capacity = len(data) + 8
        tokens = (ctypes.c_int32 * capacity)()
        count = self._lib.llama_tokenize(
            self._vocab, data, len(data), tokens, capacity, add_special, special
        )
        if count < 0:
            capacity = -count
            tokens = (ctypes.c_int32 * capacity)()
            count = self._lib.llama_tokenize(
                self._vocab, data, len(data), tokens, capacity, add_special, special
            )
        return list(tokens[:count])

    def piece(self, token: int, *, special: bool = False) -> bytes:
        """The bytes a token stands for; control tokens are empty unless `special`."""
        if special:
            return self._read_piece(token, special=True)
        cached = self._pieces.get(token)
        if cached is None:
            cached = self._pieces[token] = self._read_piece(token, special=False)
        return cached

    def _read_piece(self, token: int, *, special: bool) -> bytes:
        size = 64
        buffer = ctypes.create_string_buffer(size)
        count = self._lib.llama_token_to_piece(self._vocab, token, buffer, size, 0, special)
        if count < 0:
            size = -count
            buffer = ctypes.create_string_buffer(size)
            count = self._lib.llama_token_to_piece(self._vocab, token, buffer, size, 0, special)
        return buffer.raw[:count]

    def _read_markers(self) -> dict[int, bytes]:
        """Control tokens that the answer's structure is read from, so they must stay visible."""
        markers: dict[int, bytes] = {}
        for text in _MARKERS:
            tokens = self.tokenize(text, add_special=False)
            if len(tokens) == 1:
                markers[tokens[0]] = text.encode()
        return markers

    def is_marker(self, token: int) -> bool:
        """Whether a token marks an answer's structure (`<think>`), and so shows in it."""
        return token in self._markers

    def visible_piece(self, token: int) -> bytes:
        """The bytes of a token in an answer; of control tokens only structural markers show."""
        return self._markers.get(token) or self.piece(token)

    def detokenize(self, tokens: Sequence[int], *, special: bool = True) -> bytes:
        """The bytes of several tokens."""
        return b"".join(self.piece(token, special=special) for token in tokens)

    def token_byte_ends(self, tokens: Sequence[int]) -> npt.NDArray[np.int64]:
        """For each token, how many bytes of the text end with it, control tokens included."""
        ids = np.asarray(tokens, dtype=np.int64)
        unique, inverse = np.unique(ids, return_inverse=True)
        lengths = np.array([len(self.piece(int(t), special=True)) for t in unique], dtype=np.int64)
        return np.cumsum(lengths[inverse]) if len(ids) else np.zeros(0, dtype=np.int64)

    def is_end(self, token: int) -> bool:
        """Whether the model ends its turn with this token."""
        return bool(self._lib.llama_vocab_is_eog(self._vocab, token))

    def special_token_text(self, kind: str) -> str:
        """The text of the "bos" or "eos" token, "" if the model has none."""
        token = getattr(self._lib, f"llama_vocab_{kind}")(self._vocab)
        return "" if token < 0 else self.piece(token, special=True).decode(errors="replace")

    @property
    def adds_bos(self) -> bool:
        """Whether tokenizing adds a beginning-of-sequence token."""
        return bool(self._lib.llama_vocab_get_add_bos(self._vocab))

    def close(self) -> None:
        """Free the weights; nothing of the model may be used afterwards."""
        if self.handle:
            self._lib.llama_model_free(self.handle)
            self.handle = None
