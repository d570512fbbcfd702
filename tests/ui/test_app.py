"""The whole app with a real engine: asking, failing, closing, coming back, pictures."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from naming import unnamed_controls
from PySide6.QtCore import Qt
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QLabel

from m1desk.app_assembly import Assembly
from m1desk.app_options import WindowOptions
from m1desk.engines import EngineState, LlamaSettings
from m1desk.models.demo import GREETING_ANSWER
from m1desk.store import Database, Folders, SettingsStore
from m1desk.ui.bridge import Bridge
from m1desk.ui.main_window import MainWindow
from m1desk.ui.single_instance import Call
from m1desk.ui.viewmodels.settings import SettingsViewModel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pytestqt.qtbot import QtBot

    from m1desk.ui.theme import Theme

SLOW = 60_000  # milliseconds; CI machines are busy
OPTIONS = WindowOptions(calibrate=False, greet=False)


class App:
    """The parts as `app.run_window` puts them together, without its own event loop."""

    def __init__(self, theme: Theme, folders: Folders, options: WindowOptions) -> None:
        self.database = Database(folders.database)
        self.settings = SettingsViewModel(SettingsStore(self.database))
        self.bridge = Bridge()
        self.window = MainWindow(theme)
        self.codes: list[int] = []
        chosen = self.settings.settings
        self.window.restore(chosen.window_geometry, chosen.open_page, wide_sidebar=True)
        self.window.show()
        self.parts = Assembly(
            theme,
            self.window,
            self.settings,
            self.bridge,
            folders=folders,
            database=self.database,
            options=options,
            finish=self.codes.append,
        )
        self.parts.start()

    def answers(self) -> list[str]:
        return [m.content for m in self.parts.chat.conversation.messages if m.role == "assistant"]

    def close(self, qtbot: QtBot) -> None:
        """Close as the user does, and wait for the end as `run_window` does."""
        self.parts.closing.close_now()
        qtbot.waitUntil(lambda: bool(self.codes), timeout=SLOW)
        self.parts.close()
        assert self.bridge.stop()
        self.database.close()
        self.window.deleteLater()


@pytest.fixture
def folders(home: Path) -> Folders:
    return Folders.under(home)


@pytest.fixture
def start(theme: Theme, folders: Folders, qtbot: QtBot) -> Iterator[Callable[..., App]]:
    running: list[App] = []

    def begin(**options: Any) -> App:
        app = App(theme, folders, replace(OPTIONS, **options))
        running.append(app)
        return app

    yield begin
    for app in running:
        if app.bridge.is_running:
            app.close(qtbot)


def stop_key_works(app: App) -> bool:
    return next(a for a in app.window.actions() if a.objectName() == "stop").isEnabled()


def wait_ready(app: App, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: app.parts.engine.status.is_ready, timeout=SLOW)


def test_a_model_given_at_the_start_answers_the_prompt_and_the_app_ends(
    start: Callable[..., App], scripted_minimax: Path, qtbot: QtBot
) -> None:
    app = start(model_path=scripted_minimax, prompt="Hello", exit_after_answer=True)
    qtbot.waitUntil(lambda: bool(app.codes), timeout=SLOW)
    assert app.codes == [0]
    assert app.answers() == ["Hello! I am a very small model, and this is all I can say."]
    assert not app.window.isVisible()
    assert app.parts.core.engine.status.pid is None


def test_a_first_start_ends_with_the_demo_models_answer(
    start: Callable[..., App], qtbot: QtBot
) -> None:
    app = start(greet=True)
    qtbot.waitUntil(lambda: bool(app.answers()) and not app.parts.activity.is_writing, timeout=SLOW)
    (answer,) = app.answers()
    assert answer.startswith(GREETING_ANSWER)


@pytest.mark.parametrize("stops_first", [True, False])
def test_the_greeting_is_for_the_demo_model_and_no_other(
    stops_first: bool, start: Callable[..., App], tiny_llama: Path, qtbot: QtBot
) -> None:
    app = start(greet=True)
    engine = app.parts.engine
    with qtbot.waitSignal(engine.load_wished, timeout=SLOW):
        pass
    if stops_first:
        app.window.model_selector.unload_wished.emit()
        qtbot.waitUntil(lambda: engine.status.state is EngineState.STOPPED, timeout=SLOW)
    with qtbot.waitSignal(engine.loaded, timeout=SLOW):
        engine.load(LlamaSettings(tiny_llama))
    assert engine.status.model_path == tiny_llama
    assert not app.parts.chat.conversation.is_answering
    assert app.parts.chat.conversation.messages == ()


def test_a_model_that_can_not_be_loaded_ends_it_with_a_failure(
    start: Callable[..., App], tmp_path: Path, qtbot: QtBot
) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF")
    app = start(model_path=broken, prompt="Hello", exit_after_answer=True)
    qtbot.waitUntil(lambda: bool(app.codes), timeout=SLOW)
    assert app.codes == [1]


def test_a_broken_model_is_explained_in_the_window_which_lives_on(
    start: Callable[..., App], tmp_path: Path, qtbot: QtBot
) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF")
    app = start(model_path=broken)
    qtbot.waitUntil(lambda: app.window.banner.notice is not None, timeout=SLOW)
    notice = app.window.banner.notice
    assert notice is not None
    assert "broken.gguf" in notice.what
    assert [step.label for step in notice.steps] == ["Choose another model", "Show log"]


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")
def test_an_engine_killed_in_mid_answer_keeps_what_was_written_and_offers_the_next_step(
    start: Callable[..., App], tiny_llama: Path, qtbot: QtBot
) -> None:
    app = start(model_path=tiny_llama)
    wait_ready(app, qtbot)
    pid = app.parts.engine.status.pid
    assert pid is not None
    with qtbot.waitSignal(app.parts.chat.conversation.fed, timeout=SLOW):
        app.parts.chat.conversation.send("Write without end.")
    os.kill(pid, signal.SIGKILL)
    qtbot.waitUntil(lambda: app.window.banner.notice is not None, timeout=SLOW)
    qtbot.waitUntil(lambda: not app.parts.activity.is_writing, timeout=SLOW)
    answer = app.parts.chat.conversation.messages[-1]
    assert answer.state == "interrupted"
    assert answer.content
    notice = app.window.banner.notice
    assert notice is not None
    labels = [step.label for step in notice.steps]
    assert labels == ["Load again", "Load with safer settings", "Show log"]
    notice.steps[0].run()
    assert app.window.banner.notice is None
    wait_ready(app, qtbot)
    app.parts.engine.unload()
    qtbot.waitUntil(lambda: app.parts.engine.status.pid is None, timeout=SLOW)


def test_an_old_conversation_is_counted_by_the_engine_once_it_is_ready(
    start: Callable[..., App], scripted_llama: Path, qtbot: QtBot
) -> None:
    app = start()
    with qtbot.waitSignal(app.parts.chat.library.changed, timeout=SLOW):
        store = app.parts.core.store

    async def make() -> int:
        conversation = store.create()
        store.append(conversation.id, "user", "How many tokens are these?")
        return conversation.id

    made: list[int] = []
    app.bridge.submit(make(), made.append)
    qtbot.waitUntil(lambda: bool(made), timeout=SLOW)
    app.parts.chat.conversation.open(made[0])
    gauge = app.parts.chat_page.composer.gauge
    qtbot.waitUntil(lambda: gauge.text.startswith("~"), timeout=SLOW)
    app.parts.engine.load(LlamaSettings(scripted_llama, context_tokens=512, parallel=1))
    wait_ready(app, qtbot)
    qtbot.waitUntil(lambda: not gauge.text.startswith("~"), timeout=SLOW)
    used, _, total = gauge.text.partition(" / ")
    assert int(used) > len("How many tokens are these?") // 4
    assert total == "512"


def test_closing_while_a_model_loads_asks_and_cancel_keeps_all(
    start: Callable[..., App], tiny_llama: Path, qtbot: QtBot
) -> None:
    app = start()
    app.parts.loading.flow.offer(tiny_llama)
    dialog = app.parts.loading.flow.dialog
    assert dialog is not None
    qtbot.waitUntil(dialog.load_button.isEnabled, timeout=SLOW)
    dialog.load_button.click()
    assert app.parts.engine.status.is_busy_starting  # seen at once
    app.window.close()
    question = app.parts.closing.question
    assert question is not None
    assert "is loading" in question.text()
    next(b for b in question.buttons() if "Cancel" in b.text()).click()
    assert app.window.isVisible()
    wait_ready(app, qtbot)
    # It is remembered by what hears of the ready engine, perhaps a turn of the loop later.
    settings = app.settings
    qtbot.waitUntil(lambda: settings.settings.last_model_path == str(tiny_llama), timeout=SLOW)


def test_stop_and_quit_ends_the_answer_and_the_engine(
    start: Callable[..., App], tiny_llama: Path, qtbot: QtBot
) -> None:
    app = start(model_path=tiny_llama)
    wait_ready(app, qtbot)
    pid = app.parts.engine.status.pid
    assert pid is not None
    assert not stop_key_works(app)  # Esc belongs to fields while there is nothing to stop
    app.parts.chat.conversation.send("Write without end.")
    qtbot.waitUntil(lambda: app.parts.activity.is_writing, timeout=SLOW)
    assert stop_key_works(app)
    app.window.close()
    question = app.parts.closing.question
    if question is not None:  # the answer may have ended by itself
        next(b for b in question.buttons() if b.text() == "Stop and quit").click()
    qtbot.waitUntil(lambda: bool(app.codes), timeout=SLOW)
    assert app.codes == [0]
    assert not psutil.pid_exists(pid)


def test_page_and_conversation_come_back(
    start: Callable[..., App], scripted_llama: Path, qtbot: QtBot
) -> None:
    app = start(model_path=scripted_llama, prompt="Hello")
    qtbot.waitUntil(lambda: app.parts._answered, timeout=SLOW)
    app.window.show_page("monitor")
    app.close(qtbot)
    again = start()
    qtbot.waitUntil(lambda: bool(again.answers()), timeout=SLOW)
    assert again.answers() == app.answers()
    assert again.window.page == "monitor"


def test_a_system_prompt_of_the_settings_begins_every_new_chat(
    start: Callable[..., App], qtbot: QtBot
) -> None:
    app = start()
    app.settings.change(default_system_prompt="Be brief.")
    app.parts._on_command("new_chat")
    assert app.parts.chat.conversation.system_prompt == "Be brief."


def test_a_second_start_offers_its_model(
    start: Callable[..., App], tiny_llama: Path, qtbot: QtBot
) -> None:
    app = start()
    app.parts.open_handed_over(Call(tiny_llama))
    dialog = app.parts.loading.flow.dialog
    assert dialog is not None
    qtbot.waitUntil(dialog.load_button.isEnabled, timeout=SLOW)
    dialog.close()


@pytest.mark.parametrize("by", ["first start", "second start"])
def test_documents_given_at_a_start_are_read_into_a_new_set(
    start: Callable[..., App], tmp_path: Path, qtbot: QtBot, by: str
) -> None:
    folder = tmp_path / "papers"
    folder.mkdir()
    (folder / "a.txt").write_text("The fee is 5 euros.")
    if by == "first start":
        app = start(documents=(folder,))
    else:
        app = start()
        app.parts.open_handed_over(Call(documents=(folder,)))
    files = app.parts.documents_desk.documents.files
    qtbot.waitUntil(lambda: "5 euros" in files.text.text, timeout=SLOW)
    assert files.info is not None
    assert files.info.name == "papers"
    assert app.window.page == "documents"


def test_every_control_of_the_window_has_a_name(start: Callable[..., App], qtbot: QtBot) -> None:
    app = start()
    qtbot.waitUntil(lambda: app.parts.models.was_scanned, timeout=SLOW)
    unnamed = unnamed_controls(app.window)
    assert [(c, c.parent(), c.toolTip()) for c in unnamed] == []


def test_markup_of_ours_is_rendered_on_every_page(start: Callable[..., App], qtbot: QtBot) -> None:
    app = start()
    app.window.show_page("monitor")

    def texts(kind: Qt.TextFormat) -> list[str]:
        labels = app.window.findChildren(QLabel)
        return [label.text() for label in labels if label.textFormat() is kind]

    rich = Qt.TextFormat.RichText
    qtbot.waitUntil(lambda: any("&nbsp;" in text for text in texts(rich)), timeout=SLOW)
    assert any("</a>" in text for text in texts(rich))
    assert texts(Qt.TextFormat.AutoText) == []
    assert [
        text for text in texts(Qt.TextFormat.PlainText) if "</" in text or "&nbsp;" in text
    ] == []


RUN = """
import sys
from pathlib import Path
from m1desk.app import run_window
from m1desk.app_options import WindowOptions
sys.exit(run_window(WindowOptions(**eval(sys.argv[1]))))
"""


def run_window(**options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", RUN, repr({"calibrate": False, **options})],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("page", ["models", "monitor"])
def test_a_picture_of_a_page_is_taken_without_a_display(
    page: str, tmp_path: Path, home: Path
) -> None:
    picture = tmp_path / "window.png"
    done = subprocess.run(
        [
            sys.executable, "-c", RUN,
            f"dict(screenshot=Path({str(picture)!r}), page={page!r}, size=(900, 600))",
        ],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    image = QImage(str(picture))
    assert (image.width(), image.height()) == (900, 600)
    with Database(Folders.under(home).database) as database:
        assert SettingsStore(database).load().window_geometry == b""  # nothing is remembered


def test_a_home_that_can_not_be_made_is_told_and_ends_with_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a-file").write_text("")
    monkeypatch.setenv("M1DESK_HOME", str(tmp_path / "a-file"))
    done = run_window()
    assert done.returncode == 1
    assert "can't be made" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM is POSIX")
def test_a_request_to_end_closes_the_window_cleanly(home: Path) -> None:
    line = [sys.executable, "-c", RUN, "dict(calibrate=False)"]
    with subprocess.Popen(line, stderr=subprocess.PIPE, text=True) as process:
        wait_for_lock(home)
        second = run_window()  # the first takes the call, so it is up
        assert second.returncode == 0
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert process.returncode in {0, -signal.SIGTERM}, errors
    assert "Traceback" not in errors


def wait_for_lock(home: Path) -> None:
    lock = home / "data" / "window.lock"
    until = time.monotonic() + 60
    while not (lock.exists() and lock.read_bytes().strip()):
        assert time.monotonic() < until
        time.sleep(0.05)
