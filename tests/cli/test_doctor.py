"""What `m1desk doctor` says of the engine, and when it measures it again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from m1desk.cli import doctor as command
from m1desk.engines import EngineCalibration
from m1desk.engines.calibration import calibration_key
from m1desk.store import Database, Folders, Measurements

if TYPE_CHECKING:
    from pathlib import Path

QUIET = EngineCalibration(2, True, False, 100.0, 500.0, "passed", "", 0.96, False)
DISTURBED = EngineCalibration(2, True, False, 10.0, 50.0, "passed", "Others worked.", 0.5, True)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Each time the engine would have been measured."""
    times: list[str] = []

    async def calibrate(*_arguments: object) -> EngineCalibration:
        times.append("measured")
        return QUIET

    monkeypatch.setattr(command, "calibrate", calibrate)
    return times


def remember(home: Path, calibration: EngineCalibration) -> None:
    with Database(Folders.under(home).database) as database:
        Measurements(database).put(calibration_key(), calibration.to_dict())


@pytest.mark.parametrize(
    ("known", "measure", "again", "times"),
    [
        (QUIET, True, False, 0),
        (QUIET, True, True, 1),
        (DISTURBED, True, False, 1),
        (DISTURBED, False, False, 0),
    ],
)
def test_the_engine_is_measured_again_when_that_is_of_use(
    home: Path,
    measured: list[str],
    known: EngineCalibration,
    measure: bool,
    again: bool,
    times: int,
) -> None:
    remember(home, known)
    command.doctor(as_json=True, measure=measure, measure_again=again)
    assert len(measured) == times


@pytest.mark.parametrize(
    ("gain", "words"),
    [(0.96, "costs 4 %"), (1.27, "27 % faster"), (1.001, "as fast as none")],
)
def test_it_says_what_flash_attention_costs(
    home: Path, capsys: pytest.CaptureFixture[str], gain: float, words: str
) -> None:
    remember(home, EngineCalibration(2, True, False, 100.0, 500.0, "passed", "", gain))
    command.doctor(as_json=False, measure=False)
    assert words in capsys.readouterr().out


def test_it_says_that_the_numbers_are_not_to_be_trusted(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    remember(home, DISTURBED)
    command.doctor(as_json=False, measure=False)
    said = capsys.readouterr().out
    assert "Others worked." in said
    assert "flash attention costs" not in said
