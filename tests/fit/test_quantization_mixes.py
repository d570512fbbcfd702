"""The table of mixes against the engine, which says for every tensor what it would make of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.quantizing import FILE_TYPES, quantized_types

from m1desk.errors import BadInput
from m1desk.fit.header_file import write_header
from m1desk.fit.imagined import imagined_header
from m1desk.fit.quantizations import quantization, quantizations

if TYPE_CHECKING:
    from pathlib import Path

BASE = {
    "hidden_size": 512, "num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 64,
    "intermediate_size": 768, "num_hidden_layers": 16, "vocab_size": 1024,
    "max_position_embeddings": 4096,
}  # fmt: skip
MODELS = {
    "grouped": {"architectures": ["LlamaForCausalLM"]},
    "ungrouped": {"architectures": ["LlamaForCausalLM"], "num_key_value_heads": 8},
    "tied": {"architectures": ["Qwen3ForCausalLM"], "tie_word_embeddings": True},
    "odd rows": {"architectures": ["Qwen2ForCausalLM"], "hidden_size": 448, "head_dim": 56},
    "eight experts": {
        "architectures": ["MixtralForCausalLM"], "num_local_experts": 8, "num_experts_per_tok": 2,
    },
    "thirty-two experts": {
        "architectures": ["Qwen3MoeForCausalLM"], "num_experts": 32, "num_experts_per_tok": 2,
        "moe_intermediate_size": 256,
    },
    "lightning": {
        "architectures": ["MiniMaxM1ForCausalLM"], "num_local_experts": 32,
        "num_experts_per_tok": 2, "layernorm_full_attention_alpha": 3.5,
        "attn_type_list": [0, 0, 0, 1] * 4,
    },
}  # fmt: skip


@pytest.mark.parametrize("model", MODELS)
def test_each_tensor_gets_the_type_the_engine_gives_it(model: str, tmp_path: Path) -> None:
    config: dict[str, Any] = {**BASE, **MODELS[model]}
    path = tmp_path / "model.gguf"
    size = write_header(imagined_header(config, "BF16", "test"), path)
    with path.open("r+b") as file:
        file.truncate(size)
    names = tuple(name for name in quantizations() if name in FILE_TYPES)
    for name, types in quantized_types(path, names).items():
        ours = {
            tensor.name: tensor.type_name
            for tensor in imagined_header(config, name, "test").tensors
        }
        assert ours == types, name


def test_an_unknown_quantization_is_refused_with_a_list() -> None:
    with pytest.raises(BadInput, match="not a quantization") as caught:
        quantization("Q9_X")
    assert "Q4_K_M" in caught.value.todo


def test_an_unknown_architecture_asks_for_a_file() -> None:
    with pytest.raises(BadInput, match="MambaForCausalLM") as caught:
        imagined_header({**BASE, "architectures": ["MambaForCausalLM"]}, "Q8_0", "test")
    assert "GGUF" in caught.value.todo


def test_a_broken_config_is_said_to_be_so() -> None:
    with pytest.raises(BadInput, match="can't be read"):
        imagined_header({"architectures": ["LlamaForCausalLM"]}, "Q8_0", "test")
