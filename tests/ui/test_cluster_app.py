"""The whole window with a real cluster that loses one of its machines in mid-answer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import pytest
from support.models import SCRIPTED_ANSWER
from support.programs import needs_nginx
from support.sshd import needs_sshd
from support.vllm_recipe import MODEL_NAME, is_well
from test_app import App, folders, start
from test_servers_app import status_text, strip

from m1desk.engines.turn import SamplingParameters

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytestqt.qtbot import QtBot
    from support.memory_keyring import MemoryKeyring
    from support.vllm_cluster import Cluster

    from m1desk.chat import Message
    from m1desk.engines import ServerProfile
    from m1desk.ui.viewmodels.servers import ServerTest

__all__ = ["folders", "start"]

pytestmark = [needs_nginx, needs_sshd, pytest.mark.usefixtures("memory_keyring")]

PROMISE_SECONDS: Final = 20
"""A stall is told after so long at most: the product's promise, not a measurement."""
PATIENCE: Final = 300_000
"""Milliseconds for what has no promise, on a machine that runs a cluster besides."""
PIECES: Final = 5
STALLED: Final = "The engine has stopped working on the answer."
LONG: Final = SamplingParameters(max_tokens=3500, temperature=0)


class Person:
    """Somebody at the window who has the key of a cluster."""

    def __init__(self, app: App, qtbot: QtBot, key: str) -> None:
        self.app = app
        self._qtbot = qtbot
        self._key = key
        self._page = app.parts.servers_desk.page.servers
        self._servers = app.parts.servers_desk.servers
        self._chat = app.parts.chat.conversation

    def wait(self, until: Callable[[], bool]) -> None:
        self._qtbot.waitUntil(until, timeout=PATIENCE)

    def add(self, profile: ServerProfile) -> None:
        """Save the dialog in which all of the profile is entered, and its key."""
        self._page.open_dialog(profile)
        dialog = self._page.dialog
        assert dialog is not None
        dialog.secrets.wants_key.setChecked(True)
        dialog.secrets.key.setText(self._key)
        dialog.save.click()
        self.wait(lambda: any(one.profile.name == profile.name for one in self._servers.servers))

    def test(self, name: str) -> ServerTest:
        self._servers.test(name)
        self.wait(lambda: (test := self._servers.test_of(name)) is not None and not test.is_running)
        test = self._servers.test_of(name)
        assert test is not None
        return test

    def use(self, name: str) -> None:
        self._servers.use(name)
        self.wait(lambda: (used := self._servers.in_use) is not None and used.name == name)

    def ask_at_length(self) -> int:
        """Begin a chat whose answer is still being written when the chat's id is returned."""
        pieces: list[str] = []
        noting = self._chat.fed.connect(lambda _id, _kind, text: pieces.append(text))
        self._chat.start_new()
        self._chat.set_sampling(LONG)
        self._chat.send("Write.")
        self.wait(lambda: len(pieces) >= PIECES)
        self._chat.fed.disconnect(noting)
        assert self._chat.is_answering
        assert self._chat.conversation is not None
        return self._chat.conversation.id

    def ask(self, text: str) -> str:
        """Ask in a new chat; returns the whole answer."""
        self._chat.start_new()
        self._chat.send(text)
        self.wait(lambda: bool(self.app.answers()) and not self._chat.is_answering)
        return self.app.answers()[-1]

    def answer_in(self, chat: int) -> Message:
        """What stands in a chat when it is opened."""
        self._chat.open(chat)
        self.wait(lambda: (now := self._chat.conversation) is not None and now.id == chat)
        return self._chat.messages[-1]

    def go_back(self) -> None:
        """Take the banner's last step."""
        notice = self.app.window.banner.notice
        assert notice is not None
        notice.steps[-1].run()
        self.wait(lambda: self.app.parts.core.servers.in_use is None)
        assert self.app.window.banner.notice is None


@pytest.fixture
def person(
    start: Callable[..., App],
    vllm_cluster_to_break: Cluster,
    scripted_llama: Path,
    qtbot: QtBot,
) -> Person:
    """At a window whose own model is ready."""
    app = start(model_path=scripted_llama)
    made = Person(app, qtbot, vllm_cluster_to_break.key)
    made.wait(lambda: app.parts.engine.status.is_ready)
    return made


def test_a_machine_lost_in_mid_answer_is_told_within_20_seconds(
    person: Person,
    vllm_cluster_to_break: Cluster,
    memory_keyring: MemoryKeyring,
) -> None:
    app, cluster = person.app, vllm_cluster_to_break
    ways = (cluster.past_the_proxy, cluster.through_ssh, cluster.over_tls)
    for way in ways:
        person.add(way)
    assert set(memory_keyring.kept.values()) == {cluster.key}
    test = person.test("over TLS")
    assert (test.is_complete, test.failure) == (True, None)
    chats = {}
    for way in ways:
        person.use(way.name)
        chats[way.name] = person.ask_at_length()
    assert app.parts.activity.activity.writing == set(chats.values())
    assert seconds_until_all_is_told(person, cluster) <= PROMISE_SECONDS
    # what makes the watch needed: by its own account the server is well
    assert is_well(cluster.over_tls.base_url, cluster.ca_file)
    the_window_says_it(app, cluster)
    for name, chat in chats.items():
        is_kept_as_it_was(person.answer_in(chat), name)
    person.go_back()
    assert status_text(app).startswith("Ready · Local · llama.cpp")
    assert strip(app).isHidden()
    assert person.ask("And you?") == SCRIPTED_ANSWER
    ends_without_a_trace(cluster)


def seconds_until_all_is_told(person: Person, cluster: Cluster) -> float:
    """Cut a machine's power, and wait for the banner and the ends of all answers."""
    lost = time.monotonic()
    cluster.other.lose()
    banner, activity = person.app.window.banner, person.app.parts.activity
    person.wait(lambda: banner.notice is not None and not activity.is_writing)
    return time.monotonic() - lost


def the_window_says_it(app: App, cluster: Cluster) -> None:
    notice = app.window.banner.notice
    assert notice is not None
    assert app.window.banner.isVisible()
    assert notice.subject == "server"
    assert notice.what == STALLED
    assert "its counters say that it reads and writes nothing" in notice.why
    assert [step.label for step in notice.steps] == ["Test the server", "Back to this machine"]
    assert strip(app).text == f"over TLS has stopped answering: {cluster.over_tls.base_url}"
    assert status_text(app) == f"Not answering · Remote · {MODEL_NAME} on over TLS"


def is_kept_as_it_was(answer: Message, server: str) -> None:
    assert answer.state == "interrupted"
    assert answer.content
    assert answer.error.startswith(STALLED)
    assert answer.model == f"{MODEL_NAME} on {server}"


def ends_without_a_trace(cluster: Cluster) -> None:
    """What is left of the group ends as the recipe promises."""
    cluster.end_serving()
    left = [words for words in cluster.head.processes().values() if "vllm" in words.casefold()]
    assert left == []
    assert "psm_" not in cluster.head.run("ls", "/dev/shm")
