"""A running model behind one face: the llama.cpp child under its guard, the client, calibration.

Names are imported when they are first asked for: the guard is a module of this package, and has
to start without waiting for an HTTP library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from m1desk.engines.calibration import (
        CalibrationProgress,
        EngineCalibration,
        calibrate,
        remembered_calibration,
    )
    from m1desk.engines.client import EngineClient
    from m1desk.engines.llama import LlamaEngine
    from m1desk.engines.metrics import EngineMetrics
    from m1desk.engines.monitor import EngineMonitor, EngineRates
    from m1desk.engines.progress import Patience
    from m1desk.engines.runs import EndedProcess, sweep_leftovers
    from m1desk.engines.status import (
        Endpoint,
        EngineFailure,
        EngineState,
        EngineStatus,
        LlamaSettings,
    )

__all__ = [
    "CalibrationProgress",
    "EndedProcess",
    "Endpoint",
    "EngineCalibration",
    "EngineClient",
    "EngineFailure",
    "EngineMetrics",
    "EngineMonitor",
    "EngineRates",
    "EngineState",
    "EngineStatus",
    "LlamaEngine",
    "LlamaSettings",
    "Patience",
    "calibrate",
    "remembered_calibration",
    "sweep_leftovers",
]

_HOMES: Final = {
    "calibration": (
        "CalibrationProgress",
        "EngineCalibration",
        "calibrate",
        "remembered_calibration",
    ),
    "client": ("EngineClient",),
    "llama": ("LlamaEngine",),
    "metrics": ("EngineMetrics",),
    "monitor": ("EngineMonitor", "EngineRates"),
    "progress": ("Patience",),
    "runs": ("EndedProcess", "sweep_leftovers"),
    "status": ("Endpoint", "EngineFailure", "EngineState", "EngineStatus", "LlamaSettings"),
}


def __getattr__(name: str) -> object:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
