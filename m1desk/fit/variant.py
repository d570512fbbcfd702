"""A model in one quantization: what of it decides about memory and speed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from m1desk.fit.imagined import imagined_header
from m1desk.fit.quantizations import quantization as find_quantization
from m1desk.models import GgufHeader

Source = Literal["header", "config", "table"]
"""Where the numbers come from: a GGUF's own table of tensors, a config.json and the engine's mixing
of types, or figures somebody wrote down."""

_F32_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class ModelShape:
    """A model's architecture as far as memory and speed depend on it.

    Attributes:
        width: elements of the hidden state.
        inner: query heads x head length (elements).
        kv_elements: keys and values all layers keep for one token (elements).
        kv_width: keys of the widest layer for one token (elements).
        attention_inner: `inner` summed over the layers with a KV cache.
        state_bytes: of recurrent layers, for one sequence.
        ffn_width: of one expert, where there are experts.
        trained_context_tokens: 0 where unknown.
        tensors: number of tensors; 0 where unknown.
    """

    architecture: str
    layers: int
    width: int
    heads: int
    inner: int
    kv_elements: int
    kv_width: int
    attention_inner: int
    lightning_layers: int
    state_bytes: int
    ffn_width: int
    experts: int
    experts_used: int
    vocabulary: int
    trained_context_tokens: int
    tensors: int = 0

    @property
    def kv_heads(self) -> int:
        """KV heads of a layer, at least 1: one is as long as a query head."""
        return max(1, self.kv_width * self.heads // max(self.inner, 1))

    @classmethod
    def from_header(cls, header: GgufHeader) -> ModelShape:
        """Read it from a GGUF's header."""
        kinds = header.layer_kinds
        inner = header.head_count * header.key_length
        return cls(
            architecture=header.architecture,
            layers=header.block_count,
            width=header.embedding_length,
            heads=header.head_count,
            inner=inner,
            kv_elements=header.kv_cache_bytes_per_token("f32") // _F32_BYTES,
            kv_width=header.kv_head_count * header.key_length,
            attention_inner=inner * kinds.count("softmax"),
            lightning_layers=kinds.count("lightning"),
            state_bytes=header.recurrent_state_bytes or 0,
            ffn_width=_ffn_width(header),
            experts=header.expert_count,
            experts_used=header.expert_used_count,
            vocabulary=header.vocabulary_size,
            trained_context_tokens=header.context_tokens,
            tensors=len(header.tensors),
        )


@dataclass(frozen=True, slots=True)
class Variant:
    """One quantization of one model.

    Attributes:
        model: the model's name.
        name: the quantization's, such as "Q4_K_M".
        weights_bytes: of all tensors.
        expert_bytes: of the routed experts, which may lie in main memory.
        embedding_bytes: of the token embedding, which llama.cpp leaves in main memory; 0 where it
            is also the output.
        output_bytes: of the output matrix.
        parameters: all weights.
        dense_parameters, expert_parameters: that work on every token, the embedding and the output
            left out, and of the experts only those chosen.
        header: the table of tensors, if there is one, for the engine's dry run.
        quality: what the quantization costs in quality, in a few words; may be empty.
    """

    model: str
    name: str
    shape: ModelShape
    weights_bytes: int
    expert_bytes: int
    embedding_bytes: int
    output_bytes: int
    parameters: int
    dense_parameters: int
    expert_parameters: int
    source: Source
    quality: str = ""
    header: GgufHeader | None = None

    @property
    def active_bytes(self) -> int:
        """Bytes of weights read for each token written: of the embedding only one row counts."""
        return self.weights_bytes - self.embedding_bytes - self.expert_bytes + self.active_experts

    @property
    def active_experts(self) -> int:
        """Bytes of the experts that work on one token."""
        if not self.shape.experts:
            return 0
        return self.expert_bytes * self.shape.experts_used // self.shape.experts

    @property
    def bits_per_weight(self) -> float:
        """Bits per weight over all tensors."""
        return 8 * self.weights_bytes / self.parameters if self.parameters else 0.0


def variant_from_header(header: GgufHeader, source: Source = "header") -> Variant:
    """Make a variant of a GGUF's header: exact."""
    shape = ModelShape.from_header(header)
    sizes = {tensor.name: tensor for tensor in header.tensors}
    embedding, output = sizes.get("token_embd.weight"), sizes.get("output.weight")
    head = output or embedding
    tables = sum(table.element_count for table in (embedding, output) if table)
    experts = sum(one.element_count for one in header.tensors if "_exps." in one.name)
    return Variant(
        model=header.name,
        name=header.file_type_name,
        shape=shape,
        weights_bytes=header.weights_bytes,
        expert_bytes=header.expert_bytes,
        embedding_bytes=embedding.size_bytes if embedding and output else 0,
        output_bytes=head.size_bytes if head else 0,
        parameters=header.parameter_count,
        dense_parameters=header.parameter_count - tables - experts,
        expert_parameters=experts * shape.experts_used // shape.experts if shape.experts else 0,
        source=source,
        header=header,
    )


def variant_from_config(config: Mapping[str, Any], model: str, quantization: str) -> Variant:
    """Make the variant that llama.cpp's own mixing would give; raises BadInput.

    Other people's mixes differ: where a real GGUF exists, use its header.
    """
    mix = find_quantization(quantization)
    variant = variant_from_header(imagined_header(config, mix.name, model), "config")
    return replace(variant, name=mix.name, quality=mix.quality)


def _ffn_width(header: GgufHeader) -> int:
    """Width of one feed-forward network, read from its matrices: keys differ between models."""
    for suffix in ("ffn_up_exps.weight", "ffn_gate_up_exps.weight", "ffn_up.weight"):
        widths = [
            one.shape[1]
            for one in header.tensors
            if one.name.endswith(f".{suffix}") and len(one.shape) > 1
        ]
        if widths:
            return max(widths)
    stored = header.metadata.get(f"{header.architecture}.feed_forward_length")
    if isinstance(stored, tuple):
        return max((one for one in stored if isinstance(one, int)), default=0)
    return stored if isinstance(stored, int) else 0


def variant_from_table(model: str, name: str, fields: Mapping[str, float]) -> Variant:
    """Make a variant of figures somebody wrote down, for models with neither header nor config.

    Args:
        model: its name.
        name: the quantization's.
        fields: `layers`, `width`, `heads`, `head_length`, `attention_layers` (those whose cache
            grows), `kv_heads`, `experts`, `experts_used`, `vocabulary`, and in units of 10^9:
            `dense_parameters` (embedding and output left out), `expert_parameters` (of all
            experts), `weights`, `expert_bytes`, `embedding_bytes`, `output_bytes`.
    """
    number = {key: round(value) for key, value in fields.items()}
    giga = {key: round(value * 1e9) for key, value in fields.items()}
    inner = number["heads"] * number["head_length"]
    kv_width = number["kv_heads"] * number["head_length"]
    experts = number["experts"]
    used = giga["expert_parameters"] * number["experts_used"] // experts if experts else 0
    shape = ModelShape(
        architecture="", layers=number["layers"], width=number["width"], heads=number["heads"],
        inner=inner, kv_elements=2 * kv_width * number["attention_layers"], kv_width=kv_width,
        attention_inner=inner * number["attention_layers"], lightning_layers=0,
        state_bytes=0, ffn_width=0, experts=experts, experts_used=number["experts_used"],
        vocabulary=number["vocabulary"], trained_context_tokens=0,
    )  # fmt: skip
    return Variant(
        model=model, name=name, shape=shape,
        weights_bytes=giga["weights"], expert_bytes=giga["expert_bytes"],
        embedding_bytes=giga["embedding_bytes"], output_bytes=giga["output_bytes"],
        parameters=giga["dense_parameters"] + giga["expert_parameters"]
        + 2 * shape.vocabulary * shape.width,
        dense_parameters=giga["dense_parameters"], expert_parameters=used, source="table",
    )  # fmt: skip
