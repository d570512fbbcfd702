"""Experts that stay in main memory while the rest of their layer lies on a GPU."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any, Final

from m1desk.llama_worker.devices import library_folder, load_library

_EXPERTS: Final = r"ffn_(up|down|gate|gate_up)_(ch|)exps\."
"""The matrices of routed experts, by llama.cpp's names; those of shared experts end in shexp."""


class _Override(ctypes.Structure):
    """`struct llama_model_tensor_buft_override`."""

    _fields_ = (("pattern", ctypes.c_char_p), ("buffer_type", ctypes.c_void_p))


def experts_pattern(layers: Sequence[int]) -> str:
    """The regular expression (ECMAScript's and Python's) of all experts of these layers."""
    return rf"^blk\.({'|'.join(str(layer) for layer in layers)})\.{_EXPERTS}"


def experts_in_main_memory(layers: Sequence[int]) -> Any:  # noqa: ANN401 - ctypes has no types
    """Make what `llama_model_params.tensor_buft_overrides` points to, for these layers' experts.

    It must live until the model is loaded. None where there are no layers.

    Raises:
        OSError, AttributeError: the engine's library is not what it should be.
    """
    if not layers:
        return None
    place = load_library(library_folder(), "ggml-base").ggml_backend_cpu_buffer_type
    place.restype, place.argtypes = ctypes.c_void_p, ()
    # the list ends with an entry without a pattern
    return (_Override * 2)(_Override(experts_pattern(layers).encode(), place()), _Override())
