"""Which model architectures the engine at hand can load; the engine's own library is asked."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from m1desk.errors import ModelFileError
from m1desk.models.header import MINIMAX_01

if TYPE_CHECKING:
    from m1desk.models.header import GgufHeader

_LIBRARIES: Final = ("libllama.so", "libllama.dylib", "llama.dll")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{1,60}")


def engine_version() -> str:
    """Name and version of the llama.cpp engine, as told to users."""
    try:
        return f"llama-cpp-python {importlib.metadata.version('llama-cpp-python')}"
    except importlib.metadata.PackageNotFoundError:
        return "llama.cpp"


def is_known_architecture(name: str) -> bool:
    """Whether the engine has `name` among its architectures.

    llama.cpp has no call that tells, but its library holds each name as a string that ends in a
    zero byte. A chance hit is possible and harmless: the engine itself has the last word. Without
    a library the names in the package `gguf` serve, which are older.
    """
    if not _NAME.fullmatch(name):
        return False
    library = _engine_library()
    if library is not None:
        return name.encode() + b"\0" in library.read_bytes()
    from gguf.constants import MODEL_ARCH_NAMES  # noqa: PLC0415 - imports numpy, 80 ms

    return name == MINIMAX_01 or name in MODEL_ARCH_NAMES.values()


def check_loadable(header: GgufHeader) -> None:
    """Raise ModelFileError when the engine can't load this model and answer with it."""
    name = header.architecture
    if not name:
        raise ModelFileError(
            f"{header.path.name} does not say what kind of model it holds.",
            "The key general.architecture is missing.",
            "Fetch another GGUF of this model.",
        )
    if name == "clip" or header.kind != "model":
        raise ModelFileError(
            f"{header.path.name} is not a model that can answer by itself.",
            f"It is an addition to one (architecture {name}, type {header.kind}).",
            "Choose the model's main file.",
        )
    if not header.tensors:
        raise ModelFileError(
            f"{header.path.name} holds no weights.",
            "Such files carry a vocabulary, for tests of engines.",
            "Choose the model's main file.",
        )
    if is_known_architecture(name):
        return
    if name.startswith("minimax"):
        raise ModelFileError(
            f'{header.path.name} has the architecture "{name}", which the engine can\'t load.',
            "GGUF files of MiniMax-Text-01 and MiniMax-M1 that were made with the early fork of"
            f' llama.cpp do not work; llama.cpp itself calls this architecture "{MINIMAX_01}".',
            "Fetch a GGUF made with llama.cpp of August 2026 (b10437) or later.",
        )
    raise ModelFileError(
        f'{header.path.name} has the architecture "{name}", which the engine can\'t load.',
        f"{engine_version()} does not know it; the model may be newer than the engine.",
        "Update M1 Desk, or choose another model.",
    )


def _engine_library() -> Path | None:
    """Find llama.cpp's library without loading it."""
    spec = importlib.util.find_spec("llama_cpp")
    packages = spec.submodule_search_locations if spec is not None else None
    chosen = os.environ.get("LLAMA_CPP_LIB_PATH")  # llama-cpp-python's own variable
    folders = [Path(chosen)] if chosen else [Path(package) / "lib" for package in packages or ()]
    for folder in folders:
        for name in _LIBRARIES:
            if (folder / name).is_file():
                return folder / name
    return None
