"""Downloads: started, paused, resumed, refused with the next step, given up, shown in place."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
import shiboken6
from naming import unnamed_controls
from PySide6.QtWidgets import QMessageBox, QPushButton

from m1desk.app_downloads import ModelDownloads
from m1desk.store import AppSettings, Database, Folders
from m1desk.ui.bridge import Bridge
from m1desk.ui.pages.downloads_page import DownloadsPage
from m1desk.ui.viewmodels.downloads import DownloadsViewModel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pytestqt.qtbot import QtBot
    from support.hub_server import HubServer

    from m1desk.ui.theme import Theme
    from m1desk.ui.widgets.download_row import DownloadRow

LONG = 60_000
"""Milliseconds a transfer's process may take to start on a busy machine."""

SLOW_LINE = 2_000_000  # bytes per second, so that a test can act while a file is on its way
SECRET = "hf_notoneofmineabcdefgh"


class Desk:
    """A page with all that is behind it."""

    def __init__(self, theme: Theme, folders: Folders, qtbot: QtBot, settings: AppSettings) -> None:
        self.qtbot = qtbot
        self.folders = folders
        self.settings = settings
        self.closed = False
        self.database = Database(folders.database)
        self.bridge = Bridge()
        self.core = ModelDownloads(self.database, folders.models, self.bridge.post)
        self.model = DownloadsViewModel(self.bridge, self.core)
        self.page = DownloadsPage(theme, self.model)
        self.page.resize(900, 600)
        self.page.show()
        self.run(self.core.begin(settings))

    def run(self, work: object) -> None:
        done: list[object] = []
        self.bridge.submit(work, on_done=done.append)  # type: ignore[arg-type]
        self.qtbot.waitUntil(lambda: bool(done), timeout=LONG)

    def apply(self, settings: AppSettings) -> None:
        self.settings = settings
        self.run(self.core.apply(settings))

    def row(self) -> DownloadRow:
        (row,) = self.page.rows
        return row

    def wait_for(self, state: str) -> DownloadRow:
        self.qtbot.waitUntil(
            lambda: [row.item.state for row in self.page.rows] == [state], timeout=LONG
        )
        return self.row()

    def click(self, text: str) -> None:
        button(self.row(), text).click()

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.run(self.core.close())
            assert self.bridge.stop()
            self.database.close()
            # Left to Python, they may end on another thread, which Qt does not survive.
            for part in (self.page, self.model, self.bridge):
                shiboken6.delete(part)


def button(row: DownloadRow, text: str) -> QPushButton:
    found = [b for b in row.findChildren(QPushButton) if b.text() == text and b.isVisibleTo(row)]
    assert found, [b.text() for b in row.findChildren(QPushButton)]
    return found[0]


@pytest.fixture
def folders(home: Path) -> Folders:
    return Folders.under(home)


@pytest.fixture
def start(
    theme: Theme, folders: Folders, hub_server: HubServer, qtbot: QtBot
) -> Iterator[Callable[..., Desk]]:
    desks: list[Desk] = []

    def begin(settings: AppSettings | None = None) -> Desk:
        chosen = settings or AppSettings(hub_endpoint=hub_server.endpoint)
        desks.append(Desk(theme, folders, qtbot, chosen))
        return desks[-1]

    yield begin
    for desk in desks:
        desk.close()


@pytest.fixture
def big(tmp_path: Path, hub_server: HubServer) -> Path:
    """Eight MiB at the hub, as me/big's Q4_K_M."""
    path = tmp_path / "big.gguf"
    path.write_bytes(random.Random(1).randbytes(8 << 20))
    hub_server.add("me/big", {"big-Q4_K_M.gguf": path}, "gguf")
    return path


def test_a_model_arrives_and_can_be_loaded(
    start: Callable[..., Desk], hub_server: HubServer, tiny_llama: Path, qtbot: QtBot
) -> None:
    hub_server.add("me/tiny", {"tiny-F32.gguf": tiny_llama}, "gguf")
    desk = start()
    assert desk.page.is_empty
    counts: list[int] = []
    desk.model.count_changed.connect(counts.append)
    with qtbot.waitSignal(desk.model.finished, timeout=LONG):
        desk.model.start("me/tiny", "f32")
        assert desk.row().item.state == "Asking the hub"
    row = desk.wait_for("Finished")
    assert row.item.title == "me/tiny · F32"
    assert counts[0] == 1
    assert counts[-1] == desk.model.active_count == 0
    with qtbot.waitSignal(desk.page.load_wished) as load:
        desk.click("Load…")
    path = desk.folders.models / "me" / "tiny" / "tiny-F32.gguf"
    assert load.args == [path]
    assert path.read_bytes() == tiny_llama.read_bytes()
    desk.page._clear.click()
    qtbot.waitUntil(lambda: desk.page.is_empty)
    assert path.exists()


def test_one_row_is_updated_in_place_through_pause_and_resume(
    start: Callable[..., Desk], hub_server: HubServer, big: Path
) -> None:
    slow = hub_server.fault("storage", bytes_per_second=SLOW_LINE)
    desk = start()
    desk.model.start("me/big", "Q4_K_M")
    row = desk.wait_for("Downloading")
    desk.qtbot.waitUntil(lambda: row.item.bytes_done > 0 and "/s" in row.item.figures, timeout=LONG)
    assert "of 8.0 MiB" in row.item.figures
    assert desk.row() is row
    desk.click("Pause")
    assert desk.wait_for("Paused") is row
    kept = row.item.bytes_done
    assert kept > 0
    assert desk.model.active_count == 0
    hub_server.faults.remove(slow)
    desk.click("Resume")
    assert desk.wait_for("Finished") is row
    assert (desk.folders.models / "me/big/big-Q4_K_M.gguf").read_bytes() == big.read_bytes()
    assert hub_server.served[-1].start > 0  # it went on, and did not begin anew


def test_a_new_start_of_the_app_goes_on_from_where_it_was(
    start: Callable[..., Desk], hub_server: HubServer, big: Path
) -> None:
    slow = hub_server.fault("storage", bytes_per_second=SLOW_LINE)
    first = start()
    first.model.start("me/big", "Q4_K_M")
    row = first.wait_for("Downloading")
    first.qtbot.waitUntil(lambda: row.item.bytes_done > 0, timeout=LONG)
    first.close()
    hub_server.faults.remove(slow)
    second = start()
    second.wait_for("Finished")
    assert (second.folders.models / "me/big/big-Q4_K_M.gguf").read_bytes() == big.read_bytes()
    assert hub_server.served[-1].start > 0


def test_giving_up_asks_and_deletes_what_has_arrived(
    start: Callable[..., Desk], hub_server: HubServer, big: Path
) -> None:
    hub_server.fault("storage", bytes_per_second=SLOW_LINE)
    desk = start()
    desk.model.start("me/big", "Q4_K_M")
    row = desk.wait_for("Downloading")
    desk.qtbot.waitUntil(lambda: row.item.bytes_done > 0, timeout=LONG)
    assert desk.model.on_their_way()
    row._end.click()
    question = desk.page.findChild(QMessageBox)
    assert isinstance(question, QMessageBox)
    assert "are deleted" in question.informativeText()
    next(b for b in question.buttons() if b.text() == "Cancel download").click()
    desk.qtbot.waitUntil(lambda: desk.page.is_empty, timeout=LONG)
    assert not list(desk.folders.models.rglob("*.part"))


@pytest.mark.parametrize(
    ("status", "code", "said", "settings"),
    [
        (401, "GatedRepo", "gated", "token"),
        (404, "RepoNotFound", "not found", "token"),
        (429, "", "patience", None),
    ],
)
def test_a_refusal_is_told_in_its_place_and_can_be_tried_again(
    start: Callable[..., Desk],
    hub_server: HubServer,
    tiny_llama: Path,
    status: int,
    code: str,
    said: str,
    settings: str | None,
) -> None:
    hub_server.add("me/tiny", {"tiny-F32.gguf": tiny_llama}, "gguf")
    hub_server.fault("api", status=status, code=code, times=1)
    desk = start()
    desk.model.start("me/tiny", "F32")
    row = desk.wait_for("Not started")
    assert said in row.item.note
    assert row.item.setting == settings
    if settings:
        with desk.qtbot.waitSignal(desk.page.settings_wished) as wished:
            desk.click("Access token…")
        assert wished.args == ["token"]
    desk.click("Try again")
    desk.wait_for("Finished")


def test_a_gated_file_names_the_token_as_the_way_on(
    start: Callable[..., Desk],
    hub_server: HubServer,
    tiny_llama: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hub_server.add("me/gated", {"g-F32.gguf": tiny_llama}, "gguf", gated="auto", needs_token=SECRET)
    desk = start()
    desk.model.start("me/gated", "F32")
    row = desk.wait_for("Failed")
    assert row.item.setting == "token"
    monkeypatch.setenv("HF_TOKEN", SECRET)
    desk.apply(desk.settings)
    desk.click("Try again")
    desk.wait_for("Finished")
    desk.close()
    for path in desk.folders.data.parent.rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes()


def test_a_line_that_breaks_is_mended_without_being_asked(
    start: Callable[..., Desk], hub_server: HubServer, big: Path
) -> None:
    hub_server.fault("storage", cut_after=3 << 20, times=1)
    desk = start()
    desk.model.start("me/big", "Q4_K_M")
    desk.wait_for("Finished")
    assert (desk.folders.models / "me/big/big-Q4_K_M.gguf").read_bytes() == big.read_bytes()


def test_a_disk_that_is_too_small_is_told_with_the_numbers(
    start: Callable[..., Desk],
    hub_server: HubServer,
    big: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk = start()
    monkeypatch.setattr(desk.core.manager, "_space", lambda _folder: 5_000_000)
    desk.model.start("me/big", "Q4_K_M")
    note = desk.wait_for("Not started").item.note
    assert "not enough space" in note
    assert "0.0 GB are free" in note


def test_offline_mode_stops_what_runs_and_its_end_lets_it_go_on(
    start: Callable[..., Desk], hub_server: HubServer, big: Path
) -> None:
    slow = hub_server.fault("storage", bytes_per_second=SLOW_LINE)
    desk = start()
    online = desk.settings
    desk.model.start("me/big", "Q4_K_M")
    row = desk.wait_for("Downloading")
    desk.qtbot.waitUntil(lambda: row.item.bytes_done > 0, timeout=LONG)
    desk.apply(AppSettings(hub_endpoint=online.hub_endpoint, offline=True))
    row = desk.wait_for("Failed")
    assert "Offline mode is on" in row.item.note
    assert row.item.setting == "offline"
    desk.model.start("me/other", "Q8_0")
    desk.qtbot.waitUntil(lambda: len(desk.page.rows) == 2 and desk.page.rows[0].item.is_failed)
    desk.model.remove(desk.page.rows[0].item.key)
    hub_server.faults.remove(slow)
    desk.apply(online)
    desk.wait_for("Finished")


def test_an_unknown_variant_is_answered_with_those_there_are(
    start: Callable[..., Desk], big: Path
) -> None:
    desk = start()
    desk.model.start("me/big", "Q9_9")
    row = desk.wait_for("Not started")
    assert "Q4_K_M" in row.item.note
    assert unnamed_controls(desk.page) == []
    row._end.click()
    assert desk.page.is_empty


def test_the_free_space_is_shown_while_somebody_looks(start: Callable[..., Desk]) -> None:
    desk = start()
    desk.qtbot.waitUntil(lambda: "free in" in desk.page.space_text, timeout=LONG)
    assert str(desk.folders.models) in desk.page.space_text
