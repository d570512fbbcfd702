"""ggml's tensor types and llama.cpp's file types, by number and by name."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

# Known to llama.cpp as of August 2026 but not to version 0.19 of the package `gguf`; they can go
# when it does. Values from ggml.h, ggml-common.h and llama.h.
_NEWER_TYPES: Final = ((42, "Q2_0", 64, 18),)
_NEWER_FILE_TYPES: Final = ((41, "Q2_0"),)

_GUESSED: Final = 1024  # a flag llama.cpp sets beside the number


@dataclass(frozen=True, slots=True)
class TypeSizes:
    """How a type is stored: `block_elements` weights in `block_bytes` bytes."""

    name: str
    block_elements: int
    block_bytes: int


@functools.cache
def types_by_number() -> Mapping[int, TypeSizes]:
    """All tensor types, by the number a file has for them."""
    from gguf.constants import GGML_QUANT_SIZES  # noqa: PLC0415 - imports numpy, 80 ms

    types = {number: TypeSizes(name, *sizes) for number, name, *sizes in _NEWER_TYPES}
    for kind, (elements, size) in GGML_QUANT_SIZES.items():
        types[int(kind)] = TypeSizes(str(kind.name), elements, size)
    return types


def type_sizes(name: str) -> TypeSizes | None:
    """Sizes of the type called `name` ("F16", "Q8_0" ...), None if there is no such type."""
    return next((entry for entry in types_by_number().values() if entry.name == name), None)


@functools.cache
def _file_types() -> Mapping[int, str]:
    from gguf.constants import LlamaFileType  # noqa: PLC0415 - imports numpy, 80 ms

    names = dict(_NEWER_FILE_TYPES)
    for kind in LlamaFileType:
        names[int(kind)] = str(kind.name).removeprefix("MOSTLY_").removeprefix("ALL_")
    return names


def file_type_name(number: int) -> str:
    """Name of a file type ("Q4_K_M" for 15), "" if it is unknown."""
    return _file_types().get(number & ~_GUESSED, "")
