"""GGUF headers of models that exist only as a config.json: what a conversion of them would hold.

Everything that reads a real header then works for them too, the engine's dry run included.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from m1desk.errors import BadInput
from m1desk.fit.quantizations import MixFacts, Quantization, quantization, sizes_of
from m1desk.models import GgufHeader, MetaValue, SkippedValue, TensorInfo

_DENSE: Final = {"LlamaForCausalLM": "llama", "MistralForCausalLM": "llama",
                 "Qwen2ForCausalLM": "qwen2", "Qwen3ForCausalLM": "qwen3"}  # fmt: skip
_MIXED: Final = {"MiniMaxM1ForCausalLM": "minimax-01", "MiniMaxText01ForCausalLM": "minimax-01",
                 "MixtralForCausalLM": "llama", "Qwen3MoeForCausalLM": "qwen3moe"}  # fmt: skip
_HEAD_NORMS: Final = frozenset({"qwen3", "qwen3moe"})
_BIASES: Final = frozenset({"qwen2"})
_EPSILON: Final = 1e-5


@dataclass(frozen=True, slots=True)
class _Shape:
    """A config.json in this module's words."""

    architecture: str
    layers: int
    width: int
    heads: int
    kv_heads: int
    head_length: int
    rotated: int
    ffn_width: int
    experts: int
    experts_used: int
    vocabulary: int
    context_tokens: int
    tied: bool
    softmax: tuple[bool, ...]
    residual_scale: float | None = None
    rope_base: float = 10_000.0


def imagined_header(config: Mapping[str, Any], quantization_name: str, name: str) -> GgufHeader:
    """The header of the GGUF that converting and quantizing a checkpoint would give.

    Args:
        config: the checkpoint's config.json.
        quantization_name: such as "Q4_K_M"; one this program knows.
        name: of the model.

    Raises:
        BadInput: an architecture whose tensors this program can't derive, or a broken config.
    """
    mix = quantization(quantization_name)
    try:
        shape = _read(config)
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise BadInput(
            "The model's config.json can't be read.", f"{type(error).__name__}: {error}."
        ) from error
    facts = MixFacts(shape.layers, shape.experts, shape.heads // shape.kv_heads, shape.tied)
    tensors = tuple(_typed(shape, mix, facts))
    path = Path(f"{name}-{mix.name}.gguf")
    size = sum(tensor.size_bytes for tensor in tensors)
    return GgufHeader(
        path=path, parts=(path,), version=3, size_bytes=size,
        metadata=_metadata(shape, name), tensors=tensors,
    )  # fmt: skip


def _read(config: Mapping[str, Any]) -> _Shape:
    kind = next(iter(config["architectures"]))
    architecture = _DENSE.get(kind) or _MIXED.get(kind)
    if architecture is None:
        raise BadInput(
            f"The sizes of {kind} can't be derived from its config.json.",
            "This program does not know how its tensors are laid out in a GGUF.",
            "Give a GGUF file of the model instead.",
        )
    heads, layers = int(config["num_attention_heads"]), int(config["num_hidden_layers"])
    head_length = int(config.get("head_dim") or config["hidden_size"] // heads)
    experts = int(config.get("num_local_experts") or config.get("num_experts") or 0)
    scale = config.get("layernorm_full_attention_alpha")
    kinds = config.get("attn_type_list") or (1,) * layers
    return _Shape(
        architecture=architecture,
        layers=layers,
        width=int(config["hidden_size"]),
        heads=heads,
        kv_heads=int(config.get("num_key_value_heads") or heads),
        head_length=head_length,
        rotated=int(config.get("rotary_dim") or head_length),
        ffn_width=int(config.get("moe_intermediate_size") or config["intermediate_size"]),
        experts=experts if kind in _MIXED else 0,
        experts_used=int(config.get("num_experts_per_tok") or 0),
        vocabulary=int(config["vocab_size"]),
        context_tokens=int(config["max_position_embeddings"]),
        tied=bool(config.get("tie_word_embeddings", False)),
        softmax=tuple(bool(kind) for kind in kinds),
        residual_scale=None if scale is None else float(scale),
        rope_base=float(config.get("rope_theta") or 10_000.0),
    )


def _typed(shape: _Shape, mix: Quantization, facts: MixFacts) -> Iterator[TensorInfo]:
    """Each tensor with the type and size the mix gives it, one after the other in the file."""
    offset = 0
    for name, dimensions in _tensors(shape):
        parts = name.split(".")
        role = parts[2] if parts[0] == "blk" else parts[0]
        plain = len(dimensions) == 1 or role == "ffn_gate_inp"
        layer = int(parts[1]) if parts[0] == "blk" else 0
        type_name = "F32" if plain else mix.type_of(role, layer, dimensions[0], facts)
        sizes = sizes_of(type_name)
        tensor = TensorInfo(name, dimensions, type_name, offset, 0)
        size = tensor.element_count // sizes.block_elements * sizes.block_bytes
        yield TensorInfo(name, dimensions, type_name, offset, size)
        offset += size


def _tensors(shape: _Shape) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names and shapes (the fastest-running dimension first), as llama.cpp has them."""
    yield "token_embd.weight", (shape.width, shape.vocabulary)
    for layer, softmax in enumerate(shape.softmax):
        block = f"blk.{layer}"
        yield f"{block}.attn_norm.weight", (shape.width,)
        yield from _softmax(shape, block) if softmax else _lightning(shape, block)
        yield f"{block}.attn_output.weight", (shape.heads * shape.head_length, shape.width)
        yield f"{block}.ffn_norm.weight", (shape.width,)
        yield from _feed_forward(shape, block)
    yield "output_norm.weight", (shape.width,)
    if not shape.tied:
        yield "output.weight", (shape.width, shape.vocabulary)


def _softmax(shape: _Shape, block: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    widths = {"attn_q": shape.heads, "attn_k": shape.kv_heads, "attn_v": shape.kv_heads}
    for role, heads in widths.items():
        yield f"{block}.{role}.weight", (shape.width, heads * shape.head_length)
        if shape.architecture in _BIASES:
            yield f"{block}.{role}.bias", (heads * shape.head_length,)
    if shape.architecture in _HEAD_NORMS:
        yield f"{block}.attn_q_norm.weight", (shape.head_length,)
        yield f"{block}.attn_k_norm.weight", (shape.head_length,)


def _lightning(shape: _Shape, block: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    inner = shape.heads * shape.head_length
    yield f"{block}.attn_qkv.weight", (shape.width, 3 * inner)
    yield f"{block}.attn_gate.weight", (shape.width, inner)
    yield f"{block}.attn_norm_2.weight", (inner,)


def _feed_forward(shape: _Shape, block: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    width, inner = shape.width, shape.ffn_width
    if not shape.experts:
        yield f"{block}.ffn_gate.weight", (width, inner)
        yield f"{block}.ffn_up.weight", (width, inner)
        yield f"{block}.ffn_down.weight", (inner, width)
        return
    yield f"{block}.ffn_gate_inp.weight", (width, shape.experts)
    yield f"{block}.ffn_gate_exps.weight", (width, inner, shape.experts)
    yield f"{block}.ffn_up_exps.weight", (width, inner, shape.experts)
    yield f"{block}.ffn_down_exps.weight", (inner, width, shape.experts)


def _metadata(shape: _Shape, name: str) -> dict[str, MetaValue]:
    own: dict[str, MetaValue] = {
        "block_count": shape.layers,
        "context_length": shape.context_tokens,
        "embedding_length": shape.width,
        "feed_forward_length": shape.ffn_width,
        "attention.head_count": shape.heads,
        "attention.head_count_kv": shape.kv_heads,
        "attention.key_length": shape.head_length,
        "attention.value_length": shape.head_length,
        "attention.layer_norm_rms_epsilon": _EPSILON,
        "rope.dimension_count": shape.rotated,
        "rope.freq_base": shape.rope_base,
        "vocab_size": shape.vocabulary,
    }
    if shape.experts:
        own |= {"expert_count": shape.experts, "expert_used_count": shape.experts_used}
        if shape.architecture == "qwen3moe":
            own["expert_feed_forward_length"] = shape.ffn_width
    if shape.residual_scale is not None:
        own["residual_scale"] = shape.residual_scale
    if not all(shape.softmax):
        own["attention.recurrent_layers"] = tuple(not softmax for softmax in shape.softmax)
    return {
        "general.architecture": shape.architecture,
        "general.name": name,
        "tokenizer.ggml.tokens": SkippedValue("string", shape.vocabulary),
        **{f"{shape.architecture}.{key}": value for key, value in own.items()},
    }
