"""Jobs in words: estimates, ranges, progress, what can be done."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import job_samples
import pytest

from m1desk.hardware import Energy
from m1desk.jobs.store import JobStore
from m1desk.jobs.values import (
    EngineChoice,
    JobEstimate,
    JobProgress,
    JobStepProgress,
    JobSummary,
)
from m1desk.store import Database
from m1desk.ui.viewmodels.jobs_actions import obstacle
from m1desk.ui.viewmodels.jobs_words import (
    STATES,
    cost_range,
    energy_range,
    estimate_text,
    fraction_of,
    reading_line,
    rough,
    row_details,
    state_words,
    time_range,
)
from m1desk.ui.widgets.job_facts import figures_of
from m1desk.ui.widgets.job_tray import queue_text

if TYPE_CHECKING:
    from pathlib import Path

    from m1desk.jobs.values import Job, JobState

JOB = JobSummary(
    id=1,
    title="Contracts",
    kind="table",
    state="running",
    priority=0,
    position=1,
    created=0.0,
    started=1.0,
    ended=None,
    progress=JobProgress(steps_done=3, steps_total=12, seconds=61.0),
    note="",
    problem=None,
)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "1 s"), (59, "59 s"), (300, "5 min"), (3600, "1 h"), (9000, "2 h 30 min"),
     (200_000, "2 d 7 h")],
)  # fmt: skip
def test_rough_times(seconds: float, text: str) -> None:
    assert rough(seconds) == text


def test_ranges_name_their_unit_once_where_both_have_the_same() -> None:
    assert time_range((240, 420)) == "4–7 min"
    assert time_range((420, 240)) == "4–7 min"
    assert time_range((50, 200)) == "50 s – 3 min"
    assert time_range((61, 62)) == "1 min"
    assert energy_range((6.0, 11.0)) == "6.0–11 Wh"
    assert energy_range((800.0, 1300.0)) == "800 Wh – 1.3 kWh"
    assert cost_range((0.002, 0.004)) == "under 1 cent"
    assert cost_range((0.02, 0.05)) == "$0.02–0.05"
    assert cost_range((1.0, 1.001)) == "$1.00"


def test_the_energy_a_job_took_is_measured_or_called_assumed(tmp_path: Path) -> None:
    with Database(tmp_path / "m1desk.sqlite3") as database:
        store = JobStore(database)
        job_id = store.add(job_samples.spec("Leases"), job_samples.ESTIMATE)
        new = store.job(job_id)
        store.add_energy(job_id, Energy(36_000.0, 600.0, "computer"))
        measured = store.job(job_id)

    def shown(job: Job) -> list[str]:
        return [actual for name, _, actual in figures_of(job) if name in {"Energy", "Cost"}]

    assert shown(new) == ["–", "–"]
    progress = JobProgress(seconds=720.0)
    done = replace(new, summary=replace(new.summary, progress=progress))
    assert shown(done) == ["19 Wh assumed", "under 1 cent"]
    assert shown(replace(done, energy=measured.energy)) == ["10 Wh measured", "under 1 cent"]
    elsewhere = replace(done.spec, engine=EngineChoice(server="lab"))
    assert shown(replace(done, spec=elsewhere)) == ["not known: a server's", "–"]


def test_an_estimate_says_what_is_known_and_nothing_else() -> None:
    assert estimate_text(JobEstimate()) == ""
    known = JobEstimate(read_tokens=48_000, seconds=(240.0, 420.0))
    assert estimate_text(known) == "4–7 min · 48.0K tokens to read"


def test_a_running_step_counts_by_what_is_read_and_never_as_done() -> None:
    step = JobStepProgress(1, 4, "Asking", done=50, total=100)
    assert fraction_of(JobProgress()) is None
    assert fraction_of(JOB.progress) == pytest.approx(0.25)
    assert fraction_of(JOB.progress, step) == pytest.approx((3 + 0.495) / 12)
    whole = replace(step, done=100)
    assert (fraction_of(JOB.progress, whole) or 1.0) < 4 / 12
    assert reading_line(JobStepProgress(1, 4, "Asking")) == ""


def test_a_row_says_how_its_job_is() -> None:
    step = JobStepProgress(1, 4, "Asking", eta_seconds=120.0)
    assert row_details(JOB, step) == "Running · 3 of 12 steps · 2 min left · Table"
    waiting = replace(JOB, state="waiting", note="waits for mains power")
    assert state_words(waiting) == "Waits for mains power"
    assert row_details(replace(JOB, state="done"), None) == "Done · 1 min 01 s · Table"


@pytest.mark.parametrize("state", STATES)
def test_every_state_has_something_that_can_be_done_and_reasons_for_the_rest(
    state: JobState,
) -> None:
    job = replace(JOB, state=state)
    reasons = {
        name: obstacle(name, job) for name in ("pause", "resume", "cancel", "retry", "delete")
    }
    assert "" in reasons.values()
    assert any(reasons.values())


def test_the_tray_counts_jobs() -> None:
    assert queue_text({}) == "No jobs"
    assert queue_text({"waiting": 1}) == "1 job waiting"
    assert queue_text({"running": 1, "waiting": 3}) == "1 job running, 3 waiting"
