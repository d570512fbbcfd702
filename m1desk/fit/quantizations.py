"""Which type each tensor gets in a quantization: the engine's own mixes, as data."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from m1desk.errors import BadInput
from m1desk.fit.data import read_resource
from m1desk.models.ggml_types import TypeSizes, type_sizes


@dataclass(frozen=True, slots=True)
class MixFacts:
    """What of a model decides about its mix.

    Attributes:
        layers: number of layers.
        experts: in a layer, 0 for a dense model.
        group: query heads that share one KV head.
        tied: the output is the token embedding; the file has no output matrix of its own.
    """

    layers: int
    experts: int
    group: int
    tied: bool = False


@dataclass(frozen=True, slots=True)
class Quantization:
    """A named mix.

    Attributes:
        name: the engine's name, such as "Q4_K_M".
        quality: what it costs in quality, in a few words.
        needs_importance_matrix: the engine refuses to make it without one.
        default: type of every matrix that no rule names.
        output, token_embd: types of the two large tables; None: the default.
        rules: by role ("attn_v", "attn_k", "attn_q", "attn_output", "ffn_down"): pairs of a
            condition and a type; the first that holds decides, and "" always holds.
    """

    name: str
    quality: str
    default: str
    output: str | None = None
    token_embd: str | None = None
    needs_importance_matrix: bool = False
    rules: Mapping[str, tuple[tuple[str, str], ...]] | None = None

    def type_of(self, role: str, layer: int, row: int, facts: MixFacts) -> str:
        """Name of the type a matrix gets.

        Args:
            role: what the tensor's name says between the layer and ".weight".
            layer: from 0.
            row: elements in a row; where the type's blocks don't divide it, another type is taken.
            facts: of the model.
        """
        is_output = role == "output" or (role == "token_embd" and facts.tied)
        if is_output and row % sizes_of(self.default).block_elements:
            return "Q8_0" if row % sizes_of("Q8_0").block_elements == 0 else "F16"
        return _fitting(self._wanted(role, layer, facts), row)

    def _wanted(self, role: str, layer: int, facts: MixFacts) -> str:
        if role == "output" or (role == "token_embd" and facts.tied):
            return self.output or self.default
        if role == "token_embd":
            return self.token_embd or self.default
        for condition, type_name in (self.rules or {}).get(_category(role), ()):
            if _holds(condition, layer, facts):
                return type_name
        return self.default


@functools.cache
def quantizations() -> Mapping[str, Quantization]:
    """All mixes by name, from the largest to the smallest."""
    data = read_resource("quantizations.json")["quantizations"]
    return {name: _read(name, fields) for name, fields in data.items()}


def quantization(name: str) -> Quantization:
    """The mix called `name`, in any case; raises BadInput for an unknown one."""
    found = quantizations().get(name.upper())
    if found is None:
        raise BadInput(
            f'"{name}" is not a quantization this program knows.',
            "",
            f"Choose one of {', '.join(quantizations())}.",
        )
    return found


@functools.cache
def sizes_of(type_name: str) -> TypeSizes:
    """How a ggml type is stored; raises BadInput for an unknown name."""
    sizes = type_sizes(type_name.upper())
    if sizes is None:
        raise BadInput(f'"{type_name}" is not a type of tensors.')
    return sizes


def _read(name: str, fields: Mapping[str, Any]) -> Quantization:
    plain = {"quality", "default", "output", "token_embd", "needs_importance_matrix"}
    rules = {
        role: tuple((condition, type_name) for condition, type_name in pairs)
        for role, pairs in fields.items()
        if role not in plain
    }
    return Quantization(
        name=name, rules=rules, **{key: fields[key] for key in plain if key in fields}
    )


def _category(role: str) -> str:
    """The engine counts fused query-key-value matrices as values, and experts' by their place."""
    if role in {"attn_qkv", "attn_kv_b"}:
        return "attn_v"
    return role.removesuffix("_shexp").removesuffix("_exps")


def _holds(condition: str, layer: int, facts: MixFacts) -> bool:
    eighth = facts.layers // 8
    conditions = {
        "": True,
        "experts_4": facts.experts >= 4,
        "experts_8": facts.experts == 8,
        "gqa_4": facts.group >= 4,
        "first_2": layer < 2,
        "first_4": layer < 4,
        "first_eighth": layer < eighth,
        "first_sixteenth": layer < facts.layers // 16,
        "more_bits": layer < eighth or layer >= 7 * facts.layers // 8 or (layer - eighth) % 3 == 2,
    }
    return conditions[condition]


@functools.cache
def _fallbacks() -> Mapping[str, str]:
    names: Mapping[str, str] = read_resource("quantizations.json")["fallbacks"]
    return names


def _fitting(type_name: str, row: int) -> str:
    for candidate in (type_name, _fallbacks().get(type_name, type_name)):
        if row % sizes_of(candidate).block_elements == 0:
            return candidate
    return "F16"
