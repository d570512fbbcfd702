"""The Servers page: adding, changing, testing, trusting and removing servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from naming import unnamed_controls
from PySide6.QtWidgets import QMessageBox
from support.certificates import self_signed
from support.reverse_proxy import ReverseProxy
from support.serving import serving
from support.worker import KEY, Worker, running_worker

from m1desk.engines import Outcome, ServerProfile, Servers, ServerSecrets, Step
from m1desk.store import Database, Folders
from m1desk.ui.pages.servers_list import ServersList
from m1desk.ui.viewmodels.servers import ServersViewModel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pytestqt.qtbot import QtBot
    from support.memory_keyring import MemoryKeyring

    from m1desk.ui.bridge import Bridge
    from m1desk.ui.theme import Theme
    from m1desk.ui.widgets.server_dialog import ServerDialog

SLOW = 60_000


class Desk:
    """The page with a real database and real servers behind it."""

    def __init__(self, theme: Theme, bridge: Bridge, database: Database, qtbot: QtBot) -> None:
        self.qtbot = qtbot
        self.bridge = bridge
        self.core = Servers(database, Folders.resolve(), bridge.post)
        self.model = ServersViewModel(bridge, self.core)
        self.failures: list[object] = []
        self.model.failed.connect(self.failures.append)
        self.model.use_failed.connect(lambda _name, error: self.failures.append(error))
        self.page = ServersList(theme, self.model)
        self.page.resize(1000, 700)
        qtbot.addWidget(self.page)
        self.page.show()
        self.wait(lambda: self.model.was_read)

    def wait(self, happened: Callable[[], bool]) -> None:
        self.qtbot.waitUntil(happened, timeout=SLOW)

    def fill_in(self, name: str, address: str, key: str = "") -> ServerDialog:
        self.page.add.click()
        dialog = self.page.dialog
        assert dialog is not None
        dialog.server.name.setText(name)
        dialog.server.address.setText(address)
        if key:
            dialog.secrets.wants_key.setChecked(True)
            dialog.secrets.key.setText(key)
        return dialog

    def add(self, name: str, address: str, key: str = "") -> None:
        self.fill_in(name, address, key).save.click()
        self.wait(lambda: self.shown == name)

    @property
    def shown(self) -> str:
        known = self.model.selected
        return known.profile.name if known is not None else ""

    def test(self) -> dict[Step, Outcome]:
        self.page.view.test.click()
        name = self.shown
        self.wait(lambda: (test := self.model.test_of(name)) is not None and not test.is_running)
        return {row.verdict.step: row.verdict.outcome for row in self.page.view.steps.rows}

    def accept(self, label: str) -> None:
        """Answer the question that is asked."""
        (box,) = self.page.findChildren(QMessageBox)
        (button,) = [one for one in box.buttons() if one.text() == label]
        button.click()

    def close(self) -> None:
        """Close every connection before the loop ends, which would leave them to Python."""
        self.model.leave()
        closed: list[None] = []
        self.bridge.submit(self.core.close(), on_done=closed.append)
        self.wait(lambda: bool(closed))
        assert self.bridge.stop()


@pytest.fixture(scope="module")
def worker(tiny_llama: Path) -> Iterator[Worker]:
    with running_worker(tiny_llama) as running:
        yield running


@pytest.fixture(scope="module")
def address(worker: Worker) -> str:
    return str(worker.client.base_url).rstrip("/")


@pytest.fixture
def desk(theme: Theme, bridge: Bridge, qtbot: QtBot, home: Path) -> Iterator[Desk]:
    with Database(Folders.under(home).database) as database:
        made = Desk(theme, bridge, database, qtbot)
        yield made
        made.close()


def test_without_servers_it_says_what_they_are_and_how_to_begin(desk: Desk) -> None:
    assert desk.page.is_empty
    desk.page.begin.click()
    dialog = desk.page.dialog
    assert dialog is not None
    assert not dialog.save.isEnabled()
    assert (dialog.said, dialog.save.toolTip()) == ("Give it a name",) * 2
    assert unnamed_controls(dialog) == []
    dialog.reject()


def test_a_server_is_added_tested_step_by_step_and_removed(
    desk: Desk, address: str, memory_keyring: MemoryKeyring
) -> None:
    desk.add("lab", f"{address}/v1", KEY)
    assert not desk.page.is_empty
    assert desk.page.view.facts["Address"] == address
    assert desk.page.view.facts["Secrets"] == "Key; in the system's keyring"
    assert KEY in memory_keyring.kept.values()
    outcomes = desk.test()
    assert Outcome.FAILED not in outcomes.values()
    assert outcomes[Step.KEY] is Outcome.OK
    assert desk.page.view.steps.title.startswith("It can be used")
    assert not desk.page.view.models.isHidden()
    assert unnamed_controls(desk.page) == []
    desk.page.view.remove.click()
    desk.accept("Remove")
    desk.wait(lambda: desk.page.is_empty)
    assert memory_keyring.kept == {}


@pytest.mark.usefixtures("memory_keyring")
def test_a_wrong_key_fails_at_its_step_and_can_be_replaced(desk: Desk, address: str) -> None:
    desk.add("lab", address, "wrong-key-12345")
    outcomes = desk.test()
    assert outcomes[Step.KEY] is Outcome.FAILED
    assert outcomes[Step.CHAT] is Outcome.NOT_REACHED
    assert desk.page.view.steps.title == "It can't be used yet: Key failed."
    desk.page.view.edit.click()
    dialog = desk.page.dialog
    assert dialog is not None
    assert dialog.secrets.key.text() == ""  # what is kept is not shown
    dialog.secrets.key.setText(KEY)
    dialog.save.click()
    desk.wait(lambda: desk.model.test_of("lab") is None)
    assert Outcome.FAILED not in desk.test().values()


def test_without_a_keyring_a_key_is_asked_for_and_kept_for_the_session(
    desk: Desk, address: str, home: Path
) -> None:
    desk.core.store.add(ServerProfile("lab", address, wants_key=True))
    desk.model.refresh()
    desk.wait(lambda: desk.shown == "lab")
    assert desk.page.view.facts["Secrets"] == "Key; asked for when it is used: Key"
    desk.page.view.test.click()
    desk.wait(lambda: desk.page.secrets_dialog is not None)
    dialog = desk.page.secrets_dialog
    assert dialog is not None
    assert not dialog.go_on.isEnabled()
    dialog.fields["key"].setText(KEY)
    dialog.go_on.click()
    desk.wait(lambda: (t := desk.model.test_of("lab")) is not None and t.is_complete)
    assert "not on the disk" in desk.page.view.facts["Secrets"]
    kept = [path for path in home.rglob("*") if path.is_file()]
    assert not any(KEY.encode() in path.read_bytes() for path in kept)


@pytest.mark.usefixtures("memory_keyring")
def test_a_certificate_nobody_vouches_for_is_trusted_by_its_fingerprint(
    desk: Desk, address: str, tmp_path: Path
) -> None:
    files = self_signed(tmp_path, "own")
    with serving(ReverseProxy(address).app, files) as url:
        desk.add("lab", url, KEY)
        assert desk.test()[Step.TLS] is Outcome.FAILED
        row = next(r for r in desk.page.view.steps.rows if r.verdict.step is Step.TLS)
        assert row.verdict.fingerprint == files.sha256
        row.trust.click()
        desk.accept("Trust it")
        desk.wait(lambda: "pinned" in desk.page.view.facts["Trusted by"])
        desk.wait(lambda: desk.page.view.steps.title.startswith("It can be used"))
        assert "pinned" in desk.page.view.facts["Trusted by"]


@pytest.mark.usefixtures("memory_keyring")
def test_a_certificate_that_is_trusted_anew_counts_for_the_server_in_use_too(
    desk: Desk, address: str, tmp_path: Path
) -> None:
    files = self_signed(tmp_path, "own")
    with serving(ReverseProxy(address).app, files) as url:
        profile = ServerProfile("lab", url, wants_key=True, ca_file=str(files.certificate))
        desk.core.store.add(profile, ServerSecrets(KEY))
        desk.model.refresh()
        desk.wait(lambda: desk.shown == "lab")
        desk.model.use("lab")
        desk.wait(lambda: desk.model.in_use is not None)
        before = desk.model.in_use
        desk.model.pin("lab", files.sha256)
        desk.wait(lambda: (t := desk.model.test_of("lab")) is not None and t.is_complete)
        desk.wait(lambda: desk.model.in_use is not None)
        assert desk.model.in_use is not before
        desk.model.leave()
        desk.wait(lambda: desk.core.in_use is None)
    assert desk.failures == []


def test_what_can_not_be_saved_is_explained_and_the_dialog_stays(desk: Desk) -> None:
    desk.add("lab", "http://127.0.0.1:9")
    dialog = desk.fill_in("lab", "http://127.0.0.1:10")
    dialog.save.click()
    desk.wait(lambda: "already" in dialog.said)
    assert dialog.isVisible()
    dialog.server.name.setText("other")
    dialog.server.address.setText("not an address")
    dialog.save.click()
    assert "is not the address of a server" in dialog.said
    dialog.server.address.setText("https://h")
    dialog.trust.kind.setCurrentIndex(dialog.trust.kind.findData("pinned"))
    dialog.save.click()
    assert "fingerprint is missing" in dialog.said
    dialog.reject()


@pytest.mark.usefixtures("memory_keyring")
def test_every_field_of_the_dialog_is_kept_and_shown_again(desk: Desk, tmp_path: Path) -> None:
    dialog = desk.fill_in("far", "https://far.example/team/v1", "a-key-of-mine-1")
    dialog.server.model.setEditText("m1")
    dialog.server.context.setValue(4096)
    dialog.secrets.headers.more.click()
    dialog.secrets.headers.more.click()
    team, gate = dialog.secrets.headers.rows
    team.name.setText("X-Team")
    team.value.setText("lab")
    gate.name.setText("X-Gate-Token")
    gate.value.setText("open-sesame-1")
    assert gate.is_secret  # its name says so
    dialog.trust.kind.setCurrentIndex(dialog.trust.kind.findData("authority"))
    dialog.trust.authority.set_path(str(tmp_path / "ca.pem"))
    dialog.trust.certificate.set_path(str(tmp_path / "me.pem"))
    dialog.trust.client_key.set_path(str(tmp_path / "me.key"))
    dialog.tunnel.through.setText("me@gate:2222")
    dialog.tunnel.leads_to.setText("10.0.0.5:8000")
    dialog.save.click()
    desk.wait(lambda: desk.shown == "far")
    profile = desk.core.store.get("far")
    assert (profile.base_url, profile.model) == ("https://far.example/team", "m1")
    assert profile.context_tokens == 4096
    assert (profile.headers, profile.secret_headers) == ((("X-Team", "lab"),), ("X-Gate-Token",))
    assert profile.ca_file.endswith("ca.pem")
    assert profile.tunnel is not None
    assert (profile.tunnel.port, profile.tunnel.forward_port) == (2222, 8000)
    secrets = desk.core.store.vault.read(profile)
    desk.page.view.edit.click()
    again = desk.page.dialog
    assert again is not None
    assert again.said == "Secrets stay as they are unless you type others."
    again.server.address.setText("https://other.example/team")
    assert "asked for anew" in again.said
    again.server.address.setText(profile.base_url)
    again.save.click()
    desk.wait(lambda: desk.page.dialog is None)
    assert desk.core.store.get("far") == profile
    assert desk.core.store.vault.read(profile) == secrets


@pytest.mark.usefixtures("memory_keyring")
def test_a_server_is_renamed_with_its_key_and_stays_in_use(desk: Desk, address: str) -> None:
    desk.core.store.add(ServerProfile("other", "http://h"))
    desk.add("lab", address, KEY)
    desk.page.view.use.click()
    desk.wait(lambda: desk.model.in_use is not None)
    desk.page.view.edit.click()
    dialog = desk.page.dialog
    assert dialog is not None
    dialog.server.name.setText("other")
    dialog.save.click()
    desk.wait(lambda: 'There is a server "other" already.' in dialog.said)
    assert desk.shown == "lab"
    dialog.server.name.setText(" cluster ")
    dialog.save.click()
    desk.wait(lambda: desk.shown == "cluster")
    desk.wait(lambda: desk.model.in_use is not None and desk.model.in_use.name == "cluster")
    assert [one.profile.name for one in desk.model.servers] == ["cluster", "other"]
    assert desk.core.store.vault.read(desk.core.store.get("cluster")).key == KEY
    assert desk.failures == []


@pytest.mark.usefixtures("memory_keyring")
def test_a_header_that_is_taken_away_leaves_the_keyring_too(
    desk: Desk, memory_keyring: MemoryKeyring
) -> None:
    profile = ServerProfile("lab", "http://h", secret_headers=("X-Gate-Token",))
    desk.core.store.add(profile, ServerSecrets("", {"X-Gate-Token": "open-sesame-1"}))
    assert len(memory_keyring.kept) == 1
    desk.core.store.update(ServerProfile("lab", "http://h"))
    assert memory_keyring.kept == {}


@pytest.mark.usefixtures("memory_keyring")
def test_a_server_is_used_and_left(desk: Desk, address: str) -> None:
    desk.add("lab", address, KEY)
    view = desk.page.view
    assert "Nothing is sent to it" in view.state
    view.use.click()
    desk.wait(lambda: desk.model.in_use is not None)
    assert view.state.startswith("In use: ")
    assert view.use.isHidden()
    assert desk.model.status is not None
    assert desk.model.status.server == "lab"
    view.back.click()
    desk.wait(lambda: desk.core.in_use is None)
    assert view.back.isHidden()
    assert desk.model.status is None


def test_a_server_that_can_not_be_used_changes_nothing(desk: Desk) -> None:
    desk.add("gone", "http://127.0.0.1:9")
    desk.page.view.use.click()
    assert desk.page.view.back.text() in {"Back to this machine", "Stop connecting"}
    desk.wait(lambda: bool(desk.failures))
    assert "gone does not answer" in str(desk.failures[0])
    assert desk.model.status is None
    assert not desk.page.view.use.isHidden()
