"""Small GGUF files for the tests, written by the reference package."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gguf
import numpy as np

if TYPE_CHECKING:
    from pathlib import Path


def write_gguf(
    path: Path,
    architecture: str = "llama",
    numbers: dict[str, Any] | None = None,
    *,
    vocabulary: int = 0,
    template: str = "",
    name: str = "Tiny",
    kind: str = "",
    alignment: int = 0,
) -> Path:
    """A readable GGUF with three tensors; `numbers` are keys of the architecture's."""
    writer = gguf.GGUFWriter(path, architecture)
    if name:
        writer.add_name(name)
    if kind:
        writer.add_type(kind)
    if alignment:
        writer.add_custom_alignment(alignment)
    writer.add_license("apache-2.0")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_K_M)
    for key, value in (numbers or {}).items():
        full = f"{architecture}.{key}"
        if isinstance(value, list):
            writer.add_array(full, value)
        else:
            writer.add_uint32(full, value)
    if template:
        writer.add_chat_template(template)
    if vocabulary:
        writer.add_token_list([f"token {number}" for number in range(vocabulary)])
        writer.add_token_scores([0.0] * vocabulary)
    writer.add_tensor("token_embd.weight", np.zeros((8, 32), dtype=np.float32))
    blocks = np.zeros((4, 144), dtype=np.uint8)
    writer.add_tensor("blk.0.ffn_up.weight", blocks, raw_dtype=gguf.GGMLQuantizationType.Q4_K)
    writer.add_tensor("blk.0.ffn_up_exps.weight", np.zeros((2, 4, 32), dtype=np.float16))
    finish(writer)
    return path


def write_split(folder: Path) -> list[Path]:
    """A model of three tensors in three parts."""
    writer = gguf.GGUFWriter(folder / "big.gguf", "llama", split_max_tensors=1)
    writer.add_name("Split")
    for number in range(3):
        writer.add_tensor(f"blk.{number}.weight", np.zeros((4, 32), dtype=np.float32))
    finish(writer)
    return sorted(folder.glob("big-*.gguf"))


def finish(writer: gguf.GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


MINIMAX = {
    "block_count": 80,
    "context_length": 10_240_000,
    "embedding_length": 6144,
    "feed_forward_length": 9216,
    "attention.head_count": 64,
    "attention.head_count_kv": 8,
    "attention.key_length": 128,
    "attention.value_length": 128,
    "expert_count": 32,
    "expert_used_count": 2,
}
