"""What a model file is: the GGUF header, its answers, and the model files in a folder."""

from __future__ import annotations

from m1desk.models.architectures import (
    check_loadable,
    engine_version,
    is_known_architecture,
)
from m1desk.models.gguf import read_gguf_header
from m1desk.models.header import GgufHeader, LayerKind, MetaValue, SkippedValue, TensorInfo
from m1desk.models.library import LocalModel, scan_models

__all__ = [
    "GgufHeader",
    "LayerKind",
    "LocalModel",
    "MetaValue",
    "SkippedValue",
    "TensorInfo",
    "check_loadable",
    "engine_version",
    "is_known_architecture",
    "read_gguf_header",
    "scan_models",
]
