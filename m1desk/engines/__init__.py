"""A running model behind one face: the llama.cpp child under its guard, a server elsewhere.

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
    from m1desk.engines.forecast import Forecast, forecast_of
    from m1desk.engines.llama import LlamaEngine
    from m1desk.engines.local import LocalEngine, LocalSettings
    from m1desk.engines.metrics import EngineMetrics
    from m1desk.engines.monitor import EngineMonitor, EngineRates
    from m1desk.engines.planned import settings_of, wished_of
    from m1desk.engines.prepared import (
        CheckpointPlan,
        PreparedDocument,
        PrepareEvent,
        PrepareFinished,
        StateNotSaved,
        StateRefusal,
        StateSaved,
    )
    from m1desk.engines.progress import Effort, Patience, ProgressWatch, measure_effort
    from m1desk.engines.remote.abilities import ServedModel, ServerAbilities
    from m1desk.engines.remote.connection import RemoteClient, connect
    from m1desk.engines.remote.examine import examine_server
    from m1desk.engines.remote.in_use import (
        Estimates,
        ServerInUse,
        ServerRecovery,
        Servers,
        ServerTrouble,
    )
    from m1desk.engines.remote.profile_store import ProfileStore
    from m1desk.engines.remote.profiles import ServerProfile, SshTunnel
    from m1desk.engines.remote.secrets import SecretVault, ServerSecrets
    from m1desk.engines.remote.verdicts import Outcome, Step, StepVerdict
    from m1desk.engines.remote.watchdog import StallPatience
    from m1desk.engines.runs import EndedProcess, sweep_leftovers
    from m1desk.engines.speeds import efficiencies_measured_here, measured_speeds, note_answer
    from m1desk.engines.status import (
        Endpoint,
        EngineFailure,
        EngineState,
        EngineStatus,
        LlamaSettings,
    )
    from m1desk.engines.vllm.engine import VllmEngine
    from m1desk.engines.vllm.offer import CheckpointDesk, CheckpointOffer, EnvironmentOffer
    from m1desk.engines.vllm.planned import ServeWish, VllmPlan
    from m1desk.engines.vllm.settings import VllmSettings

__all__ = [
    "CalibrationProgress",
    "CheckpointDesk",
    "CheckpointOffer",
    "CheckpointPlan",
    "Effort",
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
    "EnvironmentOffer",
    "Estimates",
    "Forecast",
    "LlamaEngine",
    "LlamaSettings",
    "LocalEngine",
    "LocalSettings",
    "Outcome",
    "Patience",
    "PrepareEvent",
    "PrepareFinished",
    "PreparedDocument",
    "ProfileStore",
    "ProgressWatch",
    "RemoteClient",
    "SecretVault",
    "ServeWish",
    "ServedModel",
    "ServerAbilities",
    "ServerInUse",
    "ServerProfile",
    "ServerRecovery",
    "ServerSecrets",
    "ServerTrouble",
    "Servers",
    "SshTunnel",
    "StallPatience",
    "StateNotSaved",
    "StateRefusal",
    "StateSaved",
    "Step",
    "StepVerdict",
    "VllmEngine",
    "VllmPlan",
    "VllmSettings",
    "calibrate",
    "connect",
    "efficiencies_measured_here",
    "examine_server",
    "forecast_of",
    "measure_effort",
    "measured_speeds",
    "note_answer",
    "remembered_calibration",
    "settings_of",
    "sweep_leftovers",
    "wished_of",
]

_HOMES: Final = {
    "calibration": (
        "CalibrationProgress",
        "EngineCalibration",
        "calibrate",
        "remembered_calibration",
    ),
    "client": ("EngineClient",),
    "forecast": ("Forecast", "forecast_of"),
    "llama": ("LlamaEngine",),
    "local": ("LocalEngine", "LocalSettings"),
    "metrics": ("EngineMetrics",),
    "planned": ("settings_of", "wished_of"),
    "monitor": ("EngineMonitor", "EngineRates"),
    "prepared": (
        "CheckpointPlan",
        "PrepareEvent",
        "PrepareFinished",
        "PreparedDocument",
        "StateNotSaved",
        "StateRefusal",
        "StateSaved",
    ),
    "progress": ("Effort", "Patience", "ProgressWatch", "measure_effort"),
    "remote.abilities": ("ServedModel", "ServerAbilities"),
    "remote.connection": ("RemoteClient", "connect"),
    "remote.examine": ("examine_server",),
    "remote.in_use": ("Estimates", "ServerInUse", "ServerRecovery", "ServerTrouble", "Servers"),
    "remote.profile_store": ("ProfileStore",),
    "remote.profiles": ("ServerProfile", "SshTunnel"),
    "remote.secrets": ("SecretVault", "ServerSecrets"),
    "remote.verdicts": ("Outcome", "Step", "StepVerdict"),
    "remote.watchdog": ("StallPatience",),
    "runs": ("EndedProcess", "sweep_leftovers"),
    "speeds": ("efficiencies_measured_here", "measured_speeds", "note_answer"),
    "status": ("Endpoint", "EngineFailure", "EngineState", "EngineStatus", "LlamaSettings"),
    "vllm.engine": ("VllmEngine",),
    "vllm.offer": ("CheckpointDesk", "CheckpointOffer", "EnvironmentOffer"),
    "vllm.planned": ("ServeWish", "VllmPlan"),
    "vllm.settings": ("VllmSettings",),
}


def __getattr__(name: str) -> object:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
