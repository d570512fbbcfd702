"""How each layer of a model looks back, by the config.json of its checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from m1desk.models.header import LayerKind

# The words that configs of transformers use for a layer, in `layer_types` and its older kin.
_WORDS: Final[Mapping[str, LayerKind]] = {
    "full_attention": "softmax",
    "sliding_attention": "softmax",
    "chunked_attention": "softmax",
    "attention": "softmax",
    "hybrid": "softmax",
    "linear_attention": "recurrent",
    "mamba": "recurrent",
    "mamba2": "recurrent",
    "recurrent": "recurrent",
    "conv": "recurrent",
    "mlp": "none",
    "moe": "none",
}
_LISTS: Final = ("layer_types", "layers_block_type", "block_types")
_LETTERS: Final[Mapping[str, LayerKind]] = {"M": "recurrent", "*": "softmax", "-": "none"}
"""Of `hybrid_override_pattern`, which Nemotron-H uses; "E" is a layer of experts."""


def layer_kinds(config: Mapping[str, Any], count: int) -> tuple[LayerKind, ...]:
    """The kind of each of `count` layers; softmax where the config says nothing."""
    listed = _minimax(config) or _listed(config) or _pattern(config) or _periodic(config, count)
    missing: list[LayerKind] = ["softmax"] * (count - len(listed))
    return (*listed[:count], *missing)


def _minimax(config: Mapping[str, Any]) -> tuple[LayerKind, ...]:
    """MiniMax-Text-01 and M1: 0 is lightning attention, 1 softmax."""
    marks = config.get("attn_type_list")
    if not isinstance(marks, list) or "minimax" not in str(config.get("model_type")):
        return ()
    if str(config.get("model_type")) == "minimax_m2":  # every layer of M2 is softmax
        return ()
    return tuple("softmax" if mark == 1 else "lightning" for mark in marks)


def _listed(config: Mapping[str, Any]) -> tuple[LayerKind, ...]:
    lightning = config.get("model_type") == "minimax"
    for key in _LISTS:
        words = config.get(key)
        if isinstance(words, list) and words:
            kinds = (_WORDS.get(str(word), "softmax") for word in words)
            return tuple("lightning" if lightning and k == "recurrent" else k for k in kinds)
    return ()


def _pattern(config: Mapping[str, Any]) -> tuple[LayerKind, ...]:
    letters = config.get("hybrid_override_pattern")
    if not isinstance(letters, str):
        return ()
    return tuple(_LETTERS.get(letter, "none") for letter in letters)


def _periodic(config: Mapping[str, Any], count: int) -> tuple[LayerKind, ...]:
    """Every n-th layer attends in full, as older configs of Qwen3-Next say."""
    interval = config.get("full_attention_interval")
    if not isinstance(interval, int) or interval < 1:
        return ()
    return tuple("softmax" if (n + 1) % interval == 0 else "recurrent" for n in range(count))
