"""Small random models that real llama.cpp loads: for tests, self-tests and measuring speed.

Two kinds of weights: seeded ones (the same on every machine, whatever numpy's version) for models
of a few hundred kilobytes, and random Q8_0 blocks for models of a real size, made at the speed of
the disk. Neither says anything sensible; both run through every part of the engine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from m1desk.llama_worker.tiny_vocabulary import (
    TinyVocabulary,
    llama_vocabulary,
    minimax_vocabulary,
)

if TYPE_CHECKING:
    from pathlib import Path

Architecture = Literal["llama", "minimax-01"]
Quantization = Literal["F32", "F16", "Q8_0", "Q5_0", "Q4_0"]
TensorRole = Literal["matrix", "router", "norm", "embedding", "output"]

M1_RESIDUAL_SCALE: Final = 3.5565588200778455
"""`layernorm_*_alpha` of MiniMax-M1's config.json."""

_QUANTIZED_BLOCK: Final = 32
"""Weights per block of every quantized type above: rows must be a multiple of it."""


@dataclass(frozen=True, slots=True)
class TinyModelSpec:
    """What a generated model is. The defaults make about 200 thousand parameters.

    Attributes:
        architecture: "llama" (dense, softmax attention) or "minimax-01" (MiniMax-M1: lightning
            attention, every `full_attention_interval`-th layer softmax, experts).
        seed: names the weights; two files of equal specs are equal byte for byte.
        quantization: type of the matrices; norms and routers stay F32.
        layers, width, heads, kv_heads, head_dim, ffn_width: the usual shape; `ffn_width` is one
            expert's where there are experts.
        experts, experts_used: of minimax-01 only.
        full_attention_interval: of minimax-01 only; M1 itself has 8.
        rope_dimension: how many dimensions of a head are rotated; None: all for llama, half for
            minimax-01, as M1 does.
        rope_base: base of the rotation's frequencies.
        context_tokens: the context length the model says it was trained for.
        vocabulary_tokens: pads the vocabulary with unused tokens to this size; 0: no padding.
        name: `general.name`.
        chat_template: Jinja source; None: the architecture's own; "": the file has none.
        readable: with True only printable ASCII tokens get likely, so that answers can be read
            and no special token ends them; with False every token is equally likely.
        random_blocks: fill Q8_0 matrices with random blocks instead of seeded weights: fast, for
            big models.
        script: pieces of text, each different, that the model says one after the other when a
            prompt ends in a newline (as prompts of both templates do), and then ends its answer.
            A piece is one token. For showing and testing what random text can't: a natural end,
            a chain of thought ("<think>" and "</think>" may be pieces), text for human eyes.
    """

    architecture: Architecture = "llama"
    seed: int = 1
    quantization: Quantization = "F32"
    layers: int = 4
    width: int = 64
    heads: int = 4
    kv_heads: int = 2
    head_dim: int = 16
    ffn_width: int = 128
    experts: int = 4
    experts_used: int = 2
    full_attention_interval: int = 4
    rope_dimension: int | None = None
    rope_base: float = 10_000.0
    context_tokens: int = 4096
    vocabulary_tokens: int = 0
    name: str = "tiny"
    chat_template: str | None = None
    readable: bool = True
    random_blocks: bool = False
    script: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.heads % self.kv_heads:
            raise ValueError(f"{self.heads} heads can't share {self.kv_heads} KV heads.")
        if self.is_minimax and (self.layers < 2 or self.heads & (self.heads - 1)):
            raise ValueError("minimax-01 needs two layers or more and a power of two of heads.")
        rows = (self.width, self.ffn_width, self.heads * self.head_dim)
        if self.quantization not in {"F32", "F16"} and any(n % _QUANTIZED_BLOCK for n in rows):
            raise ValueError(f"{self.quantization} needs rows of a multiple of 32, not {rows}.")
        if self.random_blocks and (self.quantization != "Q8_0" or self.script):
            raise ValueError("Random blocks are made for Q8_0 only, and say no script.")
        if len(set(self.script)) < len(self.script):
            raise ValueError("Every piece of a script must be different.")

    @property
    def is_minimax(self) -> bool:
        """True for the architecture of MiniMax-M1."""
        return self.architecture == "minimax-01"

    @property
    def rotated_dimensions(self) -> int:
        """How many dimensions of a head are rotated."""
        if self.rope_dimension is not None:
            return self.rope_dimension
        return self.head_dim // 2 if self.is_minimax else self.head_dim

    def is_recurrent(self, layer: int) -> bool:
        """Return whether `layer`, counted from 0, is a lightning attention layer."""
        return self.is_minimax and (layer + 1) % self.full_attention_interval != 0

    def vocabulary(self) -> TinyVocabulary:
        """Make the vocabulary, with the script's pieces, padded to `vocabulary_tokens`."""
        make = minimax_vocabulary if self.is_minimax else llama_vocabulary
        missing = max(0, self.vocabulary_tokens - len(make(self.script).tokens))
        return make(self.script, tuple(f"<unused_{number}>" for number in range(missing)))


@dataclass(frozen=True, slots=True)
class TensorPlan:
    """One tensor of a model file.

    Attributes:
        name: llama.cpp's name.
        shape: rows before columns, as numpy and PyTorch have it (GGUF lists it reversed).
        role: how it is filled, and whether it is quantized.
    """

    name: str
    shape: tuple[int, ...]
    role: TensorRole = "matrix"


CALIBRATION_MODEL: Final = TinyModelSpec(
    name="calibration", quantization="Q8_0", random_blocks=True,
    layers=6, width=1024, heads=16, kv_heads=4, head_dim=64, ffn_width=2816, context_tokens=8192,
)  # fmt: skip
"""About 68 million parameters (72 MB): big enough to leave the caches of a desktop processor."""

BENCHMARK_MODEL: Final = TinyModelSpec(
    name="benchmark-350m", quantization="Q8_0", random_blocks=True,
    layers=30, width=1024, heads=16, kv_heads=4, head_dim=64, ffn_width=2816,
    context_tokens=32_768, vocabulary_tokens=8192,
)  # fmt: skip
"""About 350 million parameters (370 MB), for comparing engines."""


def write_tiny_model(path: Path, spec: TinyModelSpec | None = None) -> Path:
    """Write the model of `spec` (the default spec when None) as GGUF to `path`; returns `path`.

    The file appears whole or not at all: it is written beside its place and then moved there.

    Raises:
        OSError: the folder can't be written to, or the disk is full.
    """
    from m1desk.llama_worker.tiny_writer import write_gguf  # noqa: PLC0415 - numpy, gguf are slow

    write_gguf(path, spec or TinyModelSpec())
    return path


def write_calibration_model(path: Path) -> Path:
    """Write the model that speed is measured with (72 MB) to `path`; returns `path`.

    Raises:
        OSError: the folder can't be written to, or the disk is full.
    """
    return write_tiny_model(path, CALIBRATION_MODEL)


def plan_tensors(spec: TinyModelSpec) -> tuple[TensorPlan, ...]:
    """Every tensor of the model, in the order of the file."""
    vocabulary = len(spec.vocabulary().tokens)
    plans = [TensorPlan("token_embd.weight", (vocabulary, spec.width), "embedding")]
    for layer in range(spec.layers):
        plans += _attention_tensors(spec, layer)
        plans += _feed_forward_tensors(spec, f"blk.{layer}")
    plans.append(TensorPlan("output_norm.weight", (spec.width,), "norm"))
    plans.append(TensorPlan("output.weight", (vocabulary, spec.width), "output"))
    return tuple(plans)


def _attention_tensors(spec: TinyModelSpec, layer: int) -> list[TensorPlan]:
    block, inner, width = f"blk.{layer}", spec.heads * spec.head_dim, spec.width
    plans = [TensorPlan(f"{block}.attn_norm.weight", (width,), "norm")]
    if spec.is_recurrent(layer):
        plans += [
            TensorPlan(f"{block}.attn_qkv.weight", (3 * inner, width)),
            TensorPlan(f"{block}.attn_gate.weight", (inner, width)),
            TensorPlan(f"{block}.attn_norm_2.weight", (inner,), "norm"),
        ]
    else:
        shared = spec.kv_heads * spec.head_dim
        plans += [
            TensorPlan(f"{block}.attn_q.weight", (inner, width)),
            TensorPlan(f"{block}.attn_k.weight", (shared, width)),
            TensorPlan(f"{block}.attn_v.weight", (shared, width)),
        ]
    return [*plans, TensorPlan(f"{block}.attn_output.weight", (width, inner))]


def _feed_forward_tensors(spec: TinyModelSpec, block: str) -> list[TensorPlan]:
    width, inner = spec.width, spec.ffn_width
    norm = TensorPlan(f"{block}.ffn_norm.weight", (width,), "norm")
    if not spec.is_minimax:
        return [
            norm,
            TensorPlan(f"{block}.ffn_gate.weight", (inner, width)),
            TensorPlan(f"{block}.ffn_up.weight", (inner, width)),
            TensorPlan(f"{block}.ffn_down.weight", (width, inner)),
        ]
    return [
        norm,
        TensorPlan(f"{block}.ffn_gate_inp.weight", (spec.experts, width), "router"),
        TensorPlan(f"{block}.ffn_gate_exps.weight", (spec.experts, inner, width)),
        TensorPlan(f"{block}.ffn_up_exps.weight", (spec.experts, inner, width)),
        TensorPlan(f"{block}.ffn_down_exps.weight", (spec.experts, width, inner)),
    ]
