"""Models of a hundred megabytes and more that the real worker loads, for measuring its memory."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import gguf
import numpy as np

from m1desk.llama_worker.tiny_model import TinyModelSpec, plan_tensors, write_tiny_model
from m1desk.llama_worker.tiny_writer import _add_metadata, _add_tokenizer

if TYPE_CHECKING:
    from pathlib import Path

LLAMA = TinyModelSpec(
    name="fit-llama", quantization="Q8_0", random_blocks=True,
    layers=10, width=1024, heads=16, kv_heads=8, head_dim=64, ffn_width=2816,
    context_tokens=65_536, vocabulary_tokens=16_384,
)  # fmt: skip
MINIMAX = TinyModelSpec(
    name="fit-minimax", architecture="minimax-01", quantization="Q8_0", random_blocks=True,
    layers=8, width=512, heads=8, kv_heads=4, head_dim=64, ffn_width=1024, experts=8,
    full_attention_interval=4, context_tokens=65_536, vocabulary_tokens=16_384,
)  # fmt: skip
QWEN = TinyModelSpec(
    name="fit-qwen", quantization="Q8_0", random_blocks=True,
    layers=12, width=896, heads=14, kv_heads=2, head_dim=64, ffn_width=2432,
    context_tokens=65_536, vocabulary_tokens=32_768,
)  # fmt: skip


def write_qwen(path: Path, spec: TinyModelSpec = QWEN) -> Path:
    """Write a model of Qwen 3's architecture: llama's tensors and a norm on each head's q and k."""
    writer = gguf.GGUFWriter(path, "qwen3")
    _add_metadata(writer, spec)
    _add_tokenizer(writer, spec)
    stream = np.random.default_rng(spec.seed)
    for plan in plan_tensors(spec):
        if plan.role in {"norm", "router"}:
            writer.add_tensor(plan.name, np.ones(plan.shape, dtype=np.float32))
            continue
        blocks = math.prod(plan.shape) // 32
        data = stream.integers(0, 256, size=(blocks, 34), dtype=np.uint8)
        data[:, :2] = np.frombuffer(np.float16(0.0003).tobytes(), dtype=np.uint8)
        rows = data.reshape(*plan.shape[:-1], plan.shape[-1] // 32 * 34)
        writer.add_tensor(plan.name, rows, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    for layer in range(spec.layers):
        for role in ("attn_q_norm", "attn_k_norm"):
            writer.add_tensor(
                f"blk.{layer}.{role}.weight", np.ones(spec.head_dim, dtype=np.float32)
            )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def write_model(folder: Path, architecture: str) -> Path:
    """The model of one of the architectures "llama", "qwen3" and "minimax-01", made once."""
    path = folder / f"{architecture}.gguf"
    if not path.exists():
        if architecture == "qwen3":
            return write_qwen(path)
        return write_tiny_model(path, LLAMA if architecture == "llama" else MINIMAX)
    return path
