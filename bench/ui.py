"""Measures the window against its goals: stalls while an answer streams, opening, first paint.

    python bench/ui.py [--characters N] [--json]

Runs offscreen with the real database, turn runner, bridge and chat page; only the engine is a
stand-in that writes a thousand tokens a second. Exits with 1 when a goal is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from PySide6.QtCore import QCoreApplication, QEvent, QEventLoop  # noqa: E402 - after the path

from bench.window import Stalls, application, settle, wait  # noqa: E402 - after the path; sets the platform
from m1desk.chat import ConversationStore, TurnRunner  # noqa: E402 - after the path
from m1desk.engines.status import EngineState, EngineStatus  # noqa: E402 - after the path
from m1desk.engines.turn import ChatRequest, TextDelta, TurnEvent, TurnFinished  # noqa: E402 - after the path
from m1desk.store import Database  # noqa: E402 - after the path
from m1desk.ui.bridge import Bridge  # noqa: E402 - after the path
from m1desk.ui.pages.chat_page import ChatPage  # noqa: E402 - after the path
from m1desk.ui.theme import Theme  # noqa: E402 - after the path
from m1desk.ui.viewmodels.chat import ChatViewModel  # noqa: E402 - after the path

TOKENS_PER_SECOND = 1000
CHARACTERS = 100_000
MESSAGES = 10_000
GOALS = {"stall_p99_ms": 16.0, "stall_max_ms": 50.0, "open_ms": 200.0, "first_paint_ms": 400.0}


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured; times in milliseconds, the CPU as a share of one core."""

    stall_p50_ms: float
    stall_p99_ms: float
    stall_max_ms: float
    streamed_characters: int
    cpu_share: float
    open_ms: float
    open_again_ms: float
    first_paint_ms: float


def make_answer(characters: int) -> str:
    """A long answer as models write them: headings, prose, lists, tables and code."""
    parts: list[str] = []
    number = 0
    while sum(map(len, parts)) < characters:
        number += 1
        code = "\n".join(
            f"    total_{n} = sum(value * {n} for value in values)  # step {n}" for n in range(25)
        )
        rows = "\n".join(f"| model-{n} | {n * 7} GB | {n * 3.5} tok/s |" for n in range(12))
        points = "\n".join(f"- point {n} with **weight** and `code`, and more" for n in range(20))
        steps = "\n".join(f"{n}. step {n}\n   - a detail of *{n}*" for n in range(1, 8))
        prose = "A sentence of running text with [a link](https://example.org) in it. " * 8
        parts += [f"## Part {number}\n\n{prose}\n\n{prose}\n\n{points}\n\n{steps}\n\n"]
        parts += [f"```python\ndef part_{number}(values: list[int]) -> int:\n{code}\n```\n\n"]
        parts += [f"| Name | Size | Speed |\n|:-----|-----:|:-----:|\n{rows}\n\n> {prose}\n\n"]
    return "".join(parts)[:characters]


class FastEngine:
    """Stands in for an engine: writes a given text at a given speed."""

    model = "bench"

    def __init__(self, text: str) -> None:
        self._tokens = [text[i : i + 4] for i in range(0, len(text), 4)]

    async def stream_turn(self, _request: ChatRequest) -> AsyncIterator[TurnEvent]:
        began = time.perf_counter()
        for number, token in enumerate(self._tokens):
            due = began + number / TOKENS_PER_SECOND
            if due > time.perf_counter():
                await asyncio.sleep(due - time.perf_counter())
            yield TextDelta(token)
        yield TurnFinished("stop", 20, len(self._tokens), 0, 0.01, TOKENS_PER_SECOND, 1000.0)


class Bench:
    """The chat page with all that belongs to it, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.theme = Theme(application(), "light")
        self.bridge = Bridge()
        self.store = self.on_loop(lambda: ConversationStore(Database(folder / "bench.db")))
        self.runner = self.on_loop(lambda: TurnRunner(self.store, self.bridge.post))
        self.models = ChatViewModel(self.bridge, self.store, self.runner)
        self.page = ChatPage(self.models, self.theme)
        self.page.resize(1200, 800)
        self.page.show()
        self.models.start()
        settle()

    def on_loop(self, make: Callable[[], object]) -> object:
        made: list[object] = []

        async def run() -> object:
            return make()

        self.bridge.submit(run(), made.append)
        wait(lambda: bool(made), 120)
        return made[0]

    def stream(self, text: str) -> tuple[list[float], float]:
        """Stream an answer; return the stalls (ms) and the share of one core that it took."""
        status = EngineStatus(EngineState.READY, context_tokens=1_000_000)
        self.models.set_engine(status, FastEngine(text))
        conversation = self.models.conversation
        conversation.start_new()
        wait(lambda: False, 0.2)
        stalls = Stalls()
        cpu, began = time.process_time(), time.perf_counter()
        stalls.start()
        conversation.send("Write me a long text.")
        limit = 3 * len(text) / 4 / TOKENS_PER_SECOND + 10
        wait(lambda: not conversation.is_answering, limit)
        wait(lambda: self.page.view.highlighter.is_idle, 10)
        stalls.stop()
        share = (time.process_time() - cpu) / (time.perf_counter() - began)
        assert conversation.messages[-1].content == text, "not all text arrived"
        return stalls.milliseconds, share

    def fill(self, messages: int) -> int:
        """Make a conversation of so many messages; return its id."""

        def make() -> int:
            conversation = self.store.create("A long one")
            for number in range(messages):
                role = "assistant" if number % 2 else "user"
                text = ANSWER if number % 2 else f"Question {number}: how is this done?"
                self.store.append(conversation.id, role, f"{number}. {text}")
            return conversation.id

        return self.on_loop(make)

    def open(self, conversation_id: int) -> float:
        """Open a conversation; return how long until its newest messages are painted (ms)."""
        seen: list[int] = []
        self.models.conversation.start_new()
        wait(lambda: False, 0.5)
        connection = self.models.conversation.reset.connect(lambda *_: seen.append(1))
        began = time.perf_counter()
        self.models.conversation.open(conversation_id)
        while not seen:
            QCoreApplication.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)
        QCoreApplication.sendPostedEvents(None, QEvent.Type.LayoutRequest)
        self.page.grab()
        took = (time.perf_counter() - began) * 1000
        self.models.conversation.reset.disconnect(connection)
        assert self.page.view.messages[-1].content.startswith(f"{MESSAGES - 1}.")
        return took

    def close(self) -> None:
        self.page.release()
        self.bridge.stop()


ANSWER = """Here is **how**:

1. Read the file
2. Sort what was read

```python
def run(path: str) -> list[str]:
    return sorted(open(path))
```

That is all there is to it, apart from the *errors* that one has to think of.
"""


FIRST_PAINT = """
import os, sys, time
from m1desk import app

class Window(app.MainWindow):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.first_painted.connect(self.tell)

    def tell(self):
        print(time.monotonic(), flush=True)
        os._exit(0)

app.MainWindow = Window
app.run_window(app.WindowOptions())
"""
"""Runs the real app up to its first paint and prints when that was (s, the system's clock)."""


def first_paint_ms() -> float:
    """Start the app anew, once to warm up; return the median time to its first paint (ms)."""
    took: list[float] = []
    for _ in range(6):
        with tempfile.TemporaryDirectory() as home:
            began = time.monotonic()
            done = subprocess.run(
                [sys.executable, "-c", FIRST_PAINT],
                env={**os.environ, "M1DESK_HOME": home},
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=60,
                check=True,
            )
        took.append((float(done.stdout) - began) * 1000)
    return statistics.median(took[1:])


def measure(characters: int) -> Figures:
    """Run all measurements."""
    text = make_answer(characters)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        try:
            long_one = bench.fill(MESSAGES)
            open_ms = bench.open(long_one)
            again_ms = statistics.median(bench.open(long_one) for _ in range(3))
            stalls, share = bench.stream(text)
        finally:
            bench.close()
    cuts = statistics.quantiles(stalls, n=100)
    return Figures(
        stall_p50_ms=cuts[49],
        stall_p99_ms=cuts[98],
        stall_max_ms=max(stalls),
        streamed_characters=len(text),
        cpu_share=share,
        open_ms=open_ms,
        open_again_ms=again_ms,
        first_paint_ms=first_paint_ms(),
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--characters", type=int, default=CHARACTERS, help="length of the answer")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    figures = asdict(measure(arguments.characters))
    missed = [name for name, goal in GOALS.items() if figures[name] > goal]
    if arguments.json:
        print(json.dumps({**figures, "goals": GOALS, "missed": missed}))
    else:
        for name, value in figures.items():
            goal = f"   goal <= {GOALS[name]:g}" if name in GOALS else ""
            mark = "   MISSED" if name in missed else ""
            print(f"{name:>20} {value:12.2f}{goal}{mark}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
