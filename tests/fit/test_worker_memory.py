"""Predicted against the peak memory of the real worker; `bench/fit.py` runs the whole grid."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench.fit import Case, Outcome, measure

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="reads a process's peak memory from /proc"
)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> list[Outcome]:
    folder: Path = tmp_path_factory.mktemp("fit")
    cases = [
        Case("llama", 1024, "f16", 512, 1),
        Case("qwen3", 1024, "q8_0", 256, 2),
        Case("minimax-01", 1024, "f16", 512, 1),
        Case("llama", 2048, "f16", 2048, 1),
    ]
    return list(measure(folder, cases))


def test_the_formula_is_within_five_per_cent(outcomes: list[Outcome]) -> None:
    for one in outcomes:
        assert one.formula == pytest.approx(one.measured, rel=0.05), one.case


def test_the_engines_own_account_is_within_two_per_cent(outcomes: list[Outcome]) -> None:
    for one in outcomes:
        assert one.exact == pytest.approx(one.measured, rel=0.02), one.case
