"""The Models page: what is on this machine, broken files with their reason, adding and deleting."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from PySide6.QtWidgets import QLabel, QMessageBox

from m1desk.engines import EngineState, EngineStatus
from m1desk.errors import StorageError
from m1desk.store import Database, Folders, SettingsStore
from m1desk.ui.pages.models_page import ModelsPage
from m1desk.ui.viewmodels.models import ModelsViewModel
from m1desk.ui.viewmodels.settings import SettingsViewModel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytestqt.qtbot import QtBot

    from m1desk.ui.bridge import Bridge
    from m1desk.ui.theme import Theme


@pytest.fixture
def folders(home: Path) -> Folders:
    return Folders.under(home)


@pytest.fixture
def settings(folders: Folders) -> Iterator[SettingsViewModel]:
    with Database(folders.database) as database:
        yield SettingsViewModel(SettingsStore(database))


@pytest.fixture
def models(bridge: Bridge, settings: SettingsViewModel, folders: Folders) -> ModelsViewModel:
    return ModelsViewModel(bridge, settings, folders.models)


@pytest.fixture
def page(theme: Theme, models: ModelsViewModel, qtbot: QtBot) -> ModelsPage:
    made = ModelsPage(theme, models)
    qtbot.addWidget(made)
    made.resize(900, 600)
    return made


def scan(models: ModelsViewModel, qtbot: QtBot) -> None:
    with qtbot.waitSignal(models.changed):
        models.refresh()


def texts(page: ModelsPage) -> str:
    return " ".join(label.text() for label in page.findChildren(QLabel))


def test_an_empty_folder_explains_how_to_get_a_model(
    page: ModelsPage, models: ModelsViewModel, qtbot: QtBot
) -> None:
    assert not page.is_empty  # before the disk was looked at nothing is claimed
    scan(models, qtbot)
    assert page.is_empty
    assert "GGUF" in texts(page)


@pytest.mark.parametrize("size", [(1200, 800), (700, 500)])
def test_the_explanation_is_not_cut(
    page: ModelsPage, models: ModelsViewModel, qtbot: QtBot, size: tuple[int, int]
) -> None:
    page.resize(*size)
    page.show()
    scan(models, qtbot)
    text = next(label for label in page.findChildren(QLabel) if "GGUF files" in label.text())
    qtbot.waitUntil(lambda: text.height() >= text.heightForWidth(text.width()))


def test_a_model_the_engine_does_not_know_says_so_in_the_list(
    page: ModelsPage, models: ModelsViewModel, folders: Folders, tiny_minimax: Path, qtbot: QtBot
) -> None:
    known = tiny_minimax.read_bytes()
    (folders.models / "new.gguf").write_bytes(known.replace(b"minimax-01", b"minimax-99"))
    scan(models, qtbot)
    assert not page.cards[0].button.isEnabled()
    assert "minimax-99" in page.cards[0].button.toolTip()


def test_models_in_the_folder_are_listed_with_what_they_are(
    page: ModelsPage, models: ModelsViewModel, folders: Folders, tiny_minimax: Path, qtbot: QtBot
) -> None:
    shutil.copy(tiny_minimax, folders.models / "m1.gguf")
    scan(models, qtbot)
    (card,) = page.cards
    assert card.entry.title == "m1"
    assert "minimax-01" in card.entry.detail
    assert "F32" in card.entry.detail
    assert card.button.isEnabled()


def test_a_broken_file_is_shown_with_its_reason_and_can_not_be_loaded(
    page: ModelsPage, models: ModelsViewModel, folders: Folders, qtbot: QtBot
) -> None:
    (folders.models / "broken.gguf").write_bytes(b"GGUF" + bytes(4))
    scan(models, qtbot)
    (card,) = page.cards
    assert "broken.gguf" in card.entry.problem
    assert not card.button.isEnabled()
    assert card.button.toolTip() == card.entry.problem


def test_an_added_file_stays_listed_until_it_is_removed(
    page: ModelsPage,
    models: ModelsViewModel,
    settings: SettingsViewModel,
    tiny_llama: Path,
    qtbot: QtBot,
) -> None:
    with qtbot.waitSignal(models.changed):
        models.add(tiny_llama)
    assert [card.entry.path for card in page.cards] == [tiny_llama]
    assert settings.settings.recent_models == (str(tiny_llama),)
    with qtbot.waitSignal(models.changed):
        models.remove(page.cards[0].entry)
    assert page.cards == ()
    assert tiny_llama.exists()


def test_deleting_asks_says_what_it_frees_and_frees_it(
    page: ModelsPage, models: ModelsViewModel, folders: Folders, tiny_llama: Path, qtbot: QtBot
) -> None:
    path = folders.models / "gone.gguf"
    shutil.copy(tiny_llama, path)
    size = path.stat().st_size
    scan(models, qtbot)
    page.cards[0].delete_wished.emit(page.cards[0].entry)
    question = page.findChild(QMessageBox)
    assert isinstance(question, QMessageBox)
    assert "KiB become free" in question.informativeText()
    assert path.exists()
    with qtbot.waitSignal(models.deleted) as deleted:
        next(b for b in question.buttons() if b.text() == "Delete").click()
    assert deleted.args == ["gone", size]
    assert not path.exists()


def test_a_file_that_can_not_be_deleted_is_told(
    models: ModelsViewModel, folders: Folders, tiny_llama: Path, qtbot: QtBot
) -> None:
    path = folders.models / "gone.gguf"
    shutil.copy(tiny_llama, path)
    scan(models, qtbot)
    path.unlink()  # somebody else was faster
    with qtbot.waitSignal(models.failed) as failed:
        models.delete(models.entries[0])
    assert failed.args is not None
    assert isinstance(failed.args[0], StorageError)


def test_a_loaded_model_is_unloaded_from_here_and_not_deleted(
    page: ModelsPage, models: ModelsViewModel, folders: Folders, tiny_llama: Path, qtbot: QtBot
) -> None:
    path = folders.models / "loaded.gguf"
    shutil.copy(tiny_llama, path)
    scan(models, qtbot)
    page.show_status(EngineStatus(EngineState.READY, model_path=path, context_tokens=4096))
    (card,) = page.cards
    assert card.state_text == "Loaded · 4K context"
    with qtbot.waitSignal(page.unload_wished):
        card.button.click()
    card.delete_wished.emit(card.entry)
    box = page.findChild(QMessageBox)
    assert isinstance(box, QMessageBox)
    assert "Unload it first" in box.informativeText()
    box.close()
    assert path.exists()


def test_the_filter_narrows_the_list(
    page: ModelsPage, models: ModelsViewModel, folders: Folders, tiny_llama: Path, qtbot: QtBot
) -> None:
    for name in ("alpha", "beta"):
        shutil.copy(tiny_llama, folders.models / f"{name}.gguf")
    scan(models, qtbot)
    page._search.setText("bet")
    assert [card.isVisibleTo(page) for card in page.cards] == [False, True]
