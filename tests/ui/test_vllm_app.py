"""The whole window with a real vLLM: loaded, asked, watched, swapped, loaded at the start."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import psutil
import pytest
from support.tiny_checkpoint import write_tiny_checkpoint
from test_app import OPTIONS, SLOW, App, wait_ready

from m1desk.engines import EngineState, EngineStatus, LlamaSettings
from m1desk.engines.environments.store import EnvironmentStore
from m1desk.engines.environments.values import EnvironmentAnswer
from m1desk.engines.turn import SamplingParameters
from m1desk.store import Folders

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pytestqt.qtbot import QtBot

    from m1desk.engines import EngineRates
    from m1desk.engines.environments.values import EngineEnvironment
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.monitor import MonitorSample

pytestmark = pytest.mark.timeout(1800)
LONG = 10 * SLOW


@pytest.fixture
def folders(home: Path, cpu_vllm: EngineEnvironment) -> Folders:
    """The app's folders, with the real vLLM as somebody has named it."""
    folders = Folders.under(home)
    store = EnvironmentStore.of(folders)
    named = replace(cpu_vllm, name="real", managed=False)
    with store.locked():
        store.keep(named, EnvironmentAnswer(named.package, named.version, "3.12", ("cpu",)))
    return folders


@pytest.fixture
def checkpoint(folders: Folders) -> Path:
    return write_tiny_checkpoint(folders.models / "somebody" / "tiny-llama-bf16")


@pytest.fixture
def start(theme: Theme, folders: Folders, qtbot: QtBot) -> Iterator[Callable[[], App]]:
    running: list[App] = []

    def begin() -> App:
        app = App(theme, folders, OPTIONS)
        running.append(app)
        return app

    yield begin
    for app in running:
        if app.bridge.is_running:
            app.close(qtbot)


def ask(app: App, text: str, qtbot: QtBot) -> None:
    written = len(app.answers())
    app.parts.chat.conversation.send(text)
    qtbot.waitUntil(
        lambda: len(app.answers()) > written and not app.parts.activity.is_writing, timeout=LONG
    )


def test_a_checkpoint_is_loaded_asked_watched_and_swapped_in_the_window(
    start: Callable[[], App], checkpoint: Path, tiny_llama: Path, qtbot: QtBot
) -> None:
    app = start()
    told: list[EngineStatus] = []
    samples: list[MonitorSample] = []
    app.parts.engine.status_changed.connect(told.append)
    app.parts.monitor.sampled.connect(samples.append)
    app.parts.engine.load(LlamaSettings(tiny_llama, context_tokens=2048, parallel=1))
    wait_ready(app, qtbot)
    before = app.parts.engine.status.pid
    qtbot.waitUntil(lambda: bool(app.parts.models.whole_entries), timeout=LONG)

    app.window.model_selector.model_chosen.emit(checkpoint)
    dialog = app.parts.loading.flow.checkpoints.dialog
    assert dialog is not None
    qtbot.waitUntil(lambda: bool(dialog.plan_text), timeout=LONG)
    assert dialog.options.environment == "real"
    dialog.options.context.set_tokens(2000)
    qtbot.waitUntil(dialog.load_button.isEnabled, timeout=LONG)
    dialog.load_button.click()
    qtbot.waitUntil(
        lambda: app.parts.engine.status.is_ready and app.parts.engine.status.engine == "vLLM",
        timeout=LONG,
    )
    assert before is not None
    assert not psutil.pid_exists(before)  # one model at a time
    stages = [status.load_stage for status in told if status.state is EngineState.LOADING]
    assert "reading the weights" in stages
    status = app.parts.engine.status
    assert (status.context_tokens, status.model_name) == (2000, "tiny-llama-bf16")
    qtbot.waitUntil(lambda: app.settings.settings.last_model_path == str(checkpoint), timeout=LONG)

    sampling = SamplingParameters(temperature=0.0, max_tokens=1900)
    app.parts.chat.conversation.set_default_sampling(sampling)

    def rates() -> list[EngineRates]:
        return [sample.engine for sample in samples if sample.engine is not None]

    samples.clear()
    qtbot.waitUntil(lambda: bool(rates()), timeout=LONG)  # what the answer is compared with
    ask(app, "Hello", qtbot)
    assert app.answers()[-1]
    qtbot.waitUntil(lambda: any(one.decode_tokens_per_second > 0 for one in rates()), timeout=LONG)
    assert rates()[-1].kv_fraction is not None

    app.parts.engine.load(LlamaSettings(tiny_llama, context_tokens=2048, parallel=1))
    qtbot.waitUntil(
        lambda: app.parts.engine.status.is_ready and app.parts.engine.status.engine != "vLLM",
        timeout=LONG,
    )
    assert status.pid is not None
    assert not psutil.pid_exists(status.pid)


def test_the_checkpoint_used_last_is_loaded_at_the_start_and_reads_documents(
    start: Callable[[], App], checkpoint: Path, tmp_path: Path, qtbot: QtBot
) -> None:
    note = tmp_path / "note.txt"
    note.write_text("The notice period is 45 days.")
    app = start()
    app.settings.change(load_last_model=True, last_model_path=str(checkpoint))
    app.close(qtbot)

    again = start()
    qtbot.waitUntil(lambda: again.parts.engine.status.is_ready, timeout=LONG)
    assert again.parts.engine.status.engine == "vLLM"
    again.parts.documents_desk.set_sampling(SamplingParameters(temperature=0.0, max_tokens=20))
    again.parts.documents_desk.open_paths((note,))
    documents = again.parts.documents_desk.documents
    qtbot.waitUntil(
        lambda: documents.budget.budget is not None and documents.budget.is_exact, timeout=LONG
    )
    assert "keeps no documents on disk" in documents.no_preparing
    documents.ask("How long?")
    qtbot.waitUntil(
        lambda: bool(documents.questions.questions) and not documents.questions.is_asking,
        timeout=LONG,
    )
    assert documents.questions.questions[-1].state == "complete"
