"""My Models: what is on this machine, broken files with their reason, adding and deleting."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from typing import TYPE_CHECKING

import pytest
from naming import unnamed_controls
from PySide6.QtCore import QMimeData, QPoint, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import QComboBox, QLabel, QMessageBox

from m1desk.engines import EngineState, EngineStatus
from m1desk.errors import StorageError
from m1desk.models import OtherPlaces, Removal
from m1desk.store import Database, Folders, SettingsStore
from m1desk.ui.pages.my_models import MyModels
from m1desk.ui.units import bytes_text
from m1desk.ui.viewmodels.model_check import ModelChecks
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
def others(tmp_path: Path) -> OtherPlaces:
    """Folders of other programs, empty until a test fills them."""
    return OtherPlaces(lmstudio=(tmp_path / "lmstudio",), ollama=(tmp_path / "ollama",))


@pytest.fixture
def known() -> dict[Path, str]:
    """The checksums that downloads vouch for."""
    return {}


@pytest.fixture
def models(
    bridge: Bridge, settings: SettingsViewModel, folders: Folders, others: OtherPlaces
) -> ModelsViewModel:
    return ModelsViewModel(bridge, settings, folders.models, others=others)


@pytest.fixture
def checks(bridge: Bridge, known: dict[Path, str]) -> ModelChecks:
    return ModelChecks(bridge, lambda path: known.get(path, ""))


@pytest.fixture
def page(theme: Theme, models: ModelsViewModel, checks: ModelChecks, qtbot: QtBot) -> MyModels:
    made = MyModels(theme, models, checks)
    qtbot.addWidget(made)
    made.resize(900, 600)
    return made


def scan(models: ModelsViewModel, qtbot: QtBot) -> None:
    with qtbot.waitSignal(models.changed):
        models.refresh()


def asked(page: MyModels, qtbot: QtBot) -> QMessageBox:
    """The question that comes once it is known what deleting would do."""
    qtbot.waitUntil(lambda: page.findChild(QMessageBox) is not None)
    question = page.findChild(QMessageBox)
    assert isinstance(question, QMessageBox)
    return question


def texts(page: MyModels) -> str:
    return " ".join(label.text() for label in page.findChildren(QLabel))


def test_an_empty_folder_explains_how_to_get_a_model(
    page: MyModels, models: ModelsViewModel, qtbot: QtBot
) -> None:
    assert not page.is_empty  # before the disk was looked at nothing is claimed
    scan(models, qtbot)
    assert page.is_empty
    assert "GGUF" in texts(page)


@pytest.mark.parametrize("size", [(1200, 800), (700, 500)])
def test_the_explanation_is_not_cut(
    page: MyModels, models: ModelsViewModel, qtbot: QtBot, size: tuple[int, int]
) -> None:
    page.resize(*size)
    page.show()
    scan(models, qtbot)
    text = next(label for label in page.findChildren(QLabel) if "GGUF files" in label.text())
    qtbot.waitUntil(lambda: text.height() >= text.heightForWidth(text.width()))


def test_a_model_the_engine_does_not_know_says_so_in_the_list(
    page: MyModels, models: ModelsViewModel, folders: Folders, tiny_minimax: Path, qtbot: QtBot
) -> None:
    known = tiny_minimax.read_bytes()
    (folders.models / "new.gguf").write_bytes(known.replace(b"minimax-01", b"minimax-99"))
    scan(models, qtbot)
    assert not page.cards[0].button.isEnabled()
    assert "minimax-99" in page.cards[0].button.toolTip()


def test_models_in_the_folder_are_listed_with_what_they_are(
    page: MyModels, models: ModelsViewModel, folders: Folders, tiny_minimax: Path, qtbot: QtBot
) -> None:
    shutil.copy(tiny_minimax, folders.models / "m1.gguf")
    scan(models, qtbot)
    (card,) = page.cards
    assert card.entry.title == "m1"
    assert "minimax-01" in card.entry.detail
    assert "F32" in card.entry.detail
    assert card.button.isEnabled()


def test_a_broken_file_is_shown_with_its_reason_and_can_not_be_loaded(
    page: MyModels, models: ModelsViewModel, folders: Folders, qtbot: QtBot
) -> None:
    (folders.models / "broken.gguf").write_bytes(b"GGUF" + bytes(4))
    scan(models, qtbot)
    (card,) = page.cards
    assert "broken.gguf" in card.entry.problem
    assert not card.button.isEnabled()
    assert card.button.toolTip() == card.entry.problem


def test_an_added_file_stays_listed_until_it_is_removed(
    page: MyModels,
    models: ModelsViewModel,
    settings: SettingsViewModel,
    tiny_llama: Path,
    qtbot: QtBot,
) -> None:
    with qtbot.waitSignal(models.changed):
        models.add(tiny_llama)
    assert [card.entry.path for card in page.cards] == [tiny_llama]
    assert settings.settings.added_models == (str(tiny_llama),)
    assert page.cards[0].entry.tag == "Added"
    with qtbot.waitSignal(models.changed):
        models.remove(page.cards[0].entry)
    assert page.cards == ()
    assert tiny_llama.exists()


def test_deleting_asks_says_what_it_frees_and_frees_it(
    page: MyModels, models: ModelsViewModel, folders: Folders, tiny_llama: Path, qtbot: QtBot
) -> None:
    path = folders.models / "gone.gguf"
    shutil.copy(tiny_llama, path)
    size = path.stat().st_size
    scan(models, qtbot)
    page.cards[0].delete_wished.emit(page.cards[0].entry)
    question = asked(page, qtbot)
    assert f"{bytes_text(size)} become free" in question.informativeText()
    assert path.exists()
    with qtbot.waitSignal(models.deleted) as deleted:
        next(b for b in question.buttons() if b.text() == "Delete").click()
    assert deleted.args is not None
    assert (deleted.args[0].title, deleted.args[1]) == ("gone", size)
    assert not path.exists()


def test_a_file_that_can_not_be_deleted_is_told(
    models: ModelsViewModel, folders: Folders, tiny_llama: Path, qtbot: QtBot
) -> None:
    path = folders.models / "gone.gguf"
    shutil.copy(tiny_llama, path)
    scan(models, qtbot)
    plans: list[Removal] = []
    models.plan_deletion(models.entries[0], plans.append)
    qtbot.waitUntil(lambda: bool(plans))
    path.unlink()
    path.mkdir()  # what is there now is not what was asked about
    with qtbot.waitSignal(models.failed) as failed:
        models.delete(models.entries[0], plans[0])
    assert failed.args is not None
    assert isinstance(failed.args[0], StorageError)


def test_a_loaded_model_is_unloaded_from_here_and_not_deleted(
    page: MyModels, models: ModelsViewModel, folders: Folders, tiny_llama: Path, qtbot: QtBot
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
    page: MyModels, models: ModelsViewModel, folders: Folders, tiny_llama: Path, qtbot: QtBot
) -> None:
    for name in ("alpha", "beta"):
        shutil.copy(tiny_llama, folders.models / f"{name}.gguf")
    scan(models, qtbot)
    page._search.setText("bet")
    assert [card.isVisibleTo(page) for card in page.cards] == [False, True]


def test_models_of_other_programs_are_listed_with_their_owner(
    page: MyModels, models: ModelsViewModel, others: OtherPlaces, tiny_llama: Path, qtbot: QtBot
) -> None:
    put_into_lmstudio(others, tiny_llama)
    put_into_ollama(others, tiny_llama)
    scan(models, qtbot)
    assert [(card.entry.title, card.entry.tag) for card in page.cards] == [
        ("other", "LM Studio"),
        ("qwen3:8b", "Ollama"),
    ]
    assert all(card.button.isEnabled() for card in page.cards)
    assert unnamed_controls(page) == []
    page.cards[1].delete_wished.emit(page.cards[1].entry)
    box = asked(page, qtbot)
    assert "belongs to Ollama" in box.informativeText()
    assert "ollama rm qwen3:8b" in box.informativeText()
    assert [button.text() for button in box.buttons()] in (["OK"], ["&OK"])


def put_into_lmstudio(others: OtherPlaces, model: Path) -> None:
    place = others.lmstudio[0] / "someone" / "model"
    place.mkdir(parents=True)
    # Not the same content as elsewhere: a file in two places is listed once.
    shutil.copy(model, place / "other.gguf")


def put_into_ollama(others: OtherPlaces, model: Path) -> Path:
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    blobs = others.ollama[0] / "blobs"
    blobs.mkdir(parents=True)
    blob = blobs / f"sha256-{digest}"
    shutil.copy(model, blob)
    manifest = others.ollama[0] / "manifests" / "registry.ollama.ai" / "library" / "qwen3" / "8b"
    manifest.parent.mkdir(parents=True)
    kind = "application/vnd.ollama.image.model"
    size = model.stat().st_size
    layer = {"mediaType": kind, "digest": f"sha256:{digest}", "size": size}
    manifest.write_text(json.dumps({"layers": [layer]}))
    return blob


def test_a_file_that_is_not_all_there_is_said_to_be(
    page: MyModels, models: ModelsViewModel, folders: Folders, qtbot: QtBot
) -> None:
    (folders.models / "half.gguf.part").write_bytes(b"GGUF" + bytes(2000))
    scan(models, qtbot)
    (card,) = page.cards
    assert card.entry.title == "half"
    assert card.entry.detail == "1.96 KiB so far"
    assert card.entry.problem.startswith("Its download has not ended.")
    assert not card.button.isEnabled()
    assert models.gguf_entries == ()


def test_what_is_on_its_way_is_left_to_the_downloads(
    theme: Theme,
    models: ModelsViewModel,
    checks: ModelChecks,
    folders: Folders,
    tiny_llama: Path,
    qtbot: QtBot,
) -> None:
    coming = folders.models / "coming.gguf.part"
    coming.write_bytes(b"GGUF")
    shutil.copy(tiny_llama, folders.models / "here.gguf")
    page = MyModels(theme, models, checks, on_their_way=lambda: frozenset({coming}))
    qtbot.addWidget(page)
    scan(models, qtbot)
    assert [card.entry.title for card in page.cards] == ["here"]


def test_the_list_can_be_ordered(
    page: MyModels,
    models: ModelsViewModel,
    folders: Folders,
    tiny_llama: Path,
    tiny_minimax: Path,
    qtbot: QtBot,
) -> None:
    for number, (name, source) in enumerate(
        (("a", tiny_llama), ("b", tiny_minimax), ("c", tiny_llama))
    ):
        shutil.copy(source, folders.models / f"{name}.gguf")
        os.utime(folders.models / f"{name}.gguf", (1_000_000 * number, 1_000_000 * number))
    scan(models, qtbot)
    order = page.findChild(QComboBox)
    assert isinstance(order, QComboBox)
    seen = {}
    for place in range(order.count()):
        order.setCurrentIndex(place)
        seen[order.currentText()] = "".join(card.entry.title for card in page.cards)
    assert seen["By name"] == "abc"
    assert seen["Largest first"][0] == "b"
    assert seen["Newest first"] == "cba"


def test_cards_stay_when_nothing_about_them_changed(
    page: MyModels, models: ModelsViewModel, folders: Folders, tiny_llama: Path, qtbot: QtBot
) -> None:
    shutil.copy(tiny_llama, folders.models / "a.gguf")
    scan(models, qtbot)
    (before,) = page.cards
    shutil.copy(tiny_llama, folders.models / "b.gguf")
    scan(models, qtbot)
    assert page.cards[0] is before
    assert len(page.cards) == 2


def test_verifying_compares_the_checksum_and_says_what_it_found(
    page: MyModels,
    models: ModelsViewModel,
    checks: ModelChecks,
    known: dict[Path, str],
    folders: Folders,
    tiny_llama: Path,
    qtbot: QtBot,
) -> None:
    path = folders.models / "a.gguf"
    shutil.copy(tiny_llama, path)
    scan(models, qtbot)
    card = page.cards[0]
    said = {}
    for word, checksum in (
        ("right", hashlib.sha256(path.read_bytes()).hexdigest()),
        ("wrong", "0" * 64),
        ("none", ""),
    ):
        known[path] = checksum
        card.check_wished.emit(card.entry)
        assert card.check_text == "Verifying 0 %"
        qtbot.waitUntil(lambda: "Verifying" not in card.check_text)
        said[word] = card.check_text
    assert "checksum is right" in said["right"]
    assert "checksum is wrong" in said["wrong"]
    assert "no checksum of it is known" in said["none"]
    os.utime(path, (1, 1))
    scan(models, qtbot)
    assert page.cards[0].check_text == ""  # another file now, of which nothing is known


def test_a_check_can_be_given_up(
    page: MyModels,
    models: ModelsViewModel,
    checks: ModelChecks,
    known: dict[Path, str],
    folders: Folders,
    tiny_llama: Path,
    qtbot: QtBot,
) -> None:
    path = folders.models / "a.gguf"
    shutil.copy(tiny_llama, path)
    known[path] = "0" * 64
    scan(models, qtbot)
    card = page.cards[0]
    checks.start(card.entry)
    checks.stop_all()
    qtbot.waitUntil(lambda: "Verifying" not in card.check_text)
    assert card.check_text in {"", "The checksum is wrong of: a.gguf."}


def test_files_and_folders_that_are_dropped_are_listed(
    page: MyModels,
    models: ModelsViewModel,
    settings: SettingsViewModel,
    tiny_llama: Path,
    tmp_path: Path,
    qtbot: QtBot,
) -> None:
    place = tmp_path / "mine"
    place.mkdir()
    shutil.copy(tiny_llama, place / "inside.gguf")
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in (tiny_llama, place)])
    drop = QDropEvent(
        QPoint(5, 5).toPointF(),
        Qt.DropAction.CopyAction,
        data,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    page.dropEvent(drop)
    qtbot.waitUntil(lambda: len(page.cards) == 2)
    assert {card.entry.tag for card in page.cards} == {"Added", "Your folder"}
    assert settings.settings.model_folders == (str(place),)


def test_a_long_list_is_made_little_by_little(
    page: MyModels, models: ModelsViewModel, folders: Folders, tiny_llama: Path, qtbot: QtBot
) -> None:
    for number in range(20):
        shutil.copy(tiny_llama, folders.models / f"{number:02}.gguf")
    scan(models, qtbot)
    assert 0 < len(page.cards) < 20
    qtbot.waitUntil(lambda: len(page.cards) == 20)
    assert [card.entry.title for card in page.cards] == [f"{n:02}" for n in range(20)]
