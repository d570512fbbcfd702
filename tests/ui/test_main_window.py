"""The frame of the window: pages, shortcuts, sidebar, drops, banner, closing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from naming import unnamed_controls
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from m1desk.engines import EngineState, EngineStatus
from m1desk.ui import MainWindow
from m1desk.ui.actions import COMMANDS
from m1desk.ui.errors_banner import Notice, Step
from m1desk.ui.widgets.drop_overlay import DropOverlay, dropped_documents, dropped_model
from m1desk.ui.widgets.model_popup import ModelPopup
from m1desk.ui.widgets.shortcuts_dialog import ShortcutsDialog

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytestqt.qtbot import QtBot

    from m1desk.ui.theme import Theme

NAMES = ("chat", "documents", "jobs", "models", "monitor", "servers", "settings")


@pytest.fixture
def window(theme: Theme, qtbot: QtBot) -> Iterator[MainWindow]:
    made = MainWindow(theme)
    made.attach({name: make_page() for name in NAMES})
    made.resize(1200, 800)
    made.show()
    qtbot.waitExposed(made)
    yield made
    made.allow_close()
    made.close()
    made.deleteLater()


def make_page() -> QWidget:
    """A page with a text field, as the chat has one."""
    page = QWidget()
    layout = QVBoxLayout(page)
    layout.addWidget(QPlainTextEdit())
    return page


def press(window: MainWindow, qtbot: QtBot, key: Qt.Key) -> None:
    window.activateWindow()
    qtbot.keyClick(window, key, Qt.KeyboardModifier.ControlModifier)


@pytest.mark.parametrize(
    ("key", "page"),
    [
        (Qt.Key.Key_1, "chat"),
        (Qt.Key.Key_2, "documents"),
        (Qt.Key.Key_3, "jobs"),
        (Qt.Key.Key_4, "models"),
        (Qt.Key.Key_5, "monitor"),
        (Qt.Key.Key_6, "servers"),
        (Qt.Key.Key_7, "settings"),
        (Qt.Key.Key_Comma, "settings"),
    ],
)
def test_pages_open_by_keyboard(window: MainWindow, qtbot: QtBot, key: Qt.Key, page: str) -> None:
    window.show_page("monitor" if page != "monitor" else "chat")
    press(window, qtbot, key)
    assert window.page == page


def test_new_chat_opens_the_chat_wherever_one_is(window: MainWindow, qtbot: QtBot) -> None:
    window.show_page("monitor")
    with qtbot.waitSignal(window.command) as command:
        press(window, qtbot, Qt.Key.Key_N)
    assert command.args == ["new_chat"]
    assert window.page == "chat"


def test_every_shortcut_is_different_and_listed(
    window: MainWindow, theme: Theme, qtbot: QtBot
) -> None:
    keys = [command.keys for command in COMMANDS]
    assert len(set(keys)) == len(keys)
    dialog = ShortcutsDialog(theme, window)
    shown = " ".join(
        label.text() for label in dialog.findChildren(QWidget) if hasattr(label, "text")
    )
    assert all(command.text in shown for command in COMMANDS)
    dialog.close()


def test_the_sidebar_folds_to_icons_and_back(window: MainWindow, qtbot: QtBot) -> None:
    wide = window.sidebar.width()
    press(window, qtbot, Qt.Key.Key_B)
    assert window.sidebar.width() < wide
    press(window, qtbot, Qt.Key.Key_B)
    assert window.sidebar.width() == wide


def test_a_narrow_window_gives_the_sidebars_room_to_the_page(window: MainWindow) -> None:
    window.resize(900, 600)
    assert not window.sidebar.is_wide
    window.resize(1200, 800)
    assert window.sidebar.is_wide


def test_it_comes_back_where_it_was(window: MainWindow, theme: Theme) -> None:
    window.resize(780, 610)
    stored = window.geometry_bytes()
    second = MainWindow(theme)
    second.restore(stored, "models", wide_sidebar=False)
    assert (second.width(), second.height()) == (780, 610)
    assert second.page == "models"
    assert not second.sidebar.is_wide
    second.restore(b"spoilt", "nonsense", wide_sidebar=True)
    assert second.page == "chat"
    second.deleteLater()


def drop(window: MainWindow, target: QWidget, *paths: Path) -> QDropEvent:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    how = (Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton)
    QApplication.sendEvent(
        target, QDragEnterEvent(QPoint(5, 5), *how, Qt.KeyboardModifier.NoModifier)
    )
    event = QDropEvent(QPointF(5, 5), *how, Qt.KeyboardModifier.NoModifier)
    QApplication.sendEvent(target, event)
    return event


def test_a_model_dropped_on_the_window_is_offered(window: MainWindow, qtbot: QtBot) -> None:
    with qtbot.waitSignal(window.model_dropped) as dropped:
        drop(window, window, Path("/models/a.gguf"))
    assert dropped.args == [Path("/models/a.gguf")]


def test_a_checkpoint_is_a_model_and_no_document(
    window: MainWindow, tmp_path: Path, qtbot: QtBot
) -> None:
    checkpoint, sources = tmp_path / "model", tmp_path / "sources"
    for folder in (checkpoint, sources):
        folder.mkdir()
        (folder / "config.json").write_text("{}")
    (checkpoint / "model.safetensors").touch()
    files = tuple(checkpoint.iterdir())
    for paths in ((checkpoint,), files[:1], files):
        with qtbot.waitSignal(window.model_dropped) as dropped:
            drop(window, window, *paths)
        assert dropped.args == [checkpoint]
    for path in (sources, sources / "config.json"):
        with qtbot.waitSignal(window.documents_dropped) as read:
            drop(window, window, path)
        assert read.args == [(path,)]


def test_a_model_dropped_on_a_text_field_is_offered_too(window: MainWindow, qtbot: QtBot) -> None:
    field = window.findChild(QPlainTextEdit)
    assert isinstance(field, QPlainTextEdit)
    with qtbot.waitSignal(window.model_dropped):
        drop(window, field.viewport(), Path("/models/a.gguf"))
    assert field.toPlainText() == ""


def test_other_files_and_folders_are_passed_on_as_documents(
    window: MainWindow, qtbot: QtBot
) -> None:
    paths = (Path("/docs/contract.pdf"), Path("/docs/letters"))
    with qtbot.waitSignal(window.documents_dropped) as dropped:
        drop(window, window, *paths)
    assert dropped.args == [paths]
    field = window.findChild(QPlainTextEdit)
    assert isinstance(field, QPlainTextEdit)
    with qtbot.waitSignal(window.documents_dropped):
        drop(window, field.viewport(), Path("/notes.txt"))
    assert field.toPlainText() == ""


def test_the_veil_says_what_dropping_will_do(window: MainWindow) -> None:
    window.set_documents_text("Drop to add to “Case”")
    for path, said in ((Path("/a.gguf"), "load this model"), (Path("/a.pdf"), "add to “Case”")):
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(str(path))])
        how = (Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton)
        enter = QDragEnterEvent(QPoint(5, 5), *how, Qt.KeyboardModifier.NoModifier)
        QApplication.sendEvent(window, enter)
        overlay = window.findChild(DropOverlay)
        assert isinstance(overlay, DropOverlay)
        assert overlay.isVisible()
        assert said in overlay.accessibleName()


@pytest.mark.parametrize("paths", [(), (Path("/a.txt"),), (Path("/a.gguf"), Path("/b.gguf"))])
def test_other_drops_are_not_taken_for_a_model(paths: tuple[Path, ...]) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    assert dropped_model(data) is None


def test_several_models_are_not_taken_for_documents() -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile("/a.gguf"), QUrl.fromLocalFile("/b.GGUF")])
    assert dropped_documents(data) == ()


def test_closing_is_left_to_the_app(window: MainWindow, qtbot: QtBot) -> None:
    with qtbot.waitSignal(window.close_wished):
        window.close()
    assert window.isVisible()
    window.allow_close()
    window.close()
    assert not window.isVisible()


def test_the_banner_says_what_why_and_what_to_do(window: MainWindow, qtbot: QtBot) -> None:
    done: list[str] = []
    step = Step("Load again", lambda: done.append("again"))
    window.banner.show_notice(
        Notice("It died.", "Out of memory.", "Use less.", steps=(step,), subject="engine")
    )
    assert window.banner.isVisible()
    shown = [
        child.text() for child in window.banner.findChildren(QWidget) if hasattr(child, "text")
    ]
    assert "It died." in shown
    assert "Out of memory. Use less." in shown
    button = next(b for b in window.banner.findChildren(QPushButton) if b.text() == "Load again")
    button.click()
    assert done == ["again"]
    window.banner.dismiss("something else")
    assert window.banner.isVisible()
    window.banner.dismiss("engine")
    assert not window.banner.isVisible()


def test_the_selector_shows_how_far_loading_is_and_lets_it_be_stopped(
    window: MainWindow, qtbot: QtBot
) -> None:
    loading = EngineStatus(EngineState.LOADING, model_name="m", load_fraction=0.43)
    window.model_selector.show_status(loading)
    face = window.model_selector.focusProxy()
    assert face is not None
    assert face.accessibleName() == "Model: m 43 %"
    stop = next(
        b
        for b in window.model_selector.findChildren(QAbstractButton)
        if b.accessibleName() == "Stop loading"
    )
    with qtbot.waitSignal(window.model_selector.unload_wished):
        stop.click()


def test_a_dismissed_banner_gives_the_focus_to_the_page(window: MainWindow, qtbot: QtBot) -> None:
    window.activateWindow()
    window.banner.show_notice(Notice("It failed.", steps=(Step("Again", window.banner.dismiss),)))
    again = next(b for b in window.banner.findChildren(QPushButton) if b.text() == "Again")
    again.setFocus()
    qtbot.waitUntil(again.hasFocus)
    again.click()
    focus = window.focusWidget()
    assert focus is not None
    assert focus.parent() is not window.sidebar


def test_tab_goes_through_what_was_made_late_in_the_order_it_is_read(
    window: MainWindow, qtbot: QtBot
) -> None:
    window.activateWindow()
    field = next(one for one in window.findChildren(QPlainTextEdit) if one.isVisible())
    field.setTabChangesFocus(True)
    layout = field.parentWidget().layout()
    assert isinstance(layout, QVBoxLayout)
    late = [QPushButton(name) for name in ("first", "second")]
    layout.addWidget(late[1])
    layout.insertWidget(0, late[0])
    QApplication.processEvents()
    late[0].setFocus()
    seen = []
    for _ in range(3):
        seen.append(window.focusWidget())
        qtbot.keyClick(window.focusWidget(), Qt.Key.Key_Tab)
    assert seen == [late[0], field, late[1]]
    assert window.focusWidget() not in seen, "the focus leaves the page and goes on"
    qtbot.keyClick(window.focusWidget(), Qt.Key.Key_Backtab)
    assert window.focusWidget() is late[1]


def test_a_list_without_other_models_offers_no_filter(theme: Theme, qtbot: QtBot) -> None:
    popup = ModelPopup(theme, (), None)
    qtbot.addWidget(popup)
    assert all(field.isHidden() for field in popup.findChildren(QLineEdit))


def test_it_tells_once_that_it_was_painted(theme: Theme, qtbot: QtBot) -> None:
    made = MainWindow(theme)
    painted: list[bool] = []
    made.first_painted.connect(lambda: painted.append(True))
    made.show()
    qtbot.waitUntil(lambda: bool(painted))
    made.repaint()
    qtbot.wait(20)
    assert painted == [True]
    made.allow_close()
    made.close()
    made.deleteLater()


def test_every_control_of_the_frame_has_a_name(theme: Theme, qtbot: QtBot) -> None:
    made = MainWindow(theme)
    assert unnamed_controls(made) == []
    made.deleteLater()
