"""Which backend the llama.cpp engine is built for: as asked, as built before, or as found."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

BACKENDS: Final = ("cpu", "cuda", "hip", "vulkan", "metal")

_BASE: Final = "-DLLAVA_BUILD=OFF"  # pictures are not read, and it saves building their half
_ARGUMENTS: Final = {
    "cpu": "-DGGML_METAL=OFF" if platform.system() == "Darwin" else "",
    "cuda": "-DGGML_CUDA=ON",
    "hip": "-DGGML_HIP=ON",
    "vulkan": "-DGGML_VULKAN=ON",
    "metal": "-DGGML_METAL=ON",
}
_NAMES: Final = {
    "cpu": "the CPU",
    "cuda": "NVIDIA GPUs (CUDA)",
    "hip": "AMD GPUs (ROCm)",
    "vulkan": "GPUs through Vulkan",
    "metal": "Apple GPUs (Metal)",
    "custom": "what CMAKE_ARGS says",
}


@dataclass(frozen=True, slots=True)
class Found:
    """What this machine has for building the engine.

    Attributes:
        nvcc: path of the CUDA compiler, or "".
        nvidia_gpu: whether an NVIDIA GPU and its driver are there.
        hipconfig: path of ROCm's hipconfig, or "".
        vulkan_sdk: whether Vulkan's headers and shader compiler are there.
        macos: whether this is macOS.
    """

    nvcc: str = ""
    nvidia_gpu: bool = False
    hipconfig: str = ""
    vulkan_sdk: bool = False
    macos: bool = False


@dataclass(frozen=True, slots=True)
class Build:
    """How the engine is built.

    Attributes:
        backend: one of BACKENDS, or "custom" when the user's CMAKE_ARGS decide.
        cmake_args: the whole of CMAKE_ARGS.
        environment: variables for the compilers, beside CMAKE_ARGS.
    """

    backend: str
    cmake_args: str
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The backend in words."""
        return _NAMES[self.backend]


def find() -> Found:
    """Look for compilers and GPUs; quick enough for every start."""
    return Found(
        nvcc=_program("nvcc", "/usr/local/cuda/bin/nvcc", "/opt/cuda/bin/nvcc"),
        nvidia_gpu=Path("/proc/driver/nvidia/version").exists() or bool(shutil.which("nvidia-smi")),
        hipconfig=_program("hipconfig", "/opt/rocm/bin/hipconfig"),
        vulkan_sdk=bool(shutil.which("glslc"))
        and (bool(os.environ.get("VULKAN_SDK")) or Path("/usr/include/vulkan/vulkan.h").exists()),
        macos=platform.system() == "Darwin",
    )


def choose(asked: str, built: str, cmake_args: str, found: Found) -> Build:
    """The build to make.

    Args:
        asked: the backend the user named, or "".
        built: the backend of the engine that is installed, or "".
        cmake_args: CMAKE_ARGS as the user set it, or "".
        found: what this machine has.
    """
    backend = asked or ("custom" if cmake_args else built if built in BACKENDS else default(found))
    arguments = " ".join(filter(None, (_BASE, _ARGUMENTS.get(backend, ""), cmake_args)))
    return Build(backend, arguments, _compilers(backend, found))


def default(found: Found) -> str:
    """The backend taken when nobody chose: the GPU's, where its compiler is installed too."""
    if found.macos:
        return "metal"
    return "cuda" if found.nvcc and found.nvidia_gpu else "cpu"


def advice(chosen: str, found: Found) -> list[str]:
    """Lines about other backends that this machine could have."""
    lines = []
    if chosen == "cpu" and found.nvidia_gpu and not found.nvcc:
        lines.append(
            "An NVIDIA GPU is here, but no CUDA compiler (nvcc): install NVIDIA's CUDA toolkit, "
            "then: python3 start.py --backend cuda"
        )
    others = {
        "cuda": found.nvidia_gpu and bool(found.nvcc),
        "hip": bool(found.hipconfig),
        "vulkan": found.vulkan_sdk,
    }
    lines += [
        f"It could be built for {_NAMES[name]} too: python3 start.py --backend {name}"
        for name, possible in others.items()
        if possible and name != chosen
    ]
    return lines


def cpu_key() -> str:
    """The instruction sets the compiler uses here; built for another CPU, it may crash."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.machine()
    flags = next((line for line in text.splitlines() if line.startswith(("flags", "Features"))), "")
    kinds = ("avx", "amx", "fma", "f16c", "bmi", "sve", "asimd", "i8mm", "bf16")
    return " ".join([platform.machine(), *sorted(f for f in flags.split() if f.startswith(kinds))])


def _program(name: str, *places: str) -> str:
    """Path of a program on PATH or at one of its usual places, or ""."""
    found = shutil.which(name)
    return found or next((place for place in places if os.access(place, os.X_OK)), "")


def _compilers(backend: str, found: Found) -> dict[str, str]:
    """Variables that lead CMake to a backend's compiler where it is not on PATH."""
    if backend == "cuda" and found.nvcc:
        return {"CUDACXX": found.nvcc}
    if backend == "hip" and found.hipconfig:  # as llama.cpp's own build instructions have it
        return {
            "HIPCXX": f"{_ask(found.hipconfig, '-l')}/clang",
            "HIP_PATH": _ask(found.hipconfig, "-R"),
        }
    return {}


def _ask(*argv: str) -> str:
    """What a program prints."""
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout.strip()
