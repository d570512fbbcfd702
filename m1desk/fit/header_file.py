"""Writes a GGUF header without its weights: what the engine's dry run reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from m1desk.models import GgufHeader, MetaValue, SkippedValue

_OWN: Final = frozenset({"general.architecture"})  # written by the writer itself
_TOKENIZER: Final = "tokenizer."


def write_header(header: GgufHeader, path: Path) -> int:
    """Write `header` to `path` and return the size (bytes) the file would have with its weights.

    The vocabulary is left out but for its size: it decides nothing about memory.

    Raises:
        OSError: `path` can't be written.
    """
    import gguf  # noqa: PLC0415 - imports numpy, 80 ms
    import numpy as np  # noqa: PLC0415

    writer = gguf.GGUFWriter(path, header.architecture)
    try:
        for key, value in _metadata(header).items():
            _add(writer, key, value)
        for tensor in header.tensors:
            kind = gguf.GGMLQuantizationType[tensor.type_name]
            block, size = gguf.GGML_QUANT_SIZES[kind]
            shape = tuple(reversed(tensor.shape))
            if kind in {gguf.GGMLQuantizationType.F32, gguf.GGMLQuantizationType.F16}:
                dtype: Any = np.float32 if size == 4 else np.float16
                writer.add_tensor_info(tensor.name, shape, np.dtype(dtype), tensor.size_bytes)
            else:
                rows = (*shape[:-1], shape[-1] // block * size)
                writer.add_tensor_info(
                    tensor.name, rows, np.dtype(np.uint8), tensor.size_bytes, raw_dtype=kind
                )
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
    finally:
        writer.close()
    # every tensor is padded to 32 bytes; a page more than that harms nobody in a sparse file
    return path.stat().st_size + sum(tensor.size_bytes + 64 for tensor in header.tensors)


def _metadata(header: GgufHeader) -> dict[str, MetaValue]:
    kept = {
        key: value
        for key, value in header.metadata.items()
        if key not in _OWN and not key.startswith((_TOKENIZER, "split."))
    }
    kept["tokenizer.ggml.model"] = "no_vocab"
    kept[f"{header.architecture}.vocab_size"] = header.vocabulary_size
    return kept


def _add(writer: Any, key: str, value: MetaValue) -> None:  # noqa: ANN401 - gguf has no types
    match value:
        case bool():
            writer.add_bool(key, value)
        case int():
            _add_whole(writer, key, value)
        case float():
            writer.add_float32(key, value)
        case str():
            writer.add_string(key, value)
        case tuple() if value:
            writer.add_array(key, list(value))
        case SkippedValue() | _:
            return


def _add_whole(writer: Any, key: str, value: int) -> None:  # noqa: ANN401 - gguf has no types
    """As the smallest type that holds it; llama.cpp reads most numbers as 32 bits."""
    if value < 0:
        writer.add_int32(key, value)
    elif value < 1 << 32:
        writer.add_uint32(key, value)
    else:
        writer.add_uint64(key, value)
