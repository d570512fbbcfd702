"""What tokens cost: on hardware of one's own, on rented hardware, and from an API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from m1desk.fit.plan import FitPlan

_HOURS_A_YEAR: Final = 8766.0
_MONTHS_A_YEAR: Final = 12
_SECONDS_AN_HOUR: Final = 3600.0
_MILLION: Final = 1e6
_LEAST_SPEED: Final = 1e-3
"""Tokens a second; the sums divide by speeds."""


@dataclass(frozen=True, slots=True)
class CostAssumptions:
    """Everything the sum depends on; `ASSUMPTION_SOURCES` says where each default comes from.

    Attributes:
        hardware_usd: price of the machine.
        resale_share: what part of it a sale brings back at the end.
        years: how long it is used.
        busy_watts, idle_watts: at the wall.
        electricity_usd_kwh: price of a kilowatt-hour.
        on_hours_a_day: hours a day it is switched on.
        rent_usd_hour: of an equal machine, per hour.
        rented_only_when_used: whether rent stops when the work does.
        api_input_usd, api_output_usd: per million tokens.
        input_tokens_month, output_tokens_month: what is read and written in a month.
        prefill_tokens_per_second, decode_tokens_per_second: of the machine.
        parallel: answers written at once; their speeds add up.
    """

    hardware_usd: float = 2000.0
    resale_share: float = 0.3
    years: float = 3.0
    busy_watts: float = 140.0
    idle_watts: float = 12.0
    electricity_usd_kwh: float = 0.25
    on_hours_a_day: float = 8.0
    rent_usd_hour: float = 2.5
    rented_only_when_used: bool = True
    api_input_usd: float = 0.4
    api_output_usd: float = 2.2
    input_tokens_month: float = 20e6
    output_tokens_month: float = 2e6
    prefill_tokens_per_second: float = 75.0
    decode_tokens_per_second: float = 9.5
    parallel: float = 1.0


ASSUMPTION_SOURCES: Final[Mapping[str, str]] = {
    "hardware_usd": "assumption: a street price of 2026; a preset brings its own",
    "resale_share": "assumption: what used machines of that age brought",
    "years": "assumption: as tax offices count computers",
    "busy_watts": "assumption, or the preset's; measure at the wall",
    "idle_watts": "assumption, or the preset's; measure at the wall",
    "electricity_usd_kwh": "assumption: between household prices in the USA and in Europe",
    "on_hours_a_day": "assumption: a working day",
    "rent_usd_hour": "assumption: one large GPU for an hour in 2026, times as many as are needed",
    "rented_only_when_used": "assumption: rented by the second",
    "api_input_usd": "assumption: what providers asked for MiniMax-M1 in 2025",
    "api_output_usd": "assumption: what providers asked for MiniMax-M1 in 2025",
    "input_tokens_month": "assumption: twenty documents of a million tokens",
    "output_tokens_month": "assumption: a tenth of what is read",
    "prefill_tokens_per_second": "the speed model's middle, or what was measured",
    "decode_tokens_per_second": "the speed model's middle, or what was measured",
    "parallel": "assumption: one answer at a time",
}
"""Where each default comes from, by field."""


@dataclass(frozen=True, slots=True)
class CostPlan:
    """US dollars a month, each way.

    Attributes:
        busy_hours_month: hours of computing the tokens take.
        possible: whether a month has that many hours.
        own_hardware, own_energy: of a machine of one's own.
        rent: of an equal one.
        api: for the same tokens.
        own_per_million, rent_per_million, api_per_million: per million tokens, read and written.
        break_even_months_api, break_even_months_rent: when the machine has paid for itself; None:
            never, for its energy alone costs more.
    """

    busy_hours_month: float
    possible: bool
    own_hardware: float
    own_energy: float
    rent: float
    api: float
    own_per_million: float
    rent_per_million: float
    api_per_million: float
    break_even_months_api: float | None
    break_even_months_rent: float | None

    @property
    def own(self) -> float:
        """Hardware and energy of a machine of one's own, a month."""
        return self.own_hardware + self.own_energy


def plan_cost(given: CostAssumptions) -> CostPlan:
    """Compare the ways; pure arithmetic.

    Hardware: (price - resale) over its months. Energy: busy hours at busy watts, the other hours
    it is on at idle watts. Rent: busy hours, or all hours it is on. API: tokens times price.
    """
    busy = _busy_hours(given)
    hours_on = max(busy, given.on_hours_a_day * _HOURS_A_YEAR / 24 / _MONTHS_A_YEAR)
    watt_hours = busy * given.busy_watts + (hours_on - busy) * given.idle_watts
    energy = watt_hours / 1000 * given.electricity_usd_kwh
    hardware = given.hardware_usd * (1 - given.resale_share) / (given.years * _MONTHS_A_YEAR)
    rent = given.rent_usd_hour * (busy if given.rented_only_when_used else hours_on)
    api = (
        given.input_tokens_month * given.api_input_usd
        + given.output_tokens_month * given.api_output_usd
    ) / _MILLION
    millions = (given.input_tokens_month + given.output_tokens_month) / _MILLION
    return CostPlan(
        busy_hours_month=busy,
        possible=busy <= _HOURS_A_YEAR / _MONTHS_A_YEAR,
        own_hardware=hardware,
        own_energy=energy,
        rent=rent,
        api=api,
        own_per_million=(hardware + energy) / millions if millions else 0.0,
        rent_per_million=rent / millions if millions else 0.0,
        api_per_million=api / millions if millions else 0.0,
        break_even_months_api=_break_even(given, api - energy),
        break_even_months_rent=_break_even(given, rent - energy),
    )


def _busy_hours(given: CostAssumptions) -> float:
    reading = given.input_tokens_month / given.prefill_tokens_per_second
    writing = given.output_tokens_month / given.decode_tokens_per_second / given.parallel
    return (reading + writing) / _SECONDS_AN_HOUR


def _break_even(given: CostAssumptions, saved_a_month: float) -> float | None:
    """Months until the price is saved; the resale is not counted on."""
    return given.hardware_usd / saved_a_month if saved_a_month > 0 else None


def assumption_lines(given: CostAssumptions) -> tuple[str, ...]:
    """Each assumption with its value and source, for people."""
    return tuple(
        f"{field.name} = {_value_text(getattr(given, field.name))}: "
        f"{ASSUMPTION_SOURCES[field.name]}"
        for field in fields(CostAssumptions)
    )


def _value_text(value: float) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,.10g}"


def assumptions_for(plan: FitPlan) -> CostAssumptions:
    """The usual assumptions, with the speeds of the plan and what its machine says of itself."""
    start = CostAssumptions(
        prefill_tokens_per_second=max(plan.prefill.middle, _LEAST_SPEED),
        decode_tokens_per_second=max(plan.decode.middle, _LEAST_SPEED),
        parallel=float(plan.wished.parallel),
    )
    machine = plan.machine
    return replace(
        start,
        hardware_usd=machine.price_usd or start.hardware_usd,
        busy_watts=machine.busy_watts or start.busy_watts,
        idle_watts=start.idle_watts if machine.idle_watts is None else machine.idle_watts,
    )
