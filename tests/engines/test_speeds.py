"""How fast real answers were, kept beside what was predicted, and used for what comes next."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from m1desk.engines import (
    LlamaSettings,
    efficiencies_measured_here,
    forecast_of,
    measured_speeds,
    note_answer,
    wished_of,
)
from m1desk.engines.fingerprint import machine_fingerprint
from m1desk.engines.turn import TurnFinished
from m1desk.fit import (
    Efficiencies,
    known_variants,
    machine_from_probe,
    plan,
    read_records,
    variant_from_header,
)
from m1desk.fit.header_file import write_header
from m1desk.hardware import probe_machine
from m1desk.models import read_gguf_header

if TYPE_CHECKING:
    from pathlib import Path

    from m1desk.hardware import Machine

LONG = TurnFinished(
    "stop",
    prompt_tokens=3000,
    completion_tokens=200,
    tokens_per_second=12.0,
    prefill_tokens_per_second=90.0,
)


class Kept(dict[str, Any]):
    """Measurements in memory."""

    def put(self, key: str, value: object) -> None:
        self[key] = value


@pytest.fixture(scope="module")
def machine() -> Machine:
    """This one, as if it had no accelerator."""
    return replace(probe_machine(()), accelerators=())


@pytest.fixture
def settings(tmp_path: Path) -> LlamaSettings:
    """For a model of 0.6 GB that takes no room: its weights are a hole in the file."""
    header = known_variants("Qwen3-0.6B", ("Q8_0",))[0].header
    assert header is not None
    path = tmp_path / "model.gguf"
    size = write_header(header, path)
    with path.open("r+b") as file:
        file.truncate(size)
    return LlamaSettings(path, context_tokens=8192, parallel=1)


def test_the_forecast_of_a_reading_grows_with_it_and_with_depth(
    machine: Machine, settings: LlamaSettings
) -> None:
    forecast = forecast_of(Kept(), machine, settings)
    short, long = forecast.first_token_seconds(1000), forecast.first_token_seconds(4000)
    assert 0 < short.low < short.high
    assert long.middle > 4 * short.middle  # attention: deeper tokens take longer
    assert forecast.first_token_seconds(1000, 7000).middle > short.middle
    assert forecast.total_seconds(1000, 100).middle > short.middle


def never() -> Machine:
    raise AssertionError("nobody needs to look at the machine")


def test_a_long_answer_is_kept_and_corrects_the_next_prediction(
    machine: Machine, settings: LlamaSettings
) -> None:
    kept, here = Kept(), machine_from_probe(machine)
    variant = variant_from_header(read_gguf_header(settings.model_path))

    def predicted(efficiencies: Efficiencies) -> float:
        wished = wished_of(settings, None, depth_tokens=3100)
        return plan(here, variant, wished, efficiencies=efficiencies).decode.middle

    before = predicted(efficiencies_measured_here(kept, here))
    record = note_answer(kept, lambda: machine, settings, LONG)
    assert record is not None
    assert record.predicted_decode == pytest.approx(before)
    assert (record.actual_decode, record.actual_prefill) == (12.0, 90.0)
    assert record.depth_tokens == 3100
    assert read_records(kept, machine_fingerprint()) == (record,)
    assert predicted(efficiencies_measured_here(kept, here)) == pytest.approx(12.0, rel=0.01)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, (12.0, 90.0)),
        ({"completion_tokens": 20}, (0.0, 90.0)),
        ({"tokens_per_second": 900.0}, (0.0, 90.0)),  # two hundred in less than a second
        ({"reused_tokens": 2900}, (12.0, 0.0)),
        ({"tokens_per_second": None, "prefill_tokens_per_second": None}, (0.0, 0.0)),
    ],
)
def test_only_what_took_long_enough_counts(
    changes: dict[str, Any], expected: tuple[float, float]
) -> None:
    assert measured_speeds(replace(LONG, **changes)) == expected


def test_a_short_answer_costs_nothing(settings: LlamaSettings) -> None:
    kept = Kept()
    short = replace(LONG, prompt_tokens=30, completion_tokens=20)
    assert note_answer(kept, never, settings, short) is None
    assert not kept


def test_a_tiny_model_says_nothing_of_this_machine(tiny_llama: Path) -> None:
    kept = Kept()
    assert note_answer(kept, never, LlamaSettings(tiny_llama), LONG) is None
    assert not kept
