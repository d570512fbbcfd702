"""`m1desk jobs` as a person or a script meets it: real processes, a real queue, a small model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from m1desk.cli.commands import run_command_line
from m1desk.cli.jobs import begin_at
from m1desk.engines import ProfileStore, ServerProfile
from m1desk.engines.calibration import EngineCalibration, calibration_key
from m1desk.jobs.store import JobStore
from m1desk.store import Database, FileLock, Folders, Measurements


@pytest.fixture(autouse=True)
def _calibrated(home: Path) -> None:
    """Spare each test the ten seconds of a first start; safe settings run on every machine."""
    with Database(Folders.under(home).database) as database:
        safe = EngineCalibration(threads=1, self_test="safe_only")
        Measurements(database).put(calibration_key(), safe.to_dict())


@pytest.fixture
def letter(tmp_path: Path) -> Path:
    path = tmp_path / "letter.txt"
    path.write_text("Either party may end it with 45 days of notice.")
    return path


class Terminal:
    """Runs commands in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *words: object, status: int = 0) -> str:
        """Run one command of `m1desk jobs` and return what it printed, errors included."""
        self._capsys.readouterr()
        found = run_command_line(["jobs", *map(str, words)])
        printed = self._capsys.readouterr()
        assert found == status, printed
        return printed.out if words[-1] == "--json" else printed.out + printed.err

    def json(self, *words: object) -> Any:
        return json.loads(self(*words, "--json"))


@pytest.fixture
def jobs(capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(capsys)


def test_a_job_is_added_run_shown_and_exported(
    jobs: Terminal, letter: Path, scripted_minimax: Path, tmp_path: Path
) -> None:
    added = jobs.json(
        "add", letter, "--table", "--title", "Letters", "--model", scripted_minimax,
        "-q", "Notice: How long is the notice?", "-q", "Who signed it?",
        "--temperature", 0, "--max-tokens", 40, "--priority", 3, "--context", 1024,
    )  # fmt: skip
    assert added["id"] == 1
    assert added["estimate"]["read_tokens"] > 200
    assert added["estimate"]["seconds"][0] <= added["estimate"]["seconds"][1]
    assert "guessed from the sizes" in added["estimate"]["why"]
    listed = jobs.json("list")
    assert listed["counts"]["waiting"] == 1
    assert (listed["jobs"][0]["title"], listed["jobs"][0]["priority"]) == ("Letters", 3)

    ran = jobs("run")
    assert "Job 1 (Letters) is done" in ran
    shown = jobs.json("show", 1)
    assert shown["job"]["summary"]["state"] == "done"
    assert [one["kind"] for one in shown["steps"]] == ["read", "ask", "ask"]
    assert [one["question"] for one in shown["steps"][1:]] == ["Notice", "Who signed it?"]
    assert all(one["answer"]["answer"] for one in shown["steps"][1:])
    text = jobs("show", 1, "--log")
    assert "letter.txt: Notice" in text
    assert "answers with 1,024 tokens of context" in text

    table = tmp_path / "letters.csv"
    assert "2 answers" in jobs("export", 1, table)
    assert "letter.txt" in table.read_text()
    assert "ending" in jobs("export", 1, tmp_path / "letters.odt", status=1)
    assert "has nothing that could be done again" in jobs("retry", 1, status=1)
    jobs("delete", 1)
    assert jobs.json("list")["jobs"] == []
    assert "There is no job 1" in jobs("show", 1, status=1)


def test_jobs_are_held_ended_and_taken_up_again(
    jobs: Terminal, letter: Path, scripted_minimax: Path
) -> None:
    for _ in range(2):
        jobs("add", "-q", "Hello", "--model", scripted_minimax, "--at", "23:59", "--on-mains")
    jobs("pause", 1, 2)
    assert "is not waiting or running" in jobs("pause", 2, status=1)
    jobs("resume", 1)
    jobs("cancel", 2)
    states = {one["id"]: one["state"] for one in jobs.json("list")["jobs"]}
    assert states == {1: "waiting", 2: "cancelled"}
    assert "waits until" in jobs("list")
    assert jobs.json("list", "--limit", 1)["jobs"][0]["id"] == 1


def test_what_can_not_be_done_is_refused_before_it_is_added(
    jobs: Terminal, letter: Path, scripted_minimax: Path
) -> None:
    model = ("--model", scripted_minimax)
    assert "needs a question" in jobs("add", letter, *model, status=1)
    assert "no template" in jobs("add", letter, "--template", "nonsense", *model, status=1)
    assert "no documents named" in jobs("add", "--set", "x", "-q", "Hm?", *model, status=1)
    assert "needs files" in jobs("add", "--table", "-q", "Hm?", *model, status=1)
    assert 'no server "lab"' in jobs("add", "-q", "Hm?", "--server", "lab", status=1)
    assert "is no time" in jobs("add", "-q", "Hm?", "--at", "soon", *model, status=1)
    assert "one of" in jobs("add", letter, "--table", "--passes", "-q", "Hm?", *model, status=1)
    assert jobs.json("list")["jobs"] == []


def test_a_job_may_be_for_a_server_with_a_limit_on_thinking(jobs: Terminal, home: Path) -> None:
    with Database(Folders.under(home).database) as database:
        ProfileStore(database).add(ServerProfile("lab", "http://127.0.0.1:1"))
    added = jobs.json("add", "-q", "Hm?", "--server", "lab", "--thinking", 256)
    spec = jobs.json("show", added["id"])["job"]["spec"]
    assert spec["engine"]["server"] == "lab"
    assert spec["sampling"]["thinking_tokens"] == 256


def test_templates_are_listed_and_used(
    jobs: Terminal, letter: Path, scripted_minimax: Path
) -> None:
    templates = jobs.json("templates")
    assert templates
    first = templates[0]
    added = jobs.json("add", letter, "--template", first["name"], "--model", scripted_minimax)
    shown = jobs.json("show", added["id"])["job"]
    assert shown["spec"]["template"] == first["name"]
    assert shown["spec"]["kind"] == first["kind"]
    assert len(shown["spec"]["questions"]) == len(first["questions"])
    assert first["questions"][0]["name"] in jobs("templates")


def test_a_failed_job_is_told_by_the_exit_status(
    jobs: Terminal, tmp_path: Path, scripted_minimax: Path
) -> None:
    jobs("add", tmp_path / "gone.pdf", "-q", "Hm?", "--model", scripted_minimax)
    ran = jobs("run", status=1)
    assert "is failed" in ran
    assert "could be read" in ran


def test_a_table_over_an_empty_folder_is_refused_in_words(
    jobs: Terminal, tmp_path: Path, scripted_minimax: Path
) -> None:
    (tmp_path / "empty").mkdir()
    jobs("add", tmp_path / "empty", "--template", "contract-portfolio", "--model", scripted_minimax)
    assert "could be read" in jobs("run", status=1)


@pytest.mark.parametrize(
    ("at", "now", "wanted"),
    [
        ("22:00", "2027-03-27 23:00", "2027-03-28 22:00+02:00"),
        ("06:00", "2027-03-27 23:00", "2027-03-28 06:00+02:00"),
        ("22:00", "2027-10-31 00:30", "2027-10-31 22:00+01:00"),
        ("2027-07-01 22:00", "2027-03-01 00:30", "2027-07-01 22:00+02:00"),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="tzset is POSIX")
def test_a_time_of_day_is_that_of_its_own_day(
    at: str, now: str, wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TZ", "Europe/Berlin")
        time.tzset()
        begin = begin_at(at, datetime.fromisoformat(now))
    time.tzset()
    assert begin == datetime.fromisoformat(wanted).timestamp()


def test_the_queue_is_worked_by_one_process(jobs: Terminal, home: Path) -> None:
    with FileLock(Folders.under(home).data / "jobs.lock") as lock:
        lock.acquire()
        assert f"process {os.getpid()}" in jobs("run", status=1)


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_an_interrupted_run_keeps_what_is_done_and_goes_on_later(
    jobs: Terminal, home: Path, tiny_llama: Path, sent: signal.Signals, status: int
) -> None:
    questions = [word for number in range(30) for word in ("-q", f"Q{number}: Tell me more.")]
    jobs("add", *questions, "--model", tiny_llama, "--max-tokens", 60, "--temperature", 0)
    with (
        subprocess.Popen(
            [sys.executable, "-m", "m1desk", "jobs", "run", "--watch"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process,
        Database(Folders.under(home).database) as database,
    ):
        store = JobStore(database)
        deadline = time.monotonic() + 90
        while not store.summary(1).progress.steps_done:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(sent)
        assert process.wait(30) == status
        left = store.summary(1)
        assert left.state == "waiting"
        assert 0 < left.progress.steps_done < 30
        assert {one.state for one in store.steps(1)} == {"done", "waiting"}
