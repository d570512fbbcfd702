"""A safetensors checkpoint's model, read from config.json, its index and its files' headers."""

from __future__ import annotations

import json
import math
import os
import struct
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from m1desk.errors import ModelFileError
from m1desk.models.config_layers import layer_kinds

if TYPE_CHECKING:
    from m1desk.models.gguf_bytes import HeaderStream
    from m1desk.models.header import LayerKind

ReadFile = Callable[[str], bytes]
"""Gives the whole of a small file of the repository by its path."""

_INDEX: Final = "model.safetensors.index.json"
_HEADER_LIMIT: Final = 64 * 1024 * 1024
_SMALL_FILE: Final = 64 * 1024 * 1024
_BLOCKS_LIMIT: Final = 4_096
_SHARDS_LIMIT: Final = 20_000
_NUMBER_LIMIT: Final = 2**53
_LAYERS: Final = ("num_hidden_layers", "n_layer", "num_layers")
_LANGUAGE_CONFIGS: Final = ("thinker_config", "text_config", "llm_config", "language_config")
"""Where models that also see or hear keep the config of what writes, the outermost first."""

# Bits per element, from the safetensors format's own list.
_BITS: Final = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
    "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32,
    "I64": 64, "U64": 64, "F64": 64, "C64": 64,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class SafetensorsTensor:
    """A tensor of a checkpoint, as its file's header has it.

    Attributes:
        dtype: the format's own word, such as "BF16".
        shape: elements per dimension, the slowest-running first, as in PyTorch.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    size_bytes: int

    @property
    def element_count(self) -> int:
        """Number of stored elements; in packed quantizations not the number of weights."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class SafetensorsModel:
    """What a safetensors repository says of its model.

    Attributes:
        name: of the repository or folder.
        config: config.json; of a model that also sees or hears, with its language model's on top.
        shards: the weight files, in order.
        size_bytes: of the weight files.
        tensor_names: as the index lists them; empty without an index and without headers.
        tensors: each with its exact size; empty until the files' headers were read.
        parameter_count: 0 when nobody says.
        license: "" when it does not say.
    """

    name: str
    config: Mapping[str, Any]
    shards: tuple[str, ...]
    size_bytes: int
    tensor_names: tuple[str, ...] = ()
    tensors: tuple[SafetensorsTensor, ...] = ()
    parameter_count: int = 0
    license: str = ""

    @property
    def architecture(self) -> str:
        """The class that runs it, such as "MiniMaxM1ForCausalLM"; "" if missing."""
        classes = self.config.get("architectures")
        first = classes[0] if isinstance(classes, list) and classes else ""
        return first if isinstance(first, str) else ""

    @property
    def model_type(self) -> str:
        """The word of transformers for the architecture, such as "minimax_m1"."""
        value = self.config.get("model_type")
        return value if isinstance(value, str) else ""

    @property
    def dtype(self) -> str:
        """Type of most bytes ("BF16"), or else what the config says ("bfloat16"); "" if neither."""
        sizes = self.bytes_by_dtype
        if sizes:
            return max(sizes, key=sizes.__getitem__)
        value = self.config.get("dtype") or self.config.get("torch_dtype")
        return value if isinstance(value, str) else ""

    @property
    def quantization(self) -> Mapping[str, Any]:
        """`quantization_config` as stored; empty for an unquantized checkpoint."""
        value = self.config.get("quantization_config")
        return value if isinstance(value, dict) else {}

    @property
    def quantization_method(self) -> str:
        """Such as "fp8", "awq", "compressed-tensors" or "mxfp4"; "" when not quantized."""
        value = self.quantization.get("quant_method")
        return value if isinstance(value, str) else ""

    @property
    def bytes_by_dtype(self) -> Mapping[str, int]:
        """Bytes of the tensors of each type, when the headers were read."""
        sizes: Counter[str] = Counter()
        for tensor in self.tensors:
            sizes[tensor.dtype] += tensor.size_bytes
        return dict(sizes)

    @property
    def weights_bytes(self) -> int:
        """Bytes of all tensors: exact with the headers, else of the files."""
        return sum(tensor.size_bytes for tensor in self.tensors) or self.size_bytes

    @property
    def expert_bytes(self) -> int:
        """Bytes of the routed experts' tensors, 0 until the headers were read."""
        return sum(tensor.size_bytes for tensor in self.tensors if ".experts." in tensor.name)

    @property
    def block_count(self) -> int:
        """Number of layers."""
        return self.number(*_LAYERS)

    @property
    def layer_kinds(self) -> tuple[LayerKind, ...]:
        """How each layer looks back, in order."""
        return layer_kinds(self.config, self.block_count)

    @property
    def embedding_length(self) -> int:
        """Width of the model (elements)."""
        return self.number("hidden_size", "n_embd", "d_model")

    @property
    def head_count(self) -> int:
        """Query heads of a layer."""
        return self.number("num_attention_heads", "n_head")

    @property
    def kv_head_count(self) -> int:
        """KV heads of a layer."""
        return self.number("num_key_value_heads") or self.head_count

    @property
    def head_length(self) -> int:
        """Elements of one head's key."""
        return self.number("head_dim") or (
            self.embedding_length // self.head_count if self.head_count else 0
        )

    @property
    def expert_count(self) -> int:
        """Routed experts in a layer; 0 for a dense model."""
        return self.number("num_local_experts", "num_experts", "n_routed_experts")

    @property
    def expert_used_count(self) -> int:
        """Experts that work on each token."""
        return self.number("num_experts_per_tok", "num_experts_per_token", "moe_topk")

    @property
    def vocabulary_size(self) -> int:
        """Number of tokens in the vocabulary."""
        return self.number("vocab_size")

    @property
    def context_tokens(self) -> int:
        """Context length the model was made for (tokens); 0 if missing."""
        return self.number("max_position_embeddings", "n_positions", "seq_length")

    def number(self, *keys: str) -> int:
        """The first of these keys of the config that holds a whole number above 0; else 0."""
        for key in keys:
            value = self.config.get(key)
            if isinstance(value, int) and 0 < value < _NUMBER_LIMIT:
                return int(value)
        return 0

    def with_tensors(self, tables: tuple[tuple[SafetensorsTensor, ...], ...]) -> SafetensorsModel:
        """The same model with the tensor tables of its files; raises ModelFileError.

        Counts the parameters anew where nothing is packed.
        """
        tensors = tuple(tensor for table in tables for tensor in table)
        names = [tensor.name for tensor in tensors]
        if len(set(names)) != len(names):
            raise _damaged(self.name, "Two of its files hold a tensor of the same name.")
        if self.tensor_names and set(self.tensor_names) != set(names):
            raise _damaged(self.name, "Its index and its files name different tensors.")
        stored = sum(tensor.element_count for tensor in tensors)
        count = self.parameter_count if self.quantization else stored
        return replace(self, tensors=tensors, tensor_names=tuple(names), parameter_count=count)


def read_safetensors_folder(folder: Path) -> SafetensorsModel:
    """What the checkpoint in `folder` says of its model, headers and all; raises ModelFileError."""

    def read(path: str) -> bytes:
        target = folder / path
        if target.stat().st_size > _SMALL_FILE:
            raise _damaged(path, "It is absurdly large.")
        return target.read_bytes()

    try:
        sizes = {entry.name: entry.stat().st_size for entry in folder.iterdir() if entry.is_file()}
        model = read_safetensors_model(folder.name, sizes, read)
        return model.with_tensors(tuple(_read_local(folder / shard) for shard in model.shards))
    except OSError as error:
        raise ModelFileError(
            f"{folder} can't be read.",
            f"The system says: {error.strerror or error}.",
            "Check that it is still there and that you may read it.",
        ) from error


def _read_local(path: Path) -> tuple[SafetensorsTensor, ...]:
    with path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        return read_tensor_table(stream, size, path.name)


def read_safetensors_model(
    name: str,
    sizes: Mapping[str, int],
    read: ReadFile,
    *,
    license_name: str = "",
    parameter_count: int = 0,
) -> SafetensorsModel:
    """Read config.json and the index of a checkpoint; `sizes` are bytes by path.

    Raises ModelFileError when they are missing or damaged, or weight files are missing.
    """
    if "config.json" not in sizes:
        raise ModelFileError(
            f"{name} holds no checkpoint that can be used.",
            "It has no config.json.",
            "Choose a repository with safetensors files and a config.json.",
        )
    config = _unfolded(_object(read("config.json"), "config.json"))
    shards, names = _weight_files(name, sizes, read)
    return SafetensorsModel(
        name=name,
        config=_checked(config, name),
        shards=shards,
        size_bytes=sum(sizes[shard] for shard in shards),
        tensor_names=names,
        parameter_count=parameter_count,
        license=license_name,
    )


def _unfolded(config: dict[str, Any]) -> dict[str, Any]:
    architectures = config.get("architectures")
    for key in _LANGUAGE_CONFIGS:
        inner = config.get(key)
        if isinstance(inner, dict):
            config = {**config, **inner, "architectures": architectures}
    return config


def _checked(config: dict[str, Any], name: str) -> dict[str, Any]:
    for key in _LAYERS:
        layers = config.get(key)
        if isinstance(layers, int) and layers > _BLOCKS_LIMIT:
            raise _damaged(name, f"It announces {layers:,} layers.")
    return config


def _weight_files(
    name: str, sizes: Mapping[str, int], read: ReadFile
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The weight files that the index names, and the tensors; without an index, all there are."""
    if _INDEX not in sizes:
        present = sorted(p for p in sizes if p.endswith(".safetensors") and "/" not in p)
        if not present:
            raise ModelFileError(f"{name} holds no safetensors files.")
        return tuple(present), ()
    places = _object(read(_INDEX), _INDEX).get("weight_map")
    if not isinstance(places, dict) or not places:
        raise _damaged(_INDEX, "It has no weight_map.")
    shards = {str(shard) for shard in places.values()}
    missing = sorted(shards - set(sizes))
    if len(shards) > _SHARDS_LIMIT:
        raise _damaged(_INDEX, f"It names {len(shards):,} files.")
    if missing:
        listed = ", ".join(missing[:3]) + (" and others" if len(missing) > 3 else "")
        raise ModelFileError(
            f"{len(missing)} of the {len(shards)} files of {name} are missing.",
            f"Not found: {listed}.",
            "Fetch the missing files.",
        )
    return tuple(sorted(shards)), tuple(str(tensor) for tensor in places)


def read_tensor_table(stream: HeaderStream, size: int, label: str) -> tuple[SafetensorsTensor, ...]:
    """Read the header of one safetensors file of `size` bytes; raises ModelFileError.

    The format: 8 bytes with the header's length, a JSON object, and the data without gaps.
    """
    start = stream.read(8)
    if len(start) < 8:
        raise _damaged(label, "It is too short to be a safetensors file.")
    length: int = struct.unpack("<Q", start)[0]
    if length > min(_HEADER_LIMIT, size - 8):
        raise _damaged(label, f"It announces a header of {length:,} bytes.")
    header = stream.read(length)
    if len(header) < length:
        raise _damaged(label, "It ends in the middle of its header.")
    table = _object(header, label)
    table.pop("__metadata__", None)
    tensors = tuple(_tensor(name, entry, label) for name, entry in table.items())
    missing = 8 + length + sum(tensor.size_bytes for tensor in tensors) - size
    if missing > 0:
        raise ModelFileError(
            f"{label} is incomplete.",
            f"{missing:,} of its bytes are missing.",
            "Continue or repeat the download.",
        )
    return tensors


def _tensor(name: str, entry: object, label: str) -> SafetensorsTensor:
    if not isinstance(entry, dict):
        raise _damaged(label, f'The tensor "{name[:80]}" is not described.')
    dtype = entry.get("dtype")
    if not isinstance(dtype, str) or dtype not in _BITS:
        raise _damaged(label, f'The tensor "{name[:80]}" has the unknown type {str(dtype)[:20]}.')
    shape, offsets = _sizes(entry.get("shape"), 16), _sizes(entry.get("data_offsets"), 2)
    if shape is None or offsets is None or len(offsets) != 2:
        raise _damaged(label, f'The tensor "{name[:80]}" has no usable shape and place.')
    size = offsets[1] - offsets[0]
    if math.prod(shape) * _BITS[dtype] != size * 8:
        raise _damaged(label, f'The tensor "{name[:80]}" does not fill its place.')
    return SafetensorsTensor(name, dtype, shape, size)


def _sizes(value: object, limit: int) -> tuple[int, ...] | None:
    """At most `limit` numbers that can be sizes, else None."""
    if not isinstance(value, list) or len(value) > limit:
        return None
    usable = all(type(entry) is int and 0 <= entry < _NUMBER_LIMIT for entry in value)
    return tuple(value) if usable else None


def _object(data: bytes, label: str) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _damaged(label, "It is not JSON.") from error
    if not isinstance(value, dict):
        raise _damaged(label, "It is not a JSON object.")
    return value


def _damaged(label: str, why: str) -> ModelFileError:
    return ModelFileError(f"{label} is damaged.", why, "Fetch it again, or choose another source.")
