"""The devices llama.cpp sees, as one JSON object: `python -m m1desk.llama_worker.devices`.

Run as a child process: loading a GPU's driver may crash, hang or write to standard output.
"""

from __future__ import annotations

import ctypes
import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any, Final, TypedDict

_KINDS: Final = ("cpu", "gpu", "igpu", "accel", "meta")  # enum ggml_backend_dev_type, in order


class DeviceEntry(TypedDict):
    """One device; sizes in bytes, `pci_id` is "0000:01:00.0" or None."""

    name: str
    description: str
    kind: str
    free_bytes: int
    total_bytes: int
    pci_id: str | None
    backend: str


class _Capabilities(ctypes.Structure):
    _fields_ = (
        ("is_async", ctypes.c_bool),
        ("host_buffer", ctypes.c_bool),
        ("buffer_from_host_ptr", ctypes.c_bool),
        ("events", ctypes.c_bool),
        ("mmap_support", ctypes.c_bool),
    )


class _Properties(ctypes.Structure):
    """`struct ggml_backend_dev_props`, with room at its end for fields that later versions add."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("description", ctypes.c_char_p),
        ("memory_free", ctypes.c_size_t),
        ("memory_total", ctypes.c_size_t),
        ("type", ctypes.c_int),
        ("device_id", ctypes.c_char_p),
        ("capabilities", _Capabilities),
        ("reserve", ctypes.c_char * 256),
    )


class _Ggml:
    """The two libraries that hold the device functions, loaded as llama-cpp-python would."""

    def __init__(self, folder: Path) -> None:
        base, registry = load_library(folder, "ggml-base"), load_library(folder, "ggml")
        self.count = registry.ggml_backend_dev_count
        self.count.restype = ctypes.c_size_t
        self.get = _function(registry.ggml_backend_dev_get, ctypes.c_void_p, ctypes.c_size_t)
        self.registry = _function(
            base.ggml_backend_dev_backend_reg, ctypes.c_void_p, ctypes.c_void_p
        )
        self.registry_name = _function(base.ggml_backend_reg_name, ctypes.c_char_p, ctypes.c_void_p)
        self.properties = _function(
            base.ggml_backend_dev_get_props, None, ctypes.c_void_p, ctypes.POINTER(_Properties)
        )

    def describe(self, index: int) -> DeviceEntry:
        """The device at `index` of the engine's list."""
        device, found = self.get(index), _Properties()
        self.properties(device, ctypes.byref(found))
        return {
            "name": _text(found.name),
            "description": _text(found.description),
            "kind": _KINDS[found.type] if 0 <= found.type < len(_KINDS) else "unknown",
            "free_bytes": found.memory_free,
            "total_bytes": found.memory_total,
            "pci_id": _text(found.device_id).lower() or None,
            "backend": _text(self.registry_name(self.registry(device))),
        }


def library_folder() -> Path:
    """The folder of the engine's shared libraries.

    The package is found but not imported: importing it would load the whole of llama.cpp.

    Raises:
        FileNotFoundError: llama-cpp-python is not installed.
    """
    override = os.environ.get("LLAMA_CPP_LIB_PATH")  # llama-cpp-python's own variable
    if override:
        return Path(override)
    found = importlib.util.find_spec("llama_cpp")
    if found is None or found.origin is None:
        raise FileNotFoundError("llama-cpp-python is not installed")
    return Path(found.origin).parent / "lib"


def enumerate_devices() -> list[DeviceEntry]:
    """All devices of the engine, in its order; the CPU is one of them.

    Raises:
        OSError: the engine's libraries are missing or can't be loaded.
        AttributeError: they are of a version without these functions.
    """
    ggml = _Ggml(library_folder())
    return [ggml.describe(index) for index in range(ggml.count())]


def main() -> int:
    """Prints `{"devices": [...]}`, or `{"error": "..."}` and ends with 1."""
    try:
        answer: dict[str, object] = {"devices": enumerate_devices()}
    except (OSError, AttributeError) as error:
        answer = {"error": str(error)}
    sys.stdout.write(f"\n{json.dumps(answer)}\n")
    return 1 if "error" in answer else 0


def load_library(folder: Path, name: str) -> ctypes.CDLL:
    """Load one of the engine's libraries ("ggml-base"); one that is there already is not twice.

    Raises:
        OSError: it is missing or can't be loaded.
    """
    if sys.platform == "win32":
        os.add_dll_directory(str(folder))
        for variable in ("CUDA_PATH", "HIP_PATH"):
            if variable in os.environ:
                os.add_dll_directory(str(Path(os.environ[variable]) / "bin"))
        names = (f"{name}.dll", f"lib{name}.dll")
    else:
        names = (f"lib{name}.so", f"lib{name}.dylib")
    for candidate in names:
        if (folder / candidate).exists():
            return ctypes.CDLL(str(folder / candidate))
    raise FileNotFoundError(f"the engine's library {name} is not in {folder}")


def _function(function: Any, result: Any, *arguments: Any) -> Any:  # noqa: ANN401 - ctypes has no types
    function.restype, function.argtypes = result, arguments
    return function


def _text(value: bytes | None) -> str:
    return value.decode("utf-8", errors="replace") if value else ""


if __name__ == "__main__":
    sys.exit(main())
