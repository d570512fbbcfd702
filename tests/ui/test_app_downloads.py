"""Downloads in the whole window: what is told, quitting in the middle, and what a crash leaves."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from support.transfers import running_transfers
from test_app import SLOW, App

from m1desk.app_options import WindowOptions
from m1desk.store import AppSettings, Database, Folders, SettingsStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pytestqt.qtbot import QtBot
    from support.hub_server import HubServer
    from support.memory_keyring import MemoryKeyring

    from m1desk.models import Removal
    from m1desk.ui.theme import Theme

OPTIONS = WindowOptions(calibrate=False, greet=False, page="models")
SLOW_LINE = 1_000_000  # bytes per second
TOKEN = "hf_thisisnotoneofmine12"


@pytest.fixture
def folders(home: Path, hub_server: HubServer) -> Folders:
    """The app's folders, with the hub of the test in the settings."""
    made = Folders.under(home)
    with Database(made.database) as database:
        SettingsStore(database).save(AppSettings(hub_endpoint=hub_server.endpoint))
    return made


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


@pytest.fixture
def big(tmp_path: Path, hub_server: HubServer) -> Path:
    """Eight MiB at the hub, as me/big's Q4_K_M."""
    path = tmp_path / "big.gguf"
    path.write_bytes(random.Random(1).randbytes(8 << 20))
    hub_server.add("me/big", {"big-Q4_K_M.gguf": path}, "gguf")
    return path


def states(app: App) -> list[str]:
    return [item.state for item in app.parts.models_desk.downloads.items]


def arrived(app: App) -> int:
    return sum(item.bytes_done for item in app.parts.models_desk.downloads.items)


def test_a_model_that_has_arrived_is_listed_and_offered(
    start: Callable[[], App], hub_server: HubServer, tiny_llama: Path, qtbot: QtBot
) -> None:
    hub_server.add("me/tiny", {"tiny-F32.gguf": tiny_llama}, "gguf")
    app = start()
    desk = app.parts.models_desk
    desk.fetch("me/tiny", "F32")
    assert app.parts.models_page.tab == "downloads"
    offer = app.window.status_bar._offer
    qtbot.waitUntil(offer.isVisible, timeout=SLOW)
    qtbot.waitUntil(
        lambda: [card.entry.title for card in desk.my_models.cards] == ["tiny-F32"], timeout=SLOW
    )
    assert desk.my_models.cards[0].entry.tag == "M1 Desk"
    offer.click()
    dialog = app.parts.loading.flow.dialog
    assert dialog is not None
    assert dialog.path == desk.my_models.cards[0].entry.path
    dialog.reject()
    assert not offer.isVisible()
    assert states(app) == ["Finished"]
    plans: list[Removal] = []
    app.parts.models.plan_deletion(desk.my_models.cards[0].entry, plans.append)
    qtbot.waitUntil(lambda: bool(plans), timeout=SLOW)
    assert plans[0].frees_bytes == tiny_llama.stat().st_size
    app.parts.models.delete(desk.my_models.cards[0].entry, plans[0])
    qtbot.waitUntil(lambda: states(app) == [] and desk.my_models.is_empty, timeout=SLOW)


def test_quitting_in_the_middle_says_that_it_goes_on_and_it_does(
    start: Callable[[], App], hub_server: HubServer, big: Path, folders: Folders, qtbot: QtBot
) -> None:
    slow = hub_server.fault("storage", bytes_per_second=SLOW_LINE)
    app = start()
    app.parts.models_desk.fetch("me/big", "Q4_K_M")
    qtbot.waitUntil(lambda: arrived(app) > 0, timeout=SLOW)
    app.window.close()
    question = app.parts.closing.question
    assert question is not None
    assert "go on at the next start" in question.text().replace("goes", "go")
    question.close()
    app.close(qtbot)
    assert not running_transfers()
    hub_server.faults.remove(slow)
    again = start()
    qtbot.waitUntil(lambda: states(again) == ["Finished"], timeout=SLOW)
    assert (folders.models / "me/big/big-Q4_K_M.gguf").read_bytes() == big.read_bytes()
    assert hub_server.served[-1].start > 0


def test_what_a_crash_interrupts_goes_on_at_the_next_start(
    start: Callable[[], App], hub_server: HubServer, big: Path, folders: Folders, qtbot: QtBot
) -> None:
    slow = hub_server.fault("storage", bytes_per_second=SLOW_LINE)
    app = start()
    app.parts.models_desk.fetch("me/big", "Q4_K_M")
    qtbot.waitUntil(lambda: arrived(app) > 0, timeout=SLOW)
    # What a crash leaves: a row that says "downloading" and whose owner is no more.
    app.close(qtbot)
    with Database(folders.database) as database:
        database.execute(
            "UPDATE downloads SET state = 'downloading', owner_pid = 1, owner_started = 1.0"
        )
    hub_server.faults.remove(slow)
    again = start()
    qtbot.waitUntil(lambda: states(again) == ["Finished"], timeout=SLOW)
    assert (folders.models / "me/big/big-Q4_K_M.gguf").read_bytes() == big.read_bytes()


def test_a_token_entered_in_the_settings_opens_a_gated_model(
    start: Callable[[], App],
    hub_server: HubServer,
    memory_keyring: MemoryKeyring,
    tiny_llama: Path,
    folders: Folders,
    qtbot: QtBot,
) -> None:
    hub_server.add("me/gated", {"g-F32.gguf": tiny_llama}, "gguf", needs_token=TOKEN)
    app = start()
    desk = app.parts.models_desk
    desk.fetch("me/gated", "F32")
    qtbot.waitUntil(lambda: states(app) == ["Failed"], timeout=SLOW)
    desk.downloads_page.rows[0]._settings.click()
    assert app.window.page == "settings"
    desk.token.store(TOKEN)
    qtbot.waitUntil(lambda: desk.token.state.is_stored, timeout=SLOW)
    desk.downloads_page.rows[0]._main.click()
    qtbot.waitUntil(lambda: states(app) == ["Finished"], timeout=SLOW)
    app.close(qtbot)
    for path in folders.data.parent.rglob("*"):
        assert not path.is_file() or TOKEN.encode() not in path.read_bytes(), path
