"""Whether a longer context is in reach: what the model was trained for, and the memory."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from m1desk.documents import refuse_context
from m1desk.engines import Forecast
from m1desk.fit import Wished, fitted_efficiencies, load_machine, plan, variant_from_header
from m1desk.models import read_gguf_header
from m1desk.models.demo import demo_model

if TYPE_CHECKING:
    from m1desk.fit import PlanMachine


@pytest.fixture
def forecast() -> Forecast:
    variant = variant_from_header(read_gguf_header(demo_model()))
    long = replace(variant, shape=replace(variant.shape, trained_context_tokens=1 << 20))
    wished = Wished(context_tokens=4096)
    return Forecast(load_machine("laptop-16"), long, wished, fitted_efficiencies())


def _with_ram(machine: PlanMachine, free_bytes: int) -> PlanMachine:
    return replace(machine, ram_used_bytes=machine.ram_total_bytes - free_bytes)


def test_what_fits_is_not_refused(forecast: Forecast) -> None:
    assert refuse_context(forecast, 8192) == ""


def test_beyond_its_training_a_model_is_not_loaded(forecast: Forecast) -> None:
    assert "1,048,576 tokens at most" in refuse_context(forecast, 2 << 20)


def test_without_memory_for_it_the_lack_is_named(forecast: Forecast) -> None:
    now = forecast.wished
    for free_mib in range(64, 16_384, 32):  # the least memory in which what is loaded fits
        machine = _with_ram(forecast.machine, free_mib << 20)
        if plan(machine, forecast.variant, now).verdict != "does_not_fit":
            break
    tight = replace(forecast, machine=machine)
    assert refuse_context(tight, now.context_tokens) == ""
    refusal = refuse_context(tight, 1 << 20)
    assert "missing" in refusal or "from the disk" in refusal


def test_a_picture_of_the_machine_on_which_not_even_the_loaded_model_fits_refuses_nothing(
    forecast: Forecast,
) -> None:
    wrong = replace(forecast, machine=_with_ram(forecast.machine, 0))
    assert refuse_context(wrong, 8192) == ""
