"""A folder with a checkpoint, as the planner sees it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from m1desk.errors import BadInput, ModelFileError
from m1desk.fit import Variant, variant_from_config, variant_from_table
from m1desk.models import read_safetensors_folder

if TYPE_CHECKING:
    from pathlib import Path

    from m1desk.models import SafetensorsModel

_STORED: Final = "BF16"
_BILLION: Final = 1e9


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What of a checkpoint decides how it can be run.

    Attributes:
        folder: where it lies.
        variant: its `parameters` are counted so that two bytes for each are what is loaded.
        architecture: the class in config.json.
        kv_heads: of a layer.
        context_tokens: the longest it was made for; 0 where it does not say.
        is_quantized: stored in fewer bits than it was made with.
    """

    folder: Path
    variant: Variant
    architecture: str
    kv_heads: int
    context_tokens: int
    is_quantized: bool


def read_checkpoint(folder: Path) -> Checkpoint:
    """Read config.json and the files' headers.

    Raises:
        ModelFileError: it is no checkpoint, a broken one, or one that does not tell its layers.
    """
    model = read_safetensors_folder(folder)
    if not model.block_count:
        raise ModelFileError(
            f"M1 Desk can't run {model.name} with vLLM.",
            "Its config.json does not say how many layers its language model has, so what it "
            "takes is unknown.",
            "Choose a checkpoint of a model that writes text, or load a GGUF of this one.",
        )
    stored = model.weights_bytes
    loaded = stored // 2 if model.dtype in {"F32", "float32"} else stored
    return Checkpoint(
        folder=folder,
        variant=replace(_variant(model), parameters=loaded // 2),
        architecture=model.architecture,
        kv_heads=max(1, model.kv_head_count),
        context_tokens=model.context_tokens,
        is_quantized=bool(model.quantization),
    )


def _variant(model: SafetensorsModel) -> Variant:
    """The variant, and where nobody knows the architecture, one of the numbers that are there."""
    try:
        return variant_from_config(model.config, model.name, _STORED)
    except BadInput:
        fields = {
            "layers": model.block_count,
            "width": model.embedding_length,
            "heads": model.head_count,
            "head_length": model.head_length,
            "attention_layers": sum(kind == "softmax" for kind in model.layer_kinds),
            "kv_heads": model.kv_head_count,
            "experts": model.expert_count,
            "experts_used": model.expert_used_count,
            "vocabulary": model.vocabulary_size,
            "dense_parameters": 0.0,
            "expert_parameters": model.expert_bytes / 2 / _BILLION,
            "weights": model.weights_bytes / _BILLION,
            "expert_bytes": model.expert_bytes / _BILLION,
            "embedding_bytes": 0.0,
            "output_bytes": 0.0,
        }
        found = variant_from_table(model.name, _STORED, fields)
        return replace(found, shape=replace(found.shape, architecture=model.architecture))
