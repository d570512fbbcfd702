"""A campaign of faults over jobs at work: the results are as if nothing had happened.

`M1DESK_FAULTS=50 M1DESK_FAULT_SEED=7 pytest tests/jobs/test_job_faults.py -s` tries more of them.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from support.contracts import drawn_out
from support.worker import command, read_events

from m1desk.documents import PreparedStates
from m1desk.engines import CheckpointPlan, LlamaSettings
from m1desk.engines.calibration import EngineCalibration, calibration_key
from m1desk.engines.turn import SamplingParameters
from m1desk.jobs.store import JobStore
from m1desk.jobs.values import (
    Corpus,
    EngineChoice,
    JobEstimate,
    JobQuestion,
    JobSpec,
    RetryPolicy,
    Schedule,
)
from m1desk.models.demo import demo_model, sample_documents
from m1desk.store import Database, Folders, Measurements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from m1desk.jobs.values import JobResults

FAULTS = int(os.environ.get("M1DESK_FAULTS", "4"))
SEED = int(os.environ.get("M1DESK_FAULT_SEED", "1"))
MOMENT_SECONDS = 20.0
DAY = 86_400.0
PLAN = CheckpointPlan(first_tokens=256, growth=1.25, seconds=0.0)
"""Of long readings: the usual one would save nothing of documents as short as these."""
TESTS = Path(__file__).parents[1]
KINDS = ("table", "table on a server", "long document")
LONG_TEXT = drawn_out(
    (
        "Either party may terminate this agreement with 45 days' notice.",
        "This agreement takes effect on 3 May 2031.",
        "The price per unit is EUR 4,850.",
    ),
    characters=5_000,
)
"""What the demo model has sure answers about: rounding, which depends on what else the engine
computes at the same moment, does not tip them."""
QUESTIONS = (
    JobQuestion("Notice", "What is the notice period?"),
    JobQuestion("Start", "When does it take effect?"),
    JobQuestion("Price", "What is the price?"),
)

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="limits of other processes are Linux's"),
    pytest.mark.timeout(300 + 60 * FAULTS),
]


class Campaign:
    """Jobs at work in a process of their own, and what is done to it."""

    def __init__(self, folders: Folders, store: JobStore, place: Path) -> None:
        self.folders = folders
        self.store = store
        self.states = PreparedStates(folders.data / "prepared")
        self.log = place / "runner.log"
        self.clock = place / "clock"
        self.long = place / "ships.txt"
        self.long.write_text(LONG_TEXT)
        self.set_clock(0.0)
        self.dice = random.Random(SEED)
        self.tried: Counter[str] = Counter()
        self.port = free_port()
        self.server: subprocess.Popen[bytes] | None = None
        self.runner: psutil.Popen | None = None
        self.where = ""

    # -- what is at work ---------------------------------------------------------------------------

    def add(self, kind: str) -> int:
        engine = EngineChoice(LlamaSettings(demo_model(), context_tokens=4096, parallel=2))
        if kind == "table on a server":
            engine = EngineChoice(server=f"http://127.0.0.1:{self.port}")
        is_long = kind == "long document"
        spec = JobSpec(
            title="Samples",
            kind="questions" if is_long else "table",
            questions=QUESTIONS,
            corpus=Corpus(files=(self.long,) if is_long else sample_documents()),
            engine=engine,
            schedule=Schedule(not_before=time.time()),
            retry=RetryPolicy(attempts=30, wait_seconds=0.05),
            sampling=SamplingParameters(temperature=0.0, max_tokens=60),
        )
        return self.store.add(spec, JobEstimate())

    def add_all(self) -> dict[int, str]:
        return {self.add(kind): kind for kind in self.dice.sample(KINDS, len(KINDS))}

    def set_clock(self, ahead: float) -> None:
        """Set the clock on the wall of whoever works the queue."""
        self.clock.write_text(str(ahead))

    def start_server(self) -> None:
        line = command(demo_model(), context=4096, parallel=2, port=self.port)
        self.server = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert list(read_events(self.server))

    def stop_server(self) -> None:
        if self.server is not None:
            self.server.kill()
            self.server.communicate()

    def start_runner(self, where: str) -> None:
        """Work the queue, in a window or in a terminal, as after a crash or a reboot."""
        if self.runner is None or self.runner.poll() is not None:
            plan = json.dumps(asdict(PLAN))
            line = [sys.executable, "-m", "support.working_jobs", where, plan]
            paths = os.pathsep.join(map(str, (TESTS, TESTS.parent)))
            environment = {"PYTHONPATH": paths, "CLOCK_FILE": str(self.clock)}
            with self.log.open("ab") as log:
                self.runner = psutil.Popen(
                    line, stdout=log, stderr=log, env={**os.environ, **environment}
                )
            self.where = where

    def finish(self) -> None:
        """Work without harm until no job waits; a window would stay."""
        if self.where == "window":
            kill_runner(self)
        self.start_runner("terminal")
        assert self.runner is not None
        self.runner.wait(300)

    def stop(self) -> None:
        for one in [self.runner, *([] if self.runner is None else family(self.runner))]:
            if one is not None and one.is_running():
                one.kill()
        if self.runner is not None:
            self.runner.wait()
        self.stop_server()

    # -- what is done to it ------------------------------------------------------------------------

    def hurt(self) -> None:
        """Wait until something is being done, then do some harm."""
        self.start_runner(self.dice.choice(["window", "terminal"]))
        where = self.where
        is_at_it = self.dice.choice([self.is_running, self.is_asking])
        self.wait_until(lambda: is_at_it() or self.is_over())
        time.sleep(self.dice.uniform(0.0, 3.0 if is_at_it == self.is_running else 0.5))
        name = self.dice.choice(sorted(HARMS))
        took = HARMS[name](self)
        self.tried[f"{name}, {where}" if took else f"{name} (nothing was there)"] += 1

    def is_running(self) -> bool:
        return self.store.counts()["running"] > 0

    def is_asking(self) -> bool:
        """Whether a question is being answered, or all is done."""
        running = self.store.summaries(states=("running", "waiting"))
        steps = [step for job in running for step in self.store.steps(job.id)]
        return not running or any(one.kind == "ask" and one.state == "running" for one in steps)

    def is_over(self) -> bool:
        return self.runner is None or self.runner.poll() is not None

    def wait_until(self, happened: Callable[[], bool], seconds: float = 120.0) -> None:
        deadline = time.monotonic() + seconds
        while not happened():
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)

    def kill_recorded(self, which: str) -> bool:
        """Kill the engine or its guard, when there is one or will be one in a moment."""
        deadline = time.monotonic() + MOMENT_SECONDS
        while not self.is_over() and time.monotonic() < deadline:
            if self.kill_now(which):
                return True
            time.sleep(0.05)
        return False

    def kill_now(self, which: str) -> bool:
        for path in self.folders.runs.glob("*.json"):
            with contextlib.suppress(OSError, ValueError, KeyError):
                process = json.loads(path.read_text())[which]
                if process is not None:  # the guard runs before there is an engine
                    os.kill(process["pid"], signal.SIGKILL)
                    return True
        return False


def family(process: psutil.Process) -> list[psutil.Process]:
    try:
        found: list[psutil.Process] = process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    return found


def kill_runner(campaign: Campaign) -> bool:
    runner = campaign.runner
    if runner is None or campaign.is_over():
        return False
    runner.kill()
    runner.wait()
    return True


def kill_engine(campaign: Campaign) -> bool:
    return campaign.kill_recorded("engine")


def kill_engine_in_document(campaign: Campaign) -> bool:
    """Kill the engine when part of a document that it reads is on the disk."""
    deadline = time.monotonic() + MOMENT_SECONDS
    while not campaign.is_over() and time.monotonic() < deadline:
        if any(one.tokens > 0 and not one.is_complete for one in campaign.states.entries()):
            return campaign.kill_now("engine")
        time.sleep(0.02)
    return False


def kill_guard(campaign: Campaign) -> bool:
    return campaign.kill_recorded("guard")


def kill_all(campaign: Campaign) -> bool:
    """As a reboot does it: nobody is left to clear up."""
    took = campaign.kill_now("guard") and campaign.kill_now("engine")
    return kill_runner(campaign) or took


def fill_disk(campaign: Campaign) -> bool:
    """Let no file grow for a while: every write of the runner fails."""
    if campaign.runner is None or campaign.is_over():
        return False
    with contextlib.suppress(psutil.NoSuchProcess):
        campaign.runner.rlimit(psutil.RLIMIT_FSIZE, (1, psutil.RLIM_INFINITY))
        time.sleep(campaign.dice.uniform(0.5, 3.0))
        campaign.runner.rlimit(psutil.RLIMIT_FSIZE, (psutil.RLIM_INFINITY,) * 2)
    return True


def lose_server(campaign: Campaign) -> bool:
    campaign.stop_server()
    time.sleep(campaign.dice.uniform(0.0, 2.0))
    campaign.start_server()
    return True


def set_clock(campaign: Campaign) -> bool:
    """Let the clock fall back by days, or jump ahead; ahead it stays."""
    if campaign.is_over():
        return False
    campaign.set_clock(-campaign.dice.uniform(0.01, 9) * DAY)
    time.sleep(campaign.dice.uniform(0.1, 3.0))
    campaign.set_clock(campaign.dice.uniform(0.01, 9) * DAY)
    return True


HARMS = {
    "clock set": set_clock,
    "runner killed": kill_runner,
    "engine killed": kill_engine,
    "engine killed in a document": kill_engine_in_document,
    "guard killed": kill_guard,
    "all killed, as by a reboot": kill_all,
    "disk full": fill_disk,
    "server lost and back": lose_server,
}


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
    return port


@pytest.fixture
def campaign(home: Path, tmp_path: Path) -> Iterator[Campaign]:
    folders = Folders.under(home)
    with Database(folders.database) as database:
        safe = EngineCalibration(threads=1, self_test="safe_only")
        Measurements(database).put(calibration_key(), safe.to_dict())
        made = Campaign(folders, JobStore(database), tmp_path)
        made.start_server()
        try:
            yield made
        finally:
            made.stop()


def outcome(results: JobResults) -> list[tuple[object, ...]]:
    """What a job brought, to be compared."""
    return [
        (one.document, one.question, one.answer, one.details.citations) for one in results.answers
    ]


def test_faults_change_nothing_of_what_jobs_bring(campaign: Campaign) -> None:
    store = campaign.store
    undisturbed = campaign.add_all()
    campaign.finish()
    wanted = {kind: outcome(store.results(job)) for job, kind in undisturbed.items()}
    for job, kind in undisturbed.items():
        documents = 1 if kind == "long document" else len(sample_documents())
        assert store.state(job) == "done", campaign.log.read_text()
        assert len(wanted[kind]) == documents * len(QUESTIONS)
        assert all(one.attempts == 1 for one in store.steps(job))

    hurt = campaign.add_all()
    for _ in range(FAULTS):
        if not store.counts()["waiting"] + store.counts()["running"]:
            hurt |= campaign.add_all()
        campaign.hurt()
    campaign.finish()

    tried = ", ".join(f"{name}: {count}" for name, count in sorted(campaign.tried.items()))
    asked = again = read_on = 0
    for job, kind in hurt.items():
        assert store.state(job) == "done", f"{tried}\n{campaign.log.read_text()}"
        assert outcome(store.results(job)) == wanted[kind], tried
        steps = store.steps(job)
        read_on += sum("that were saved before" in one.text for one in store.log_lines(job))
        asked += len(steps)
        again += sum(one.attempts - 1 for one in steps)
    # A fault costs at most the step in hand; what was written is never asked again.
    assert again <= FAULTS, tried
    print(
        f"\nseed {SEED}: {tried}. {len(hurt)} jobs, {asked} steps, {again} of them begun again; "
        f"{read_on} readings went on from a checkpoint in the middle of a document."
    )
