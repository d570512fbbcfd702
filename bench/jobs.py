"""A queue of ten thousand jobs: how fast it opens and moves, and how large it is on the disk.

Run: python -m bench.jobs [--jobs 10000]

Half of the jobs wait, the others have ended with results of a table. Each figure is the median of
five runs, with the smallest and the largest. Exits with 1 when a goal is missed.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from m1desk.documents import AnswerDetails, Citation, ReadReceipt  # noqa: E402 - after the path
from m1desk.engines import LlamaSettings  # noqa: E402 - after the path
from m1desk.jobs.store import JobStore  # noqa: E402 - after the path
from m1desk.jobs.values import (  # noqa: E402 - after the path
    Corpus,
    EngineChoice,
    JobAnswer,
    JobEstimate,
    JobProgress,
    JobQuestion,
    JobSpec,
    JobStep,
)
from m1desk.store import Database  # noqa: E402 - after the path

GOAL_SECONDS = 0.3
ROUNDS = 5
MIB = 1 << 20
QUESTIONS = tuple(JobQuestion(f"Column {n}", f"What does it say of point {n}?") for n in range(6))


def fill(store: JobStore, jobs: int) -> None:
    """Put jobs in, as a person and a runner would over a long time."""
    spec = JobSpec(
        title="A portfolio of contracts",
        kind="table",
        questions=QUESTIONS,
        corpus=Corpus(files=(Path("/documents/contracts"),)),
        engine=EngineChoice(LlamaSettings(Path("/models/MiniMax-M1-80k-Q4_K_M.gguf"), 65_536)),
    )
    estimate = JobEstimate(120_000, 1200, (600.0, 900.0), (20.0, 30.0), (0.005, 0.01), "Roughly.")
    with store.transaction():
        for number in range(jobs):
            job_id = store.add(spec, estimate)
            store.log(job_id, "MiniMax-M1 answers with 65,536 tokens of context.")
            if number % 2:
                end(store, job_id)


def end(store: JobStore, job_id: int) -> None:
    quote = "Either party may end this agreement with 45 days of notice in writing."
    citation = Citation(
        quote, 9, 89, "verified", 1.0, "contract.pdf", 3, "contract.pdf", 3, 400, 480
    )
    store.start(job_id)
    store.plan_steps(
        job_id,
        [
            JobStep(n, "ask", "contract.pdf", one.name, "waiting")
            for n, one in enumerate(QUESTIONS, 1)
        ],
    )
    for number, one in enumerate(QUESTIONS, 1):
        answer = JobAnswer(
            "contract.pdf", one.name, one.text, f'45 days: "{quote}" [contract.pdf p.3]', "",
            "MiniMax-M1", AnswerDetails((citation,), receipt=ReadReceipt(20_000, 20_000, 0)),
        )  # fmt: skip
        store.end_step(job_id, number, answer, JobProgress(read_tokens=20_000, seconds=60.0))
    store.end(job_id)


def timed(what: str, work: Callable[[], object]) -> float:
    """Measure, print, and return the median (seconds)."""
    seconds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    median = statistics.median(seconds)
    span = f"{min(seconds) * 1000:.1f} to {max(seconds) * 1000:.1f}"
    print(f"{what:<42} {median * 1000:8.1f} ms  ({span})")
    return median


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=10_000)
    jobs = parser.parse_args().jobs
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "jobs.sqlite3"
        with Database(path) as database:
            fill(JobStore(database), jobs)
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        print(f"{jobs:,} jobs, half of them with six answers: {path.stat().st_size / MIB:.1f} MiB")

        def opened() -> None:
            with Database(path) as database:
                JobStore(database).summaries()

        slowest = timed("open the database and list all jobs", opened)
        with Database(path) as database:
            store = JobStore(database)
            ids = [one.id for one in store.summaries() if one.state == "waiting"]
            slowest = max(
                slowest,
                timed("list all jobs", store.summaries),
                timed("list the first hundred", lambda: store.summaries(100)),
                timed("count the states", store.counts),
                timed("find the next job", lambda: store.next_waiting(0, idle=True, on_mains=True)),
                timed("move the last job to the front", lambda: store.move(ids[-1], ids[0])),
                timed("add a job", lambda: store.add(store.job(ids[0]).spec, JobEstimate())),
                timed("read the results of one", lambda: store.results(2)),
                timed("look for what a crash left", store.recover),
            )
    is_met = slowest <= GOAL_SECONDS
    print(f"goal: {GOAL_SECONDS * 1000:.0f} ms at most: {'met' if is_met else 'MISSED'}")
    return 0 if is_met else 1


if __name__ == "__main__":
    sys.exit(main())
