"""What fits: memory, speed and cost of a model on a machine, real or imagined."""

from __future__ import annotations

from m1desk.fit.cost import (
    ASSUMPTION_SOURCES,
    CostAssumptions,
    CostPlan,
    assumption_lines,
    assumptions_for,
    plan_cost,
)
from m1desk.fit.exact import ExactNeeds, exact_needs
from m1desk.fit.known import is_known, known_models, known_variants
from m1desk.fit.machine_files import load_machine, machine_from_json, preset_names
from m1desk.fit.machines import HardwareClass, PlanDevice, PlanMachine, driver_reserve
from m1desk.fit.memory import (
    FreeMemory,
    MemoryEstimate,
    RunSettings,
    Verdict,
    estimate_memory,
    judge,
)
from m1desk.fit.placement import (
    FitVerdict,
    Needs,
    Place,
    Placement,
    Wished,
    expert_layers,
    needs_of,
)
from m1desk.fit.plan import Change, FitPlan, plan, verdict_of
from m1desk.fit.quantizations import quantizations
from m1desk.fit.records import (
    SpeedRecord,
    efficiencies_here,
    keep_record,
    read_records,
    record_of,
)
from m1desk.fit.speed import Efficiencies, Range, fitted_efficiencies
from m1desk.fit.this_machine import machine_from_probe
from m1desk.fit.variant import (
    ModelShape,
    Variant,
    variant_from_config,
    variant_from_header,
    variant_from_table,
)
from m1desk.fit.vllm import (
    FIRST_VERSION,
    GPU_MEMORY_SHARE,
    VllmFit,
    VllmKvType,
    VllmQuantization,
    VllmWish,
    loaded_bytes,
    plan_vllm,
    refuse,
    refuse_version,
    runs_own_code,
    supported_versions,
    supports_pipeline,
    tensor_parallel_sizes,
    version_numbers,
    vllm_arguments,
    vllm_cache_bytes,
)
from m1desk.fit.words import size_text

__all__ = [
    "ASSUMPTION_SOURCES",
    "FIRST_VERSION",
    "GPU_MEMORY_SHARE",
    "Change",
    "CostAssumptions",
    "CostPlan",
    "Efficiencies",
    "ExactNeeds",
    "FitPlan",
    "FitVerdict",
    "FreeMemory",
    "HardwareClass",
    "MemoryEstimate",
    "ModelShape",
    "Needs",
    "Place",
    "Placement",
    "PlanDevice",
    "PlanMachine",
    "Range",
    "RunSettings",
    "SpeedRecord",
    "Variant",
    "Verdict",
    "VllmFit",
    "VllmKvType",
    "VllmQuantization",
    "VllmWish",
    "Wished",
    "assumption_lines",
    "assumptions_for",
    "driver_reserve",
    "efficiencies_here",
    "estimate_memory",
    "exact_needs",
    "expert_layers",
    "fitted_efficiencies",
    "is_known",
    "judge",
    "keep_record",
    "known_models",
    "known_variants",
    "load_machine",
    "loaded_bytes",
    "machine_from_json",
    "machine_from_probe",
    "needs_of",
    "plan",
    "plan_cost",
    "plan_vllm",
    "preset_names",
    "quantizations",
    "read_records",
    "record_of",
    "refuse",
    "refuse_version",
    "runs_own_code",
    "size_text",
    "supported_versions",
    "supports_pipeline",
    "tensor_parallel_sizes",
    "variant_from_config",
    "variant_from_header",
    "variant_from_table",
    "verdict_of",
    "version_numbers",
    "vllm_arguments",
    "vllm_cache_bytes",
]
