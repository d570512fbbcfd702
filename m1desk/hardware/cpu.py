"""The processor: its model, its cores, and the instruction sets that matter to the engine."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from m1desk.hardware.cgroup import group_cpus
from m1desk.hardware.machine import Cpu
from m1desk.hardware.sources import Sources
from m1desk.hardware.sysfs import read_text

_LINUX_FLAGS: Final[Mapping[str, str]] = {
    "sse4_2": "SSE4_2", "avx": "AVX", "f16c": "F16C", "fma": "FMA", "bmi2": "BMI2",
    "avx2": "AVX2", "avx_vnni": "AVX_VNNI", "avx512f": "AVX512", "avx512vbmi": "AVX512_VBMI",
    "avx512_vnni": "AVX512_VNNI", "avx512_bf16": "AVX512_BF16", "avx512_fp16": "AVX512_FP16",
    "amx_tile": "AMX_TILE", "amx_int8": "AMX_INT8", "amx_bf16": "AMX_BF16",
    "asimd": "NEON", "asimdhp": "FP16", "asimddp": "DOTPROD", "i8mm": "MATMUL_INT8",
    "bf16": "BF16", "sve": "SVE", "sve2": "SVE2", "sme": "SME",
}  # fmt: skip
"""The kernel's flags in /proc/cpuinfo, and the engine's names for them."""

_MACOS_FEATURES: Final[Mapping[str, str]] = {
    "hw.optional.arm.FEAT_FP16": "FP16", "hw.optional.arm.FEAT_DotProd": "DOTPROD",
    "hw.optional.arm.FEAT_I8MM": "MATMUL_INT8", "hw.optional.arm.FEAT_BF16": "BF16",
    "hw.optional.arm.FEAT_SME": "SME", "hw.optional.avx2_0": "AVX2",
    "hw.optional.avx512f": "AVX512",
}  # fmt: skip

_WINDOWS_FEATURES: Final[Mapping[int, str]] = {
    38: "SSE4_2", 39: "AVX", 40: "AVX2", 41: "AVX512", 19: "NEON", 43: "DOTPROD",
}  # fmt: skip
"""PF_..._AVAILABLE of IsProcessorFeaturePresent."""


def read_cpu(sources: Sources) -> Cpu:
    """The processor; what can't be found out is "unknown", None, or left out."""
    physical, logical, allowed = sources.core_counts()
    if sources.platform == "linux":
        model, sets = _linux(sources.root)
        quota = group_cpus(sources.root)
    else:
        model, sets = _macos(sources) if sources.platform == "darwin" else _windows()
        quota = None
    usable = allowed if quota is None else min(allowed, math.ceil(quota))
    return Cpu(model or "unknown processor", physical, logical, max(1, usable), sets)


def _linux(root: Path) -> tuple[str, tuple[str, ...]]:
    fields: dict[str, str] = {}
    for line in read_text(root / "proc/cpuinfo").splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    flags = set((fields.get("flags") or fields.get("Features") or "").split())
    sets = tuple(name for flag, name in _LINUX_FLAGS.items() if flag in flags)
    # ARM kernels name no model; the board's maker does.
    model = fields.get("model name") or read_text(root / "proc/device-tree/model")
    if not model and "CPU part" in fields:
        model = f"ARM processor (part {fields['CPU part']} of {fields.get('CPU implementer')})"
    return model, sets


def _macos(sources: Sources) -> tuple[str, tuple[str, ...]]:
    model = sources.sysctl("machdep.cpu.brand_string")
    sets = [name for key, name in _MACOS_FEATURES.items() if sources.sysctl(key) == "1"]
    return model, ("NEON", *sets) if model.startswith("Apple") else tuple(sets)


def _windows() -> tuple[str, tuple[str, ...]]:
    if sys.platform == "win32":
        import ctypes  # noqa: PLC0415 - on Windows only
        import winreg  # noqa: PLC0415 - on Windows only

        place = r"HARDWARE\DESCRIPTION\System\CentralProcessor\0"
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, place) as key:
            model = str(winreg.QueryValueEx(key, "ProcessorNameString")[0]).strip()
        present = ctypes.windll.kernel32.IsProcessorFeaturePresent
        return model, tuple(name for code, name in _WINDOWS_FEATURES.items() if present(code))
    return "", ()
