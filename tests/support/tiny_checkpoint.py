"""A tiny random Llama as a safetensors folder, with a tokenizer of single bytes and a template."""

from __future__ import annotations

import array
import json
import random
import string
import struct
from pathlib import Path
from typing import Any

WIDTH, INNER, LAYERS, HEADS, KV_HEADS = 128, 256, 2, 4, 2  # vLLM on a CPU wants heads of 32
CONTEXT_TOKENS = 2048
SPECIAL = ("<s>", "</s>")
TEMPLATE = (
    "{{ bos_token }}{% for one in messages %}<{{ one['role'] }}>{{ one['content'] }}\n"
    "{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
)


def write_tiny_checkpoint(folder: Path, **changes: Any) -> Path:
    """Write it; `changes` replace keys of its config.json. Takes a fifth of a second."""
    folder.mkdir(parents=True)
    vocabulary = _byte_symbols()
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "dtype": "float32",
        "hidden_act": "silu",
        "hidden_size": WIDTH,
        "intermediate_size": INNER,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "max_position_embeddings": CONTEXT_TOKENS,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10_000.0,
        "tie_word_embeddings": False,
        "vocab_size": len(vocabulary) + len(SPECIAL),
        "bos_token_id": len(vocabulary),
        "eos_token_id": len(vocabulary) + 1,
    }
    _write_json(folder / "config.json", {**config, **changes})
    _write_tokenizer(folder, vocabulary)
    _write_weights(folder / "model.safetensors", len(vocabulary) + len(SPECIAL))
    return folder


def _byte_symbols() -> list[str]:
    """The printable stand-ins of GPT-2's byte-level tokenizers, byte by byte."""
    plain = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = (byte for byte in range(256) if byte not in plain)
    stand_ins = {byte: 256 + number for number, byte in enumerate(others)}
    return [chr(stand_ins.get(byte, byte)) for byte in range(256)]


def _write_tokenizer(folder: Path, vocabulary: list[str]) -> None:
    first = len(vocabulary)
    added = [
        {"id": first + number, "content": text, "special": True, "single_word": False,
         "lstrip": False, "rstrip": False, "normalized": False}
        for number, text in enumerate(SPECIAL)
    ]  # fmt: skip
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    tokenizer = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": {**byte_level, "use_regex": True},
        "post_processor": None,
        "decoder": {**byte_level, "use_regex": True},
        "model": {
            "type": "BPE",
            "vocab": {symbol: number for number, symbol in enumerate(vocabulary)},
            "merges": [],
        },
    }
    _write_json(folder / "tokenizer.json", tokenizer)
    own = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": SPECIAL[0],
        "eos_token": SPECIAL[1],
        "model_max_length": CONTEXT_TOKENS,
        "chat_template": TEMPLATE,
    }
    _write_json(folder / "tokenizer_config.json", own)


def _write_weights(path: Path, vocabulary: int) -> None:
    """Write float32 tensors: norms of ones, the rest random, always the same.

    Letters alone are ever the likeliest: each token of such an answer is a text, and none its end.
    """
    chance = random.Random(0)
    table: dict[str, Any] = {}
    data = bytearray()
    for name, shape in _shapes(vocabulary):
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        ones = len(shape) == 1
        values = [1.0 if ones else chance.uniform(-0.1, 0.1) for _ in range(count)]
        if name == "lm_head.weight":
            for token in {*range(vocabulary)} - {*string.ascii_letters.encode()}:
                values[token * WIDTH : (token + 1) * WIDTH] = [0.0] * WIDTH
        start = len(data)
        data += array.array("f", values).tobytes()
        table[name] = {"dtype": "F32", "shape": shape, "data_offsets": [start, len(data)]}
    header = json.dumps({"__metadata__": {"format": "pt"}, **table}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + data)


def _shapes(vocabulary: int) -> list[tuple[str, list[int]]]:
    kv_width = WIDTH // HEADS * KV_HEADS
    found = [("model.embed_tokens.weight", [vocabulary, WIDTH])]
    for layer in range(LAYERS):
        block = f"model.layers.{layer}"
        found += [
            (f"{block}.input_layernorm.weight", [WIDTH]),
            (f"{block}.post_attention_layernorm.weight", [WIDTH]),
            (f"{block}.self_attn.q_proj.weight", [WIDTH, WIDTH]),
            (f"{block}.self_attn.k_proj.weight", [kv_width, WIDTH]),
            (f"{block}.self_attn.v_proj.weight", [kv_width, WIDTH]),
            (f"{block}.self_attn.o_proj.weight", [WIDTH, WIDTH]),
            (f"{block}.mlp.gate_proj.weight", [INNER, WIDTH]),
            (f"{block}.mlp.up_proj.weight", [INNER, WIDTH]),
            (f"{block}.mlp.down_proj.weight", [WIDTH, INNER]),
        ]
    return [*found, ("model.norm.weight", [WIDTH]), ("lm_head.weight", [vocabulary, WIDTH])]


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False), encoding="utf-8")
