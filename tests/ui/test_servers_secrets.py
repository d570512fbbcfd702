"""After a whole session in the window, a server's secrets are in the keyring and nowhere else."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

from support.command_lines import command_lines
from support.echoing import echoing
from support.reverse_proxy import ReverseProxy
from support.serving import serving
from support.worker import KEY, running_worker
from test_app import SLOW, App, folders, start, wait_ready

from m1desk.jobs.store import ENDED_STATES
from m1desk.jobs.values import (
    Corpus,
    EngineChoice,
    JobEstimate,
    JobQuestion,
    JobSpec,
    RetryPolicy,
)
from m1desk.store import Folders, close_logging, setup_logging
from m1desk.ui.errors_hook import ErrorHook

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest
    from pytestqt.qtbot import QtBot
    from support.memory_keyring import MemoryKeyring

__all__ = ["folders", "start"]

GATE = "gate-secret-0123456789"
SECRETS = (KEY, GATE)


def add(app: App, qtbot: QtBot, name: str, url: str) -> None:
    """Add a server with a key and a secret header, as a person does."""
    page = app.parts.servers_desk.page.servers
    page.open_dialog()
    dialog = page.dialog
    assert dialog is not None
    dialog.server.name.setText(name)
    dialog.server.address.setText(url)
    dialog.secrets.wants_key.setChecked(True)
    dialog.secrets.key.setText(KEY)
    dialog.secrets.headers.more.click()
    (row,) = dialog.secrets.headers.rows
    row.name.setText("X-Gate-Token")
    row.value.setText(GATE)
    dialog.save.click()
    qtbot.waitUntil(lambda: page.rows.names.count(name) == 1, timeout=SLOW)


def session(app: App, qtbot: QtBot, name: str) -> list[str]:
    """Test a server, use it and ask it; all that the window says on the way."""
    servers = app.parts.servers_desk.servers
    servers.test(name)
    qtbot.waitUntil(
        lambda: (t := servers.test_of(name)) is not None and bool(t.verdicts) and not t.is_running,
        timeout=SLOW,
    )
    said = [repr(servers.test_of(name)), repr(servers.servers), repr(servers.selected)]
    servers.use(name)
    qtbot.waitUntil(
        lambda: servers.in_use is not None and servers.in_use.name == name, timeout=SLOW
    )
    conversation = app.parts.chat.conversation
    conversation.start_new()
    conversation.send("Hello")
    qtbot.waitUntil(lambda: bool(app.answers()) and not conversation.is_answering, timeout=SLOW)
    notice = app.window.banner.notice
    return [*said, repr(conversation.messages), repr(notice), repr(servers.status)]


def ask_about(app: App, qtbot: QtBot, note: Path, folder: Path) -> str:
    """Have the server in use asked about a document; the answer is exported too."""
    documents = app.parts.documents_desk.documents
    before = documents.files.set_id
    app.parts.documents_desk.open_paths((note,))
    qtbot.waitUntil(
        lambda: documents.files.set_id != before and documents.reason == "", timeout=SLOW
    )
    documents.ask("Where is it?")
    questions = documents.questions
    qtbot.waitUntil(lambda: bool(questions.questions) and not questions.is_asking, timeout=SLOW)
    question = questions.questions[-1]
    path = folder / f"question-{question.id}.md"
    questions.export(question.id, "markdown", path)
    qtbot.waitUntil(path.exists, timeout=SLOW)
    return repr(question)


def have_worked(app: App, qtbot: QtBot, name: str, note: Path, folder: Path) -> str:
    """Have a server asked by a job, which ends well or not; its results are exported."""
    backend = app.parts.jobs_desk.backend
    spec = JobSpec(
        f"By {name}",
        "questions",
        (JobQuestion("Where", "Where is it?"),),
        Corpus(files=(note,)),
        EngineChoice(server=name),
        retry=RetryPolicy(attempts=1, wait_seconds=0.0),
    )
    made: list[int] = []
    app.bridge.submit(backend.control.add(spec, JobEstimate()), made.append)
    qtbot.waitUntil(
        lambda: bool(made) and backend.store.state(made[0]) in ENDED_STATES, timeout=5 * SLOW
    )
    results = backend.store.results(made[0])
    path = folder / f"job-{made[0]}.json"
    app.parts.jobs_desk.jobs.export(results, path)
    qtbot.waitUntil(path.exists, timeout=SLOW)
    return repr(results)


def export(app: App, qtbot: QtBot, folder: Path) -> None:
    """Export every conversation in both forms."""
    library = app.parts.chat.library
    qtbot.waitUntil(lambda: len(library.conversations) == 2, timeout=SLOW)
    for conversation in library.conversations:
        page, record = (folder / f"{conversation.id}.{ending}" for ending in ("md", "json"))
        library.export(conversation.id, "markdown", page)
        library.export(conversation.id, "json", record)
        for path in (page, record):
            qtbot.waitUntil(path.exists, timeout=SLOW)


def test_no_secret_is_on_disk_in_logs_command_lines_exports_or_on_the_screen(
    start: Callable[..., App],
    scripted_minimax: Path,
    scripted_llama: Path,
    home: Path,
    tmp_path: Path,
    memory_keyring: MemoryKeyring,
    caplog: pytest.LogCaptureFixture,
    qtbot: QtBot,
) -> None:
    caplog.set_level(logging.DEBUG)
    setup_logging(Folders.under(home), level=logging.DEBUG)
    accounts: list[str] = []
    hook = ErrorHook()
    hook.caught.connect(lambda what, account: accounts.append(what + account))
    exports = tmp_path / "exports"
    exports.mkdir()
    note = tmp_path / "note.txt"
    note.write_text("It is in the desk.")
    with (
        running_worker(scripted_llama, context=4096) as worker,
        serving(ReverseProxy(str(worker.client.base_url).rstrip("/")).app) as url,
        serving(echoing(lists_models=True)) as echo,
        command_lines() as seen,
    ):
        app = start(model_path=scripted_minimax)
        wait_ready(app, qtbot)
        add(app, qtbot, "lab", url)
        add(app, qtbot, "echo", echo)
        said = []
        for name in ("lab", "echo"):
            said += session(app, qtbot, name)
            said.append(ask_about(app, qtbot, note, exports))
            said.append(have_worked(app, qtbot, name, note, exports))
        export(app, qtbot, exports)
        fault = RuntimeError(f"on purpose, beside {app.parts.core.servers.in_use!r}")
        sys.excepthook(RuntimeError, fault, None)
        qtbot.waitUntil(lambda: bool(accounts), timeout=SLOW)
        app.close(qtbot)
    hook.remove()
    close_logging()
    assert any("llama_worker" in line for line in seen)
    assert any("[secret]" in text for text in said)  # the echo's refusal is shown, without it
    files = [path for path in (*home.rglob("*"), *exports.iterdir()) if path.is_file()]
    assert {"m1desk.log", Folders.under(home).database.name} <= {path.name for path in files}
    assert len(list(exports.iterdir())) == 8
    for secret in SECRETS:
        assert secret in memory_keyring.kept.values()
        assert not [line for line in seen if secret in line]
        assert not [text for text in (*said, *accounts) if secret in text]
        assert secret not in caplog.text
        assert not [path for path in files if secret.encode() in path.read_bytes()]
