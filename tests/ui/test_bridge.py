"""The bridge between the window and the loop's thread."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import TYPE_CHECKING

import pytest

from m1desk.ui.bridge import Bridge

if TYPE_CHECKING:
    from pytestqt.qtbot import QtBot


async def identity(value: object) -> object:
    return value


async def fail() -> None:
    raise ValueError("broken")


def test_a_result_arrives_on_the_gui_thread(qtbot: QtBot, bridge: Bridge) -> None:
    got: list[object] = []
    bridge.submit(identity(42), lambda value: got.extend((value, threading.current_thread())))
    qtbot.waitUntil(lambda: bool(got))
    assert got == [42, threading.main_thread()]


def test_coroutines_run_on_one_thread_that_is_not_the_guis(qtbot: QtBot, bridge: Bridge) -> None:
    async def where() -> threading.Thread:
        return threading.current_thread()

    got: list[threading.Thread] = []
    for _ in range(3):
        bridge.submit(where(), got.append)
    qtbot.waitUntil(lambda: len(got) == 3)
    assert len(set(got)) == 1
    assert got[0] is not threading.main_thread()


def test_an_exception_reaches_on_error_on_the_gui_thread(qtbot: QtBot, bridge: Bridge) -> None:
    got: list[object] = []
    bridge.submit(fail(), None, lambda error: got.extend((str(error), threading.current_thread())))
    qtbot.waitUntil(lambda: bool(got))
    assert got == ["broken", threading.main_thread()]


def test_an_exception_nobody_asked_for_reaches_failed(qtbot: QtBot) -> None:
    bridge = Bridge()
    with qtbot.waitSignal(bridge.failed) as caught:
        bridge.submit(fail())
    assert str(caught.args[0]) == "broken"
    bridge.stop()


def test_events_come_in_batches_in_order_and_none_is_lost(qtbot: QtBot, bridge: Bridge) -> None:
    batches: list[tuple[int, ...]] = []
    bridge.events.connect(batches.append)

    async def speak() -> None:
        for number in range(5000):
            bridge.post(number)
            if number % 100 == 0:
                await asyncio.sleep(0)

    bridge.submit(speak())
    qtbot.waitUntil(lambda: sum(map(len, batches)) == 5000)
    assert [number for batch in batches for number in batch] == list(range(5000))
    assert len(batches) < 500


def test_a_result_comes_after_the_events_that_came_before_it(qtbot: QtBot, bridge: Bridge) -> None:
    got: list[object] = []
    bridge.events.connect(got.extend)

    async def speak() -> str:
        bridge.post("one")
        bridge.post("two")
        return "result"

    bridge.submit(speak(), got.append)
    qtbot.waitUntil(lambda: "result" in got)
    assert got == ["one", "two", "result"]


def test_a_cancelled_coroutine_is_cancelled_and_reports_nothing(
    qtbot: QtBot, bridge: Bridge
) -> None:
    started, cancelled, reported = threading.Event(), threading.Event(), []

    async def wait() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    submission = bridge.submit(wait(), reported.append, reported.append)
    assert started.wait(5)
    submission.cancel()
    assert cancelled.wait(5)
    done: list[object] = []
    bridge.submit(identity(1), done.append)
    qtbot.waitUntil(lambda: bool(done))
    assert reported == []


def test_stop_ends_what_runs_and_the_thread(qtbot: QtBot) -> None:
    bridge = Bridge()
    started, ended = threading.Event(), threading.Event()

    async def wait() -> None:
        started.set()
        try:
            await asyncio.sleep(1000)
        finally:
            ended.set()

    bridge.submit(wait())
    assert started.wait(5)
    assert bridge.stop()
    assert ended.is_set()
    assert bridge.stop()
    assert bridge.submit(identity(1)).is_cancelled


def test_a_task_nobody_holds_is_not_collected(qtbot: QtBot, bridge: Bridge) -> None:
    got: list[object] = []

    async def slow() -> str:
        await asyncio.get_running_loop().create_task(asyncio.sleep(0.05))
        return "done"

    bridge.submit(slow(), got.append)
    gc.collect()
    qtbot.waitUntil(lambda: got == ["done"])


def test_a_fault_in_one_receiver_does_not_swallow_the_rest(
    qtbot: QtBot, bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[object] = []
    monkeypatch.setattr("sys.excepthook", lambda *what: shown.append(what[1]))
    got: list[object] = []

    def breaks(_: object) -> None:
        raise RuntimeError("slot")

    bridge.submit(identity(1), breaks)
    bridge.submit(identity(2), got.append)
    qtbot.waitUntil(lambda: got == [2])
    assert [str(one) for one in shown] == ["slot"]
