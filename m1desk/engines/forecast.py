"""How long a loaded model will read and write, before it begins."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from m1desk.engines.calibration import remembered_calibration
from m1desk.engines.planned import wished_of
from m1desk.engines.speeds import efficiencies_measured_here
from m1desk.fit import machine_from_probe, plan, variant_from_header
from m1desk.models import read_gguf_header

if TYPE_CHECKING:
    from m1desk.engines.calibration import MeasurementStore
    from m1desk.engines.status import LlamaSettings
    from m1desk.fit import Efficiencies, FitPlan, PlanMachine, Range, Variant, Wished
    from m1desk.hardware import Machine


@dataclass(frozen=True, slots=True)
class Forecast:
    """A model as it is loaded on this machine; asking it costs less than a millisecond."""

    machine: PlanMachine
    variant: Variant
    wished: Wished
    efficiencies: Efficiencies

    def first_token_seconds(self, read_tokens: int, reused_tokens: int = 0) -> Range:
        """Predict the time (seconds) to read `read_tokens` after `reused_tokens`."""
        return self._plan(read_tokens, reused_tokens, 0).first_token_seconds

    def total_seconds(self, read_tokens: int, written_tokens: int, reused_tokens: int = 0) -> Range:
        """Predict the time (seconds) to read and then to write."""
        return self._plan(read_tokens, reused_tokens, written_tokens).total_seconds

    def _plan(self, read_tokens: int, reused_tokens: int, written_tokens: int) -> FitPlan:
        wished = replace(
            self.wished,
            input_tokens=read_tokens,
            depth_tokens=reused_tokens,
            output_tokens=written_tokens,
        )
        return plan(self.machine, self.variant, wished, efficiencies=self.efficiencies)


def forecast_of(
    measurements: MeasurementStore, machine: Machine, settings: LlamaSettings
) -> Forecast:
    """Make the forecast of a model as it is loaded; reads its header.

    `machine` should be as it was before the model took its memory.

    Raises:
        ModelFileError, StorageError: the model's file or the records can't be read.
    """
    planned = machine_from_probe(machine)
    variant = variant_from_header(read_gguf_header(settings.model_path))
    wished = wished_of(settings, remembered_calibration(measurements))
    return Forecast(planned, variant, wished, efficiencies_measured_here(measurements, planned))
