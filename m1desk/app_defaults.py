"""What new chats and loads begin with: what the settings say, in the core's terms."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from m1desk.engines import LlamaSettings
from m1desk.engines.turn import SamplingParameters

if TYPE_CHECKING:
    from m1desk.store import AppSettings
    from m1desk.ui.viewmodels.model_entries import FileReport


def default_sampling(settings: AppSettings) -> SamplingParameters:
    """Make the sampling of new conversations of what is stored; unknown names are passed over."""
    names = {field.name for field in fields(SamplingParameters)}
    known = {k: v for k, v in settings.default_sampling.items() if k in names}
    return SamplingParameters(**known)  # type: ignore[arg-type]  # the settings page wrote them


def default_settings(report: FileReport, settings: AppSettings) -> LlamaSettings:
    """Make the settings for loading a file without asking: the defaults, within its limits."""
    trained = report.header.context_tokens if report.header else 0
    context = settings.default_context_tokens
    return LlamaSettings(
        model_path=report.path,
        context_tokens=min(context, trained) if trained else context,
        parallel=settings.default_parallel,
        gpu_layers=settings.default_gpu_layers,
        kv_type=settings.default_kv_type,
    )
