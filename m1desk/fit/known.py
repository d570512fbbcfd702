"""Models whose architecture this program knows, so that all their variants can be planned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from m1desk.errors import BadInput
from m1desk.fit.data import read_resource
from m1desk.fit.quantizations import quantizations
from m1desk.fit.variant import Variant, variant_from_config
from m1desk.store import resource_folder


def known_models() -> tuple[str, ...]:
    """Names that `known_variants` takes."""
    return tuple(name for entry in _entries() for name in entry["names"])


def known_variants(name: str, chosen: Sequence[str] = ()) -> tuple[Variant, ...]:
    """The variants of a known model, by its name or repository, from the largest to the smallest.

    Args:
        name: such as "MiniMax-M1-80k", in any case, with or without its maker.
        chosen: quantizations; empty: all.

    Raises:
        BadInput: an unknown model or quantization.
    """
    wanted = name.rsplit("/", maxsplit=1)[-1].casefold()
    for entry in _entries():
        proper = next((one for one in entry["names"] if one.casefold() == wanted), None)
        if proper is not None:
            names = chosen or tuple(quantizations())
            return tuple(_variant(entry, proper, quantization) for quantization in names)
    raise BadInput(
        f'The architecture of "{name}" is not known.',
        f"Known by name: {', '.join(known_models())}.",
        "Give a GGUF file, or owner/name of a repository with GGUF files.",
    )


def is_known(name: str) -> bool:
    """Whether `known_variants` takes this name."""
    wanted = name.rsplit("/", maxsplit=1)[-1].casefold()
    return wanted in {one.casefold() for one in known_models()}


def _entries() -> list[Mapping[str, Any]]:
    paths = sorted((resource_folder() / "models").glob("*.json"))
    return [read_resource(f"models/{path.name}") for path in paths]


def _variant(entry: Mapping[str, Any], name: str, quantization: str) -> Variant:
    variant = variant_from_config(entry["config"], name, quantization)
    longest = entry.get("longest_context_tokens")
    if longest is None:
        return variant
    return replace(variant, shape=replace(variant.shape, trained_context_tokens=int(longest)))
