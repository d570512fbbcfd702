"""Jobs in the whole window with a real engine: put together, run, read, exported, closed on."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from test_app import OPTIONS, SLOW, App, wait_ready
from test_documents_app import QUOTE, SCRIPT, drop

from m1desk.engines import LlamaSettings, ServerProfile, ServerSecrets
from m1desk.jobs.values import (
    Corpus,
    EngineChoice,
    JobChanged,
    JobEstimate,
    JobQuestion,
    JobSpec,
    Schedule,
)
from m1desk.llama_worker.tiny_model import TinyModelSpec, write_tiny_model
from m1desk.models.demo import sample_documents
from m1desk.store import Folders

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pytestqt.qtbot import QtBot

    from m1desk.app_jobs_desk import JobsDesk
    from m1desk.jobs.values import JobSummary
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.jobs_open import OpenJob
    from m1desk.ui.widgets.job_dialog import NewJobDialog

pytestmark = pytest.mark.timeout(900)  # models are loaded and asked, beside whatever else runs
LONG = 5 * SLOW

QUESTIONS = (
    JobQuestion("Notice", "What is the notice period?"),
    JobQuestion("Party", "Who may give notice?"),
)
CONTRACT = next(path for path in sample_documents() if path.name == "service-contract.pdf")


@pytest.fixture(scope="session")
def quoting_model(tiny_models: Path) -> Path:
    """M1's architecture; it quotes the sample contract whatever it is asked."""
    spec = TinyModelSpec(architecture="minimax-01", name="quoting", script=SCRIPT)
    return write_tiny_model(tiny_models / "quoting-jobs-F32.gguf", spec)


@pytest.fixture
def start(theme: Theme, home: Path, qtbot: QtBot) -> Iterator[Callable[[], App]]:
    running: list[App] = []

    def begin() -> App:
        app = App(theme, Folders.under(home), OPTIONS)
        running.append(app)
        return app

    yield begin
    for app in running:
        if app.bridge.is_running:
            app.close(qtbot)


def desk(app: App) -> JobsDesk:
    return app.parts.jobs_desk


def dialog(app: App) -> NewJobDialog:
    found = desk(app).dialog
    assert found is not None
    return found


def load_model(app: App, model: Path, qtbot: QtBot) -> None:
    app.parts.engine.load(LlamaSettings(model, context_tokens=8192, parallel=2))
    wait_ready(app, qtbot)


def fill(made: NewJobDialog, title: str, kind: str) -> None:
    made.title.setText(title)
    made.title.textEdited.emit(title)
    made.kind.setCurrentIndex(made.kind.findData(kind))
    made.questions.set_questions(QUESTIONS)


def add(app: App, qtbot: QtBot) -> None:
    """Wait for the estimate and add the job that is in the dialog."""
    made = dialog(app)
    assert made.add.isEnabled(), made.add.toolTip()
    qtbot.waitUntil(lambda: "tokens to read" in made.estimate_text, timeout=LONG)
    made.add.click()
    qtbot.waitUntil(lambda: desk(app).dialog is None, timeout=LONG)


def opened(app: App) -> OpenJob | None:
    return desk(app).jobs.open_job.open_job


def summary(app: App) -> JobSummary | None:
    found = opened(app)
    return None if found is None else found.job.summary


def wait_for_state(app: App, state: str, qtbot: QtBot) -> OpenJob:
    def has_state() -> None:
        found = summary(app)
        assert found is not None
        assert found.state == state, found.problem or found.note

    qtbot.waitUntil(has_state, timeout=LONG)
    found = opened(app)
    assert found is not None
    return found


def test_a_dropped_contract_becomes_a_table_with_checked_quotes_that_is_read_and_exported(
    start: Callable[[], App], quoting_model: Path, tmp_path: Path, qtbot: QtBot
) -> None:
    app = start()
    load_model(app, quoting_model, qtbot)
    app.window.show_page("jobs")
    qtbot.waitUntil(lambda: desk(app).page.is_empty, timeout=LONG)
    drop(app, (CONTRACT,))
    qtbot.waitUntil(lambda: desk(app).dialog is not None, timeout=LONG)
    fill(dialog(app), "Notice periods", "table")
    add(app, qtbot)
    done = wait_for_state(app, "done", qtbot)
    (row,) = done.table.rows
    assert row.title == CONTRACT.name
    assert [cell.status for cell in row.cells] == ["verified", "verified"]
    page = desk(app).page
    page.job.results.table.choose(0, 0)
    answer = page.job.results.answer
    assert answer is not None
    assert answer.cell.answer is not None
    answer.citation_chosen.emit(answer.cell.answer, 1)
    qtbot.waitUntil(lambda: page.viewer.text.passage is not None, timeout=LONG)
    first, last = page.viewer.text.passage or (0, 0)
    assert page.viewer.text.text[first:last].replace("’", "'") == QUOTE
    assert page.viewer.note == ""
    path = tmp_path / "results.json"
    with qtbot.waitSignal(desk(app).jobs.exported, timeout=LONG):
        desk(app).jobs.export(done.results, path)
    assert QUOTE in json.dumps(json.loads(path.read_text()), ensure_ascii=False).replace("’", "'")


def test_a_question_on_the_documents_page_becomes_a_job_about_its_set(
    start: Callable[[], App], qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = start()
    documents = app.parts.documents_desk
    view = documents.page.set_view
    assert not view.job.isEnabled()
    documents.open_paths((CONTRACT,))
    qtbot.waitUntil(view.job.isEnabled, timeout=LONG)
    view.composer.set_text("  What is the notice period? ")
    view.job.click()
    info = documents.documents.files.info
    assert info is not None
    assert dialog(app).spec == JobSpec(
        "What is the notice period?",
        "questions",
        (JobQuestion("What is the", "What is the notice period?"),),
        Corpus(set_id=info.id),
    )
    add(app, qtbot)
    servers = app.parts.core.servers
    monkeypatch.setattr(servers, "in_use", SimpleNamespace(name="lab"))
    view.job.click()
    assert dialog(app).spec.engine == EngineChoice(server="lab")
    dialog(app).reject()
    monkeypatch.undo()
    assert app.window.page == "jobs"
    assert view.composer.text.strip() == "What is the notice period?"  # it may be asked here too


@pytest.mark.qt_log_ignore("propagateSizeHints", r"raise\(\)", extend=True)  # there is no screen
def test_a_running_job_survives_the_window_being_closed_and_goes_on_after_a_restart(
    start: Callable[[], App], tiny_llama: Path, qtbot: QtBot
) -> None:
    app = start()
    load_model(app, tiny_llama, qtbot)
    app.window.show_page("jobs")
    desk(app).page.begin.click()
    fill(dialog(app), "Two prompts", "prompt")
    dialog(app).limits.limit.setValue(200)
    add(app, qtbot)
    wait_for_state(app, "running", qtbot)
    app.window.close()
    question = app.parts.closing.question
    assert question is not None
    assert "A job is running" in question.text()
    next(b for b in question.buttons() if "keep working" in b.text()).click()
    assert not app.window.isVisible()
    assert app.codes == []
    desk(app).bring_back()
    assert app.window.isVisible()
    app.close(qtbot)

    again = start()
    queue = desk(again).jobs.queue
    qtbot.waitUntil(lambda: queue.count == 1 and queue.row(0) is not None, timeout=LONG)
    left = queue.row(0)
    assert left is not None
    assert left.state in {"waiting", "running"}
    load_model(again, tiny_llama, qtbot)
    again.settings.change(close_behaviour="background")
    again.window.close()
    assert again.parts.closing.question is None
    assert not again.window.isVisible()
    # Nobody could open the window again where there is no tray: it ends with its last job.
    qtbot.waitUntil(lambda: again.codes == [0], timeout=LONG)
    results = desk(again).backend.store.results(left.id)
    assert results.job.summary.state == "done"
    assert [one.question for one in results.answers] == ["Notice", "Party"]


@pytest.mark.qt_log_ignore("propagateSizeHints", extend=True)  # there is no screen
def test_a_hidden_window_ends_with_a_job_whose_end_was_read_before_it_was_told(
    start: Callable[[], App], qtbot: QtBot
) -> None:
    app = start()
    queue, backend = desk(app).jobs.queue, desk(app).backend
    spec = JobSpec("Notice periods", "questions", QUESTIONS, Corpus(files=(CONTRACT,)))

    async def add_and_pause() -> JobSummary:
        job_id = await backend.control.add(spec, JobEstimate())
        await backend.control.pause(job_id)
        return backend.store.summary(job_id)

    made: list[JobSummary] = []
    app.bridge.submit(add_and_pause(), made.append)
    qtbot.waitUntil(lambda: bool(made), timeout=LONG)
    reads: list[int] = []
    queue.counts_changed.connect(lambda: reads.append(queue.count_in("paused")))
    app.bridge.post(JobChanged(replace(made[0], state="running")))
    # The list is read anew, and says already that the job does not run any more.
    qtbot.waitUntil(lambda: reads[-1:] == [1] and queue.row(0) == made[0], timeout=LONG)
    app.settings.change(close_behaviour="background")
    app.window.close()
    assert not app.window.isVisible()
    assert app.codes == []
    queue.blockSignals(True)  # it has read the end already, and tells it no second time
    app.bridge.post(JobChanged(made[0]))
    qtbot.waitUntil(lambda: app.codes == [0], timeout=LONG)


def test_a_job_whose_model_is_gone_says_so_and_is_repeated_with_another(
    start: Callable[[], App], quoting_model: Path, tmp_path: Path, qtbot: QtBot
) -> None:
    app = start()
    gone = LlamaSettings(tmp_path / "gone.gguf", context_tokens=2048)
    spec = JobSpec(
        "Notice periods", "questions", QUESTIONS, Corpus(files=(CONTRACT,)), EngineChoice(gone)
    )
    made: list[int] = []
    app.bridge.submit(desk(app).backend.control.add(spec, JobEstimate()), made.append)
    qtbot.waitUntil(lambda: bool(made), timeout=LONG)
    desk(app).jobs.open_job.open(made[0])
    wait_for_state(app, "failed", qtbot)
    page = desk(app).page
    assert "gone.gguf" in page.job.problem.text
    load_model(app, quoting_model, qtbot)
    page.job.problem.change.click()
    qtbot.waitUntil(lambda: desk(app).dialog is not None, timeout=LONG)
    assert dialog(app).spec.questions == QUESTIONS
    assert dialog(app).spec.engine == EngineChoice()  # a model that is gone can't be chosen
    add(app, qtbot)

    def is_other() -> bool:
        shown = summary(app)
        return shown is not None and shown.id != made[0]

    qtbot.waitUntil(is_other, timeout=LONG)
    done = wait_for_state(app, "done", qtbot)
    assert done.table.count("verified") == 2


def test_a_waiting_job_follows_its_server_when_that_is_renamed(
    start: Callable[[], App], qtbot: QtBot
) -> None:
    app = start()
    servers, jobs = app.parts.servers_desk.servers, app.parts.jobs_desk.backend.store
    profile = ServerProfile("lab", "http://127.0.0.1:9")
    with qtbot.waitSignal(servers.saved, timeout=SLOW):
        servers.add(profile, ServerSecrets())
    later = Schedule(not_before=time.time() + 86_400)
    spec = JobSpec("Later", "prompt", QUESTIONS, engine=EngineChoice(server="lab"), schedule=later)
    job_id = jobs.add(spec, JobEstimate())
    with qtbot.waitSignal(servers.saved, timeout=SLOW):
        servers.update(replace(profile, name="cluster"), was="lab")
    assert jobs.job(job_id).spec.engine.server == "cluster"
