"""What a job will take, before it is added and while it runs; who uses the engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from m1desk.engines import LlamaSettings
from m1desk.engines.turn import SamplingParameters
from m1desk.fit import Range
from m1desk.jobs.estimate import GuessedSizes, estimate_job, sizes_of
from m1desk.jobs.loads import Course, StepLoad
from m1desk.jobs.local_desk import _fitted
from m1desk.jobs.person import MachineSurroundings, Person
from m1desk.jobs.plan import later_steps, loads, measuring_steps, needed_tokens
from m1desk.jobs.values import Corpus, JobQuestion, JobSpec
from m1desk.models.demo import DEMO_CONTEXT_TOKENS, demo_model

QUESTIONS = (JobQuestion("A", "?" * 100), JobQuestion("B", "?" * 100))
DOCUMENTS = GuessedSizes({"long": 40_000, "short": 4000}, "Guessed.")


class TenTokensASecond:
    """Reads and writes ten tokens a second, and is sure of it to a fifth."""

    def total_seconds(self, read_tokens: int, written_tokens: int, reused_tokens: int = 0) -> Range:
        middle = (read_tokens + written_tokens) / 10
        return Range(middle * 0.8, middle * 1.2)


def spec(kind: str) -> JobSpec:
    return JobSpec("Leases", kind, QUESTIONS, sampling=SamplingParameters(max_tokens=50))  # type: ignore[arg-type]


def test_a_table_reads_each_document_once_and_questions_all_at_once() -> None:
    table = later_steps(spec("table"), DOCUMENTS.names, 2)
    assert [(one.number, one.document, one.question) for one in table] == [
        (2, "long", "A"), (3, "long", "B"), (4, "short", "A"), (5, "short", "B"),
    ]  # fmt: skip
    assert loads(spec("table"), table, DOCUMENTS) == {
        2: StepLoad(40_100), 3: StepLoad(100, 40_000), 4: StepLoad(4100), 5: StepLoad(100, 4000),
    }  # fmt: skip
    together = later_steps(spec("questions"), DOCUMENTS.names, 1)
    assert loads(spec("questions"), together, DOCUMENTS) == {
        1: StepLoad(44_100), 2: StepLoad(100, 44_000),
    }  # fmt: skip
    assert needed_tokens(spec("table"), DOCUMENTS) < needed_tokens(spec("questions"), DOCUMENTS)


def test_an_estimate_has_tokens_time_energy_and_cost() -> None:
    estimate = estimate_job(spec("table"), DOCUMENTS, TenTokensASecond(), busy_watts=200)
    assert estimate.written_tokens == 4 * 50
    assert estimate.read_tokens is not None
    assert estimate.read_tokens == pytest.approx(44_000 * 0.27 + 4 * 127, rel=0.03)
    assert estimate.seconds is not None
    assert estimate.watt_hours is not None
    assert estimate.usd is not None
    middle = sum(estimate.seconds) / 2
    assert middle == pytest.approx((estimate.read_tokens + 200) / 10, rel=0.01)
    assert estimate.watt_hours == pytest.approx([one * 200 / 3600 for one in estimate.seconds])
    assert estimate.usd == pytest.approx([one / 1000 * 0.25 for one in estimate.watt_hours])
    assert "200 W" in estimate.why


def test_an_estimate_without_a_forecast_says_so() -> None:
    estimate = estimate_job(spec("questions"), DOCUMENTS, None)
    assert estimate.read_tokens
    assert estimate.seconds is None
    assert "not known" in estimate.why


def test_sizes_of_files_are_guessed_also_in_folders_and_of_files_that_are_gone(
    tmp_path: Path,
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("x" * 1000)
    (tmp_path / "b.pdf").write_bytes(b"x" * 1000)
    files = (tmp_path / "in", tmp_path / "b.pdf", tmp_path / "gone.txt")
    sizes = sizes_of(Corpus(files=files), None)  # type: ignore[arg-type]
    assert sizes.sizes == {
        str(tmp_path / "in" / "a.txt"): 1000, str(tmp_path / "b.pdf"): 200,
        str(tmp_path / "gone.txt"): 0,
    }  # fmt: skip
    assert "roughly" in sizes.why


def test_the_time_left_is_corrected_by_what_was_measured() -> None:
    load = StepLoad(10_000)
    course = Course(TenTokensASecond(), [load] * 10)
    first = course.seconds_left(load, 0, 0)
    assert first is not None
    assert course.seconds_left(load, 1000, 0) < first  # type: ignore[operator]
    usual = 10_000 * 0.27 + 100 + 200
    course.learn(load, 2700, 200, usual / 10 * 3)  # three times as slow as foreseen
    left = course.seconds_left(load, 0, 0)
    assert left == pytest.approx(first * 3 * 9 / 10, rel=0.02)
    for _ in range(8):
        course.learn(load, 2700, 200, usual / 10 * 3)
    assert course.seconds_left(load, 2800, 200) == pytest.approx(0.0, abs=1.0)


def test_without_a_forecast_steps_take_as_long_as_those_before() -> None:
    course = Course(None, [StepLoad(100)] * 4)
    assert course.seconds_left(StepLoad(100), 0, 0) is None
    course.learn(StepLoad(100), 30, 5, 2.0)
    assert course.seconds_left(StepLoad(100), 0, 0) == 6.0


def test_a_benchmark_stays_within_the_context() -> None:
    assert [one.question for one in measuring_steps(10_000)] == [
        "512 tokens", "2048 tokens", "8192 tokens",
    ]  # fmt: skip
    assert [one.question for one in measuring_steps(700)] == ["124 tokens"]


async def test_a_context_left_open_fits_the_job_and_a_chat_beside_it() -> None:
    chosen = await _fitted(LlamaSettings(demo_model(), context_tokens=0, parallel=1), 100)
    assert chosen.context_tokens == DEMO_CONTEXT_TOKENS  # the model can do no more
    assert chosen.parallel == 2
    asked = await _fitted(LlamaSettings(demo_model(), context_tokens=1000, parallel=4), 9999)
    assert (asked.context_tokens, asked.parallel) == (1000, 4)


def test_a_person_counts_as_active_for_a_while() -> None:
    now, asking = 0.0, True
    person = Person(lambda: asking, lambda: now)
    around = MachineSurroundings(person)
    assert person.is_active()
    asking, now = False, 599.0
    assert person.is_active()
    assert not around.is_idle(while_working=True)
    now = 601.0
    assert not person.is_active()
    assert around.is_idle(while_working=True)
    person.note()
    assert person.is_active()
