"""A GGUF header as a value that answers questions about the model behind it."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from m1desk.errors import BadInput
from m1desk.models.ggml_types import file_type_name, type_sizes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LayerKind = Literal["softmax", "lightning", "recurrent", "none"]
"""How a layer looks back: `softmax` keeps a KV cache, `lightning` (linear attention) and
`recurrent` keep a state of fixed size, `none` doesn't look back at all."""

MINIMAX_01: Final = "minimax-01"
"""llama.cpp's name for the architecture of MiniMax-Text-01 and MiniMax-M1."""

_MINIMAX_INTERVAL: Final = 8
_STATE_ELEMENT_BYTES: Final = 4  # llama.cpp keeps recurrent states in F32
_TOKENS: Final = "tokenizer.ggml.tokens"
_TEMPLATE: Final = "tokenizer.chat_template"


@dataclass(frozen=True, slots=True)
class SkippedValue:
    """A long value that was passed over: `count` array elements, or bytes of a string."""

    type_name: str
    count: int


MetaValue = bool | int | float | str | tuple[bool | int | float | str, ...] | SkippedValue


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One tensor in a file.

    Attributes:
        shape: elements per dimension, the fastest-running first.
        type_name: ggml's name of its type, such as "Q4_K".
        offset: bytes from the start of the file.
        size_bytes: bytes without padding.
        part: which file of a split model holds it, from 0.
    """

    name: str
    shape: tuple[int, ...]
    type_name: str
    offset: int
    size_bytes: int
    part: int = 0

    @property
    def element_count(self) -> int:
        """Number of weights."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """What a GGUF says about its model; of a split one, all parts together.

    Attributes:
        path: the file, or the first part.
        parts: all files, in order.
        version: of the GGUF format, 2 or 3.
        size_bytes: of all files.
        metadata: keys and values as stored in the first part; long arrays are skipped.
        tensors: of all parts.
    """

    path: Path
    parts: tuple[Path, ...]
    version: int
    size_bytes: int
    metadata: Mapping[str, MetaValue]
    tensors: tuple[TensorInfo, ...]

    @property
    def architecture(self) -> str:
        """`general.architecture`, which decides whether an engine can load it; "" if missing."""
        return self._text("general.architecture")

    @property
    def name(self) -> str:
        """Name the author gave it, or else the file's."""
        return self._text("general.name") or self.path.stem

    @property
    def license(self) -> str:
        """Licence as stored, such as "apache-2.0"; "" if missing."""
        return self._text("general.license")

    @property
    def size_label(self) -> str:
        """Size in the author's words, such as "7B" or "456B"; "" if missing."""
        return self._text("general.size_label")

    @property
    def kind(self) -> str:
        """`general.type`: "model", "adapter", "mmproj" ...; "model" if missing."""
        return self._text("general.type") or "model"

    @property
    def file_type_name(self) -> str:
        """Name of the quantization mix, such as "Q4_K_M"; else the type most bytes have."""
        number = self.metadata.get("general.file_type")
        named = file_type_name(number) if isinstance(number, int) else ""
        by_type = self.bytes_by_type
        return named or (max(by_type, key=by_type.__getitem__) if by_type else "unknown")

    @property
    def parameter_count(self) -> int:
        """Number of weights."""
        return sum(tensor.element_count for tensor in self.tensors)

    @property
    def weights_bytes(self) -> int:
        """Bytes of all tensors, without padding and metadata."""
        return sum(tensor.size_bytes for tensor in self.tensors)

    @property
    def expert_bytes(self) -> int:
        """Bytes of the routed experts' tensors, which may stay in main memory."""
        return sum(tensor.size_bytes for tensor in self.tensors if "_exps." in tensor.name)

    @property
    def bytes_by_type(self) -> Mapping[str, int]:
        """Bytes of the tensors of each type."""
        sizes: Counter[str] = Counter()
        for tensor in self.tensors:
            sizes[tensor.type_name] += tensor.size_bytes
        return dict(sizes)

    @property
    def bits_per_weight(self) -> float:
        """Bits per weight over all tensors; 0.0 without tensors."""
        count = self.parameter_count
        return 8 * self.weights_bytes / count if count else 0.0

    @property
    def context_tokens(self) -> int:
        """Context length the model was made for (tokens); 0 if missing."""
        return self._number("context_length")

    @property
    def block_count(self) -> int:
        """Number of layers."""
        return self._number("block_count")

    @property
    def embedding_length(self) -> int:
        """Width of the model (elements)."""
        return self._number("embedding_length")

    @property
    def head_count(self) -> int:
        """Query heads of a layer, the largest if layers differ."""
        return max(self._per_layer("attention.head_count", 0), default=0)

    @property
    def kv_head_count(self) -> int:
        """KV heads of a layer, the largest if layers differ."""
        return max(self._kv_heads, default=0)

    @property
    def key_length(self) -> int:
        """Elements of one head's key; by default the width over the heads, as llama.cpp has it."""
        return self._number("attention.key_length") or self._even_head_length

    @property
    def value_length(self) -> int:
        """Elements of one head's value, with the same default."""
        return self._number("attention.value_length") or self._even_head_length

    @property
    def expert_count(self) -> int:
        """Experts in a layer; 0 for a dense model."""
        return self._number("expert_count")

    @property
    def expert_used_count(self) -> int:
        """Experts that work on each token."""
        return self._number("expert_used_count")

    @property
    def vocabulary_size(self) -> int:
        """Number of tokens in the vocabulary; 0 if there is none."""
        tokens = self.metadata.get(_TOKENS)
        if isinstance(tokens, SkippedValue):
            return tokens.count
        if isinstance(tokens, tuple):
            return len(tokens)
        return self._number("vocab_size")

    @property
    def has_chat_template(self) -> bool:
        """Whether the file says how a conversation is written for this model."""
        return bool(self.metadata.get(_TEMPLATE))

    @property
    def chat_template(self) -> str:
        """Its Jinja template, "" if there is none."""
        return self._text(_TEMPLATE)

    @property
    def layer_kinds(self) -> tuple[LayerKind, ...]:
        """How each layer looks back, in order."""
        lightning = self.architecture == MINIMAX_01
        marked = self._recurrent_marks()
        if marked is not None:
            linear: LayerKind = "lightning" if lightning else "recurrent"
            return tuple(linear if mark else "softmax" for mark in marked)
        widths = self._per_layer("feed_forward_length", 0)
        mixed = len(set(widths)) > 1  # layers that are a feed-forward network and nothing else
        return tuple(
            "softmax" if heads else ("none" if mixed and width else "recurrent")
            for heads, width in zip(self._kv_heads, widths, strict=True)
        )

    def kv_cache_bytes_per_token(self, kv_type: str = "f16") -> int:
        """Bytes the KV cache grows by with each token; raises BadInput for an unknown type.

        Sum over softmax layers of KV heads x (key + value length) x bytes per element; with
        multi-head latent attention only the compressed key is kept, as in llama.cpp. Layers with
        a sliding window count in full, so for them this is an upper bound.
        """
        sizes = type_sizes(kv_type.upper())
        if sizes is None:
            raise BadInput(f'"{kv_type}" is not a type for a KV cache.', "", "Choose f16 or q8_0.")
        latent = self._number("attention.key_length_mla") > 0
        per_head = self.key_length + (0 if latent else self.value_length)
        heads = sum(
            heads
            for heads, kind in zip(self._kv_heads, self.layer_kinds, strict=True)
            if kind == "softmax"
        )
        return -(-heads * per_head * sizes.block_bytes // sizes.block_elements)  # rounded up

    @property
    def recurrent_state_bytes(self) -> int | None:
        """Bytes of state per sequence, however long it is; None if it can't be told.

        MiniMax-01: lightning layers x heads x head length^2 x 4. Mamba: recurrent layers x
        ((kernel - 1) x (inner + 2 x groups x state) + inner x state) x 4. Both as allocated by
        llama.cpp (`llama_hparams::n_embd_s` and `n_embd_r`).
        """
        kinds = self.layer_kinds
        lightning = kinds.count("lightning")
        if lightning:
            return lightning * self.head_count * self.key_length**2 * _STATE_ELEMENT_BYTES
        inner, state = self._number("ssm.inner_size"), self._number("ssm.state_size")
        recurrent = kinds.count("recurrent")
        if not recurrent:
            return None if inner else 0
        if not inner or not state:
            return None
        mixed = inner + 2 * self._number("ssm.group_count") * state
        convolution = max(self._number("ssm.conv_kernel") - 1, 0) * mixed
        return recurrent * (convolution + inner * state) * _STATE_ELEMENT_BYTES

    @property
    def _even_head_length(self) -> int:
        return self.embedding_length // self.head_count if self.head_count else 0

    @property
    def _kv_heads(self) -> tuple[int, ...]:
        heads = self._per_layer("attention.head_count", 0)
        if self._own("attention.head_count_kv") is None:
            return heads
        return self._per_layer("attention.head_count_kv", 0)

    def _recurrent_marks(self) -> tuple[bool, ...] | None:
        """Which layers keep a state instead of a KV cache, if the file or architecture says."""
        stored = self._own("attention.recurrent_layers")
        if isinstance(stored, (bool, int, tuple)):
            return tuple(bool(mark) for mark in self._per_layer("attention.recurrent_layers", 0))
        interval = self._number("full_attention_interval")
        if self.architecture == MINIMAX_01:
            interval = interval or _MINIMAX_INTERVAL
        if not interval:
            return None
        return tuple((layer + 1) % interval != 0 for layer in range(self.block_count))

    def _own(self, key: str) -> MetaValue | None:
        """Value of a key of this architecture's."""
        return self.metadata.get(f"{self.architecture}.{key}")

    def _number(self, key: str) -> int:
        value = self._own(key)
        return max(value, 0) if isinstance(value, int) else 0

    def _per_layer(self, key: str, default: int) -> tuple[int, ...]:
        """Give a number for each layer; files store one for all, or an array."""
        value = self._own(key)
        if isinstance(value, tuple):
            numbers = [max(entry, 0) if isinstance(entry, int) else default for entry in value]
            missing = self.block_count - len(numbers)
            return tuple(numbers[: self.block_count]) + (default,) * max(missing, 0)
        number = max(value, 0) if isinstance(value, int) else default
        return (number,) * self.block_count

    def _text(self, key: str) -> str:
        value = self.metadata.get(key)
        return value if isinstance(value, str) else ""
