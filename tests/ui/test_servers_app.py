"""The whole window with a server in use: who answers is seen, what it can't do is said."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from support.llama_cpp_server import running_llama_cpp_server
from support.lost_node import LostNode
from support.models import SCRIPTED_ANSWER
from support.reverse_proxy import ReverseProxy
from support.serving import serving
from support.worker import KEY, Worker, running_worker
from test_app import SLOW, App, folders, start, wait_ready

from m1desk.documents import receipt_words
from m1desk.engines import EngineState, ServerProfile, ServerSecrets, StallPatience
from m1desk.ui.widgets.server_strip import ServerStrip

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pytestqt.qtbot import QtBot

__all__ = ["folders", "start"]

pytestmark = pytest.mark.usefixtures("memory_keyring")


@pytest.fixture(scope="module")
def worker(scripted_llama: Path) -> Iterator[Worker]:
    with running_worker(scripted_llama, context=4096) as running:
        yield running


@pytest.fixture(scope="module")
def url(worker: Worker) -> str:
    return str(worker.client.base_url).rstrip("/")


def use(app: App, qtbot: QtBot, name: str, url: str, key: str = KEY) -> None:
    store = app.parts.core.servers.store
    store.add(ServerProfile(name, url), ServerSecrets(key))
    servers = app.parts.servers_desk.servers
    servers.use(name)
    qtbot.waitUntil(
        lambda: servers.in_use is not None and servers.in_use.name == name, timeout=SLOW
    )


def ask(app: App, qtbot: QtBot, text: str) -> str:
    """Send a message and wait for the end of its answer."""
    conversation = app.parts.chat.conversation
    before = len(app.answers())
    conversation.send(text)
    qtbot.waitUntil(
        lambda: len(app.answers()) > before and not conversation.is_answering, timeout=SLOW
    )
    return app.answers()[-1]


def answerers(app: App) -> list[str]:
    return [m.model for m in app.parts.chat.conversation.messages if m.role == "assistant"]


def status_text(app: App) -> str:
    return app.window.status_bar._engine.whole_text


def posted(proxy: ReverseProxy) -> list[dict[str, str]]:
    """The requests that carried something with them."""
    return [headers for headers in proxy.heard if "content-length" in headers]


def strip(app: App) -> ServerStrip:
    return app.parts.chat_page.server_strip


def test_who_answers_is_seen_before_and_kept_with_each_answer(
    start: Callable[..., App], scripted_minimax: Path, url: str, qtbot: QtBot
) -> None:
    app = start(model_path=scripted_minimax)
    wait_ready(app, qtbot)
    assert strip(app).isHidden()
    ask(app, qtbot, "Hello")
    use(app, qtbot, "lab", url)
    assert not strip(app).isHidden()
    assert strip(app).text == f"lab answers: {url}"
    assert "goes there, with this conversation" in strip(app).details
    assert status_text(app) == "Ready · Remote · scripted llama on lab"
    assert ask(app, qtbot, "And you?") == SCRIPTED_ANSWER
    strip(app)._back.click()
    qtbot.waitUntil(lambda: app.parts.core.servers.in_use is None, timeout=SLOW)
    assert strip(app).isHidden()
    assert status_text(app).startswith("Ready · Local · llama.cpp")
    ask(app, qtbot, "Back?")
    here, there, again = answerers(app)
    assert (there, here == again) == ("scripted llama on lab", True)


def test_an_answer_goes_to_whoever_was_seen_when_it_was_asked_for(
    start: Callable[..., App], scripted_minimax: Path, url: str, qtbot: QtBot
) -> None:
    app = start(model_path=scripted_minimax)
    wait_ready(app, qtbot)
    use(app, qtbot, "lab", url)
    app.parts.chat.conversation.send("Hello")
    app.parts.servers_desk.servers.leave()  # at once, before the conversation was even made
    qtbot.waitUntil(
        lambda: bool(app.answers()) and not app.parts.chat.conversation.is_answering, timeout=SLOW
    )
    assert answerers(app) == ["scripted llama on lab"]


def test_the_greeting_of_a_first_start_never_goes_to_a_server(
    start: Callable[..., App], url: str, qtbot: QtBot
) -> None:
    app = start(greet=True)
    engine = app.parts.engine
    with qtbot.waitSignal(engine.loaded, timeout=SLOW):
        with qtbot.waitSignal(engine.load_wished, timeout=SLOW):
            pass
        use(app, qtbot, "lab", url)
    assert app.parts.chat.conversation.status.server == "lab"
    assert not app.parts.chat.conversation.is_answering
    assert app.parts.chat.conversation.messages == ()


def test_choosing_a_model_here_leaves_the_server(
    start: Callable[..., App], url: str, scripted_minimax: Path, qtbot: QtBot
) -> None:
    app = start(model_path=scripted_minimax)
    wait_ready(app, qtbot)
    use(app, qtbot, "lab", url)
    app.parts.engine.load_again()
    assert strip(app).isHidden()
    wait_ready(app, qtbot)
    assert app.parts.chat.conversation.status.server == ""


def test_while_it_connects_nothing_can_be_sent(
    start: Callable[..., App], url: str, scripted_minimax: Path, qtbot: QtBot
) -> None:
    app = start(model_path=scripted_minimax)
    wait_ready(app, qtbot)
    servers = app.parts.servers_desk.servers
    app.parts.core.servers.store.add(ServerProfile("lab", url), ServerSecrets(KEY))
    servers.use("lab")
    qtbot.waitUntil(lambda: servers.connecting == "lab", timeout=SLOW)
    assert app.parts.chat.conversation.status.state is EngineState.STARTING
    assert app.parts.chat.conversation.reason == "Connecting to lab…"
    assert status_text(app) == "Connecting · lab"
    qtbot.waitUntil(lambda: servers.in_use is not None, timeout=SLOW)


def test_a_server_that_refuses_is_explained_and_this_machine_answers(
    start: Callable[..., App], url: str, qtbot: QtBot
) -> None:
    app = start()
    store = app.parts.core.servers.store
    store.add(ServerProfile("lab", url), ServerSecrets("wrong-key-12345"))
    app.parts.servers_desk.servers.use("lab")
    qtbot.waitUntil(lambda: app.window.banner.notice is not None, timeout=SLOW)
    notice = app.window.banner.notice
    assert notice is not None
    (step,) = notice.steps
    assert step.label == "Test the server"
    step.run()
    assert app.window.page == "servers"
    servers = app.parts.servers_desk.servers
    qtbot.waitUntil(
        lambda: (t := servers.test_of("lab")) is not None and t.failure is not None, timeout=SLOW
    )


def test_a_stall_is_said_until_the_server_answers_again(
    start: Callable[..., App], qtbot: QtBot
) -> None:
    app = start()
    app.parts.core.servers.patience = StallPatience(
        first_seconds=2.0, silence_seconds=0.5, look_seconds=0.1, answer_seconds=1.0
    )
    node = LostNode()
    with serving(node.app) as url:
        use(app, qtbot, "cluster", url, key="")
        app.parts.chat.conversation.send("Tell me a story")
        qtbot.waitUntil(lambda: app.window.banner.notice is not None, timeout=SLOW)
        notice = app.window.banner.notice
        assert notice is not None
        assert notice.what == "The engine has stopped working on the answer."
        assert [step.label for step in notice.steps] == ["Test the server", "Back to this machine"]
        qtbot.waitUntil(lambda: not app.parts.activity.is_writing, timeout=SLOW)
        assert app.answers() == ["Once"]
        assert strip(app).text == f"cluster has stopped answering: {url}"
        assert status_text(app) == "Not answering · Remote · lost on cluster"
        node.goes_on_after = node.looks
        assert ask(app, qtbot, "Go on") == "Once"
        assert strip(app).text == f"cluster answers: {url}"
        assert status_text(app) == "Ready · Remote · lost on cluster"
        app.parts.servers_desk.servers.leave()
        qtbot.waitUntil(lambda: app.parts.core.servers.in_use is None, timeout=SLOW)


def test_documents_are_estimated_asked_with_the_server_and_never_prepared(
    start: Callable[..., App], url: str, tmp_path: Path, qtbot: QtBot
) -> None:
    contract = tmp_path / "contract.txt"
    contract.write_text("The notice period is three months.\n" * 8)
    app = start()
    proxy = ReverseProxy(url)
    with serving(proxy.app) as through:
        use(app, qtbot, "lab", through)
        proxy.heard.clear()
        app.parts.documents_desk.open_paths([contract])
        documents = app.parts.documents_desk.documents
        view = app.parts.documents_desk.page.set_view
        qtbot.waitUntil(lambda: documents.budget.is_exact, timeout=SLOW)
        assert posted(proxy) == []  # nothing has left before a question, but looks at counters
        assert "Documents ~" in view.bar.text
        assert not view.server_strip.isHidden()
        assert not view.prepare.isEnabled()
        assert "lab" in view.prepare.toolTip()
        documents.ask("How long is the notice period?")
        qtbot.waitUntil(
            lambda: (
                bool(documents.questions.questions)
                and not documents.questions.is_any_asking
                and documents.questions.questions[-1].state == "complete"
            ),
            timeout=SLOW,
        )
        (asked,) = documents.questions.questions
        assert asked.model == "scripted llama on lab"
        assert posted(proxy)
        app.parts.servers_desk.servers.leave()
        qtbot.waitUntil(lambda: app.parts.core.servers.in_use is None, timeout=SLOW)


def test_a_server_that_hides_its_context_has_to_be_told_of_it_for_documents(
    start: Callable[..., App], scripted_llama: Path, tmp_path: Path, qtbot: QtBot
) -> None:
    contract = tmp_path / "contract.txt"
    contract.write_text("The notice period is three months.\n")
    app = start()
    servers = app.parts.servers_desk.servers
    with running_llama_cpp_server(scripted_llama, context=4096) as url:
        use(app, qtbot, "lab", url)
        assert ask(app, qtbot, "Hello").endswith("this is all I can say.")
        app.parts.documents_desk.open_paths([contract])
        documents = app.parts.documents_desk.documents
        qtbot.waitUntil(lambda: "context length" in documents.reason, timeout=SLOW)
        profile = app.parts.core.servers.store.get("lab")
        servers.update(replace(profile, context_tokens=4096))
        qtbot.waitUntil(lambda: documents.reason == "", timeout=SLOW)
        assert documents.budget.budget is not None
        assert documents.budget.budget.context_tokens == 4096
        documents.ask("How long is the notice period?")
        asked = documents.questions
        qtbot.waitUntil(
            lambda: bool(asked.questions) and asked.questions[-1].state == "complete", timeout=SLOW
        )
        receipt = asked.questions[-1].details.receipt
        assert receipt is not None
        assert receipt.is_estimated  # it counts texts, but not conversations
        assert "Do not rely" not in receipt_words(receipt)
        servers.leave()
        qtbot.waitUntil(lambda: app.parts.core.servers.in_use is None, timeout=SLOW)


def test_the_monitor_shows_the_servers_counters(
    start: Callable[..., App], url: str, qtbot: QtBot
) -> None:
    app = start()
    use(app, qtbot, "lab", url)
    page = app.parts.monitor_page
    assert not page._remote.isHidden()
    qtbot.waitUntil(lambda: page.tiles["kv"].value.endswith("%"), timeout=SLOW)
    app.parts.servers_desk.servers.leave()
    qtbot.waitUntil(lambda: page.tiles["kv"].value == "–", timeout=SLOW)
