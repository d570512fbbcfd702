"""kill -9 of the window or the engine in a long reading: at most an interval of it is lost.

M1DESK_KILLS sets how often each is killed; twice where it is not set.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.windows import (
    SECONDS,
    alive,
    measured_folders,
    run_record,
    running_window,
    wait_until,
)

from m1desk.documents import AskedQuestion, DocumentSets, PreparedStates, read_documents
from m1desk.engines import CheckpointPlan
from m1desk.llama_worker.tiny_model import TinyModelSpec, write_tiny_model
from m1desk.store import AppSettings, Database, Folders, SettingsStore

if TYPE_CHECKING:
    import psutil

KILLS = int(os.environ.get("M1DESK_KILLS", "2"))

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX"),
    pytest.mark.timeout(SECONDS * 2 * (KILLS + 1)),  # two windows each, and the fixtures'
]

STEP = 512  # tokens, at most; LlamaSettings.ubatch_tokens
STEP_SECONDS = 0.2  # about
CONTEXT = 12_288
PLAN = CheckpointPlan(first_tokens=2048, growth=1.25, seconds=0.0)
QUESTION = "Who sat there?"
SAMPLING = {"temperature": 2.0, "seed": 7, "max_tokens": 150}
"""Drawn with a seed, so many words tell of small differences in what was remembered."""
SENTENCES = [
    f"On page {page} cat {page * 7 % 13} sat on mat {page * page % 17} and saw {page % 101} dogs."
    for page in range(200)
]
TESTS = Path(__file__).parent
PATHS = {
    "usual": [TESTS, TESTS.parent],
    "slow": [TESTS / "support" / "slow_disk", TESTS, TESTS.parent],
}
"""Where Python looks for modules, by the disk it is to have."""


Events = Iterator[dict[str, Any]]


@dataclass(frozen=True)
class Case:
    """A user's folders, with a model and a set of documents to be asked about."""

    folders: Folders
    home: Path
    model: Path

    def asked(self) -> AskedQuestion | None:
        """The last question, whatever its state."""
        with Database(self.folders.database) as database:
            sets = DocumentSets(database)
            questions = sets.questions(sets.all()[0].id)
        return questions[-1] if questions else None

    def forget(self) -> None:
        """Remove what the engine has kept of the documents."""
        PreparedStates(self.folders.data / "prepared").sweep(set_ids=())


@dataclass(frozen=True)
class Killed:
    """A reading that was cut off: how many tokens were read by then, how many said to be saved.

    One whose kill came too late is finished: all was read, and is kept.
    """

    read: int = 0
    saved: int = 0
    finished: bool = False

    def after(self, event: dict[str, Any]) -> Killed:
        """The same with one more event."""
        match event["event"]:
            case "PrefillProgress":
                return replace(self, read=event["done"])
            case "StateSaved":
                return replace(self, saved=event["tokens"])
            case "PrepareFinished":
                tokens = event["tokens"]
                return replace(self, read=tokens, saved=tokens, finished=True)
        return self


@dataclass(frozen=True)
class Reading:
    """What a preparation that came to its end says of itself, and the answer after it."""

    tokens: int
    restored: int
    read: int
    answer: str


def make_case(home: Path, model: Path, text: str) -> Case:
    folders = measured_folders(home)
    document = home / "case.txt"
    document.write_text(text)
    chosen = AppSettings(
        default_context_tokens=CONTEXT,
        default_parallel=2,
        default_sampling=SAMPLING,
    )
    with Database(folders.database) as database:
        SettingsStore(database).save(chosen)
        sets = DocumentSets(database)
        sets.add(sets.create("Case"), asyncio.run(read_documents([document])))
    return Case(folders, home, model)


@contextmanager
def reading_window(case: Case, disk: str) -> Iterator[tuple[psutil.Popen, Events]]:
    """A window that has begun to read the documents for the question it was asked.

    The events are what the engine tells it of the reading, until the window ends.
    """
    words = ("support.asking_window", str(case.model), QUESTION, json.dumps(asdict(PLAN)))
    environment = {
        "M1DESK_HOME": str(case.home),
        "PYTHONPATH": os.pathsep.join(map(str, PATHS[disk])),
    }

    first: list[bytes] = []  # of a reading that is all restored it is the only one

    def has_begun(window: psutil.Popen) -> bool:
        first.extend(islice(window.stdout, 1))
        return bool(first)

    with running_window(words, has_begun, "the reading begins", **environment) as window:
        yield window, map(json.loads, chain(first, window.stdout))


def read_to_the_end(case: Case) -> Reading:
    with reading_window(case, "usual") as (window, events):
        on_the_way = {"PrefillProgress", "StateSaved"}
        end = next((event for event in events if event["event"] not in on_the_way), None)
        assert end is not None, "the window ended while it was reading"
        assert end["event"] == "PrepareFinished", end
        answered = wait_for_end(case)
        assert answered.state == "complete", answered.error
        window.terminate()
        assert window.wait(SECONDS) == 0
    return Reading(end["tokens"], end["restored_tokens"], end["read_tokens"], answered.answer)


def read_and_kill(case: Case, disk: str, victim: str, moment: int, seconds: float) -> Killed:
    """Kill the victim so many seconds after `moment` tokens are read."""
    killed = Killed()
    with reading_window(case, disk) as (window, events):
        for event in events:
            killed = killed.after(event)
            if killed.finished or killed.read >= moment:
                break
        time.sleep(seconds)
        family = window.children(recursive=True)
        if victim == "window":
            window.kill()
        else:
            os.kill(run_record(case.folders)[victim]["pid"], signal.SIGKILL)
            wait_for_end(case)
            assert window.is_running()
            window.terminate()
            assert window.wait(SECONDS) == 0
        assert alive(family) == []
        for event in events:
            killed = killed.after(event)
    return killed


def wait_for_end(case: Case) -> AskedQuestion:
    def has_ended() -> bool:
        asked = case.asked()
        return asked is not None and asked.state != "streaming"

    wait_until(has_ended, "the question has an end")
    ended = case.asked()
    assert ended is not None
    return ended


def interval_after(tokens: int) -> float:
    """How many tokens an interval has that begins after so many."""
    return max(PLAN.first_tokens, (PLAN.growth - 1) * tokens)


@pytest.fixture(scope="module")
def model(tiny_models: Path) -> Path:
    """M1's architecture; half of its layers look back at all that was read."""
    spec = TinyModelSpec(
        architecture="minimax-01",
        name="reading",
        full_attention_interval=2,
        context_tokens=CONTEXT,
    )
    return write_tiny_model(tiny_models / "reading-F32.gguf", spec)


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Case:
    return make_case(tmp_path_factory.mktemp("reading"), model, " ".join(SENTENCES))


@pytest.fixture(scope="module")
def undisturbed(case: Case) -> Reading:
    reading = read_to_the_end(case)
    assert reading.restored == 0
    assert reading.tokens > 3 * PLAN.first_tokens
    return reading


def test_an_answer_without_a_part_of_the_reading_is_another_one(
    undisturbed: Reading, model: Path, home: Path
) -> None:
    torn = make_case(home, model, " ".join([*SENTENCES[:60], *SENTENCES[90:]]))
    assert read_to_the_end(torn).answer != undisturbed.answer


@pytest.mark.parametrize(
    ("victim", "disk"), [("window", "usual"), ("engine", "usual"), ("engine", "slow")]
)
def test_a_killed_reading_goes_on_and_has_lost_an_interval_at_most(
    case: Case, undisturbed: Reading, victim: str, disk: str
) -> None:
    chance = random.Random(f"{victim} {disk}")
    for _ in range(KILLS):
        case.forget()
        moment, seconds = chance.randrange(undisturbed.tokens), chance.uniform(0.0, STEP_SECONDS)
        killed = read_and_kill(case, disk, victim, moment, seconds)
        resumed = read_to_the_end(case)
        lost = killed.read - resumed.restored
        print(f"killed after {killed.read} tokens: {resumed.restored} restored, {lost} lost")
        assert resumed.restored >= killed.saved
        assert lost <= interval_after(resumed.restored) + STEP
        assert resumed.restored + resumed.read == resumed.tokens == undisturbed.tokens
        assert resumed.answer == undisturbed.answer
