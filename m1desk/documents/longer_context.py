"""Whether the model that is loaded can be loaded again with a longer context."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from m1desk.fit import plan, size_text

if TYPE_CHECKING:
    from m1desk.engines import Forecast
    from m1desk.fit import FitPlan


def refuse_context(forecast: Forecast, tokens: int) -> str:
    """Say in a sentence why a context of `tokens` is out of reach here; "" when it is not."""
    trained = forecast.variant.shape.trained_context_tokens
    if trained and tokens > trained:
        return f"This model was trained for {trained:,} tokens at most."
    placement = _planned(forecast, tokens).placement
    now = _planned(forecast, forecast.wished.context_tokens).verdict
    if now == "does_not_fit":
        return ""  # it is loaded: what is known of this machine's memory is not right
    if placement.verdict == "does_not_fit":
        return f"{size_text(placement.missing_bytes)} of memory are missing for it."
    if placement.verdict == "fits_disk" and now != "fits_disk":
        return (
            f"The memory is too small for it: {size_text(placement.disk_bytes)} of the model would "
            "be read from the disk again and again."
        )
    return ""


def _planned(forecast: Forecast, tokens: int) -> FitPlan:
    wished = replace(forecast.wished, context_tokens=tokens)
    return plan(forecast.machine, forecast.variant, wished, efficiencies=forecast.efficiencies)
