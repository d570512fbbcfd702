"""The main window's frame: sidebar, model selector, banner, pages, status bar; pages come later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QByteArray, QTimer, Signal
from PySide6.QtGui import QDropEvent, QGuiApplication
from PySide6.QtWidgets import (
    QAbstractScrollArea,
    QHBoxLayout,
    QLineEdit,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from m1desk.ui.actions import make_actions
from m1desk.ui.errors_banner import ErrorBanner
from m1desk.ui.tab_order import move_focus
from m1desk.ui.widgets.buttons import IconButton
from m1desk.ui.widgets.drop_overlay import DropOverlay, dropped_documents, dropped_model
from m1desk.ui.widgets.model_selector import ModelSelector
from m1desk.ui.widgets.separator import separator
from m1desk.ui.widgets.shortcuts_dialog import ShortcutsDialog
from m1desk.ui.widgets.sidebar import PAGES, Sidebar
from m1desk.ui.widgets.status_bar import StatusBar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PySide6.QtCore import QEvent, QObject
    from PySide6.QtGui import (
        QCloseEvent,
        QDragEnterEvent,
        QDragLeaveEvent,
        QPaintEvent,
        QResizeEvent,
    )

    from m1desk.ui.theme import Theme

_DEFAULT_SIZE: Final = (1200, 800)
_SMALLEST: Final = (760, 520)
_NARROW_WINDOW: Final = 960
"""Below this width the sidebar shows icons only, to leave the page its room."""


class MainWindow(QWidget):
    """Shows a page among others and passes on what is asked of the app; decides nothing itself.

    Signals:
        first_painted: once, after the window was on the screen for the first time.
        close_wished: the user closes the window or quits; it stays open until `allow_close`.
        model_dropped: path (Path) of a GGUF file dropped on the window.
        documents_dropped: paths (tuple of Path) of other files and folders dropped on it.
        command: name (str) of a command of `actions.COMMANDS` that a page or the app carries out.
        page_changed: name (str) of the page now shown.
        sidebar_changed: whether (bool) the sidebar shows names.
    """

    first_painted = Signal()
    close_wished = Signal()
    model_dropped = Signal(object)
    documents_dropped = Signal(object)
    command = Signal(str)
    page_changed = Signal(str)
    sidebar_changed = Signal(bool)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._painted = False
        self._close_allowed = False
        self._wants_wide = True
        self._page = PAGES[0].name
        self.setWindowTitle("M1 Desk")
        self.setMinimumSize(*_SMALLEST)
        self.setAcceptDrops(True)
        self.sidebar = Sidebar(theme)
        self.model_selector = ModelSelector(theme)
        self.model_selector.setEnabled(False)
        self.banner = ErrorBanner(theme)
        self.status_bar = StatusBar(theme)
        self._stack = QStackedWidget()
        self._pages: dict[str, QWidget] = {}
        self._overlay = DropOverlay(theme, self)
        self._documents_text = "Drop to read as documents"
        self._lay_out()
        self._connect()
        self.resize(*_DEFAULT_SIZE)

    # -- pages ----------------------------------------------------------------------------------

    @property
    def page(self) -> str:
        """Name of the page that is shown."""
        return self._page

    def attach(self, pages: Mapping[str, QWidget]) -> None:
        """Put in the pages, by the names in `sidebar.PAGES`; done once, after the first paint."""
        for entry in PAGES:
            page = pages[entry.name]
            self._pages[entry.name] = page
            self._stack.addWidget(page)
        self.model_selector.setEnabled(True)
        self._pass_on_drops()
        self.show_page(self._page)

    def show_page(self, name: str) -> None:
        """Show a page; an unknown name shows the first."""
        self._page = name if name in {entry.name for entry in PAGES} else PAGES[0].name
        self.sidebar.set_current(self._page)
        page = self._pages.get(self._page)
        if page is not None:
            self._stack.setCurrentWidget(page)
            page.setFocus()
        self.page_changed.emit(self._page)

    # -- coming back as it was --------------------------------------------------------------------

    def restore(self, geometry: bytes, page: str, *, wide_sidebar: bool) -> None:
        """Set place, size, page and sidebar; without a stored geometry it opens in the middle."""
        self._wants_wide = wide_sidebar
        if not (geometry and self.restoreGeometry(QByteArray(geometry))):
            self._open_in_the_middle()
        self.show_page(page)
        self._fit_sidebar()

    def geometry_bytes(self) -> bytes:
        """Place and size, for `restore`."""
        return bytes(self.saveGeometry().data())

    def bring_forward(self) -> None:
        """Show the window before all others."""
        if self.isMinimized():
            self.showNormal()
        self.show()
        self.raise_()
        self.activateWindow()

    def toggle_sidebar(self) -> None:
        """Show the names in the sidebar, or its icons alone."""
        self._wants_wide = not self.sidebar.is_wide
        self.sidebar.set_wide(wide=self._wants_wide)
        self.sidebar_changed.emit(self._wants_wide)

    def show_shortcuts(self) -> None:
        """Open the list of keyboard shortcuts."""
        ShortcutsDialog(self._theme, self).open()

    def enable_command(self, name: str, *, on: bool) -> None:
        """Let a command's keys work or not; KeyError for an unknown name."""
        self._actions[name].setEnabled(on)

    def set_documents_text(self, text: str) -> None:
        """Say what dropping documents will do, while they are dragged over the window."""
        self._documents_text = text

    def allow_close(self) -> None:
        """Let the next closing through."""
        self._close_allowed = True

    # -- Qt ----------------------------------------------------------------------------------------

    def closeEvent(self, event: QCloseEvent) -> None:
        """Leave the decision to the app."""
        if self._close_allowed:
            event.accept()
            return
        event.ignore()
        self.close_wished.emit()

    def focusNextPrevChild(self, forward: bool) -> bool:  # noqa: FBT001 - Qt calls it so
        """Go through the window as it is read."""
        return move_focus(self, forward=forward)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Tell once that the window was painted, when Qt is done with it."""
        super().paintEvent(event)
        if not self._painted:
            self._painted = True
            QTimer.singleShot(0, self.first_painted.emit)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Give a narrow window's room to the page."""
        super().resizeEvent(event)
        self._fit_sidebar()

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take a model file, or documents."""
        if not self._pages:
            return
        if dropped_model(event.mimeData()) is not None:
            event.acceptProposedAction()
            self._overlay.cover("Drop to load this model")
        elif dropped_documents(event.mimeData()):
            event.acceptProposedAction()
            self._overlay.cover(self._documents_text)

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        """Take the veil away."""
        super().dragLeaveEvent(event)
        self._overlay.hide()

    def dropEvent(self, event: QDropEvent) -> None:
        """Pass the files on once the drop is over, so that the other program need not wait."""
        self._overlay.hide()
        path, paths = dropped_model(event.mimeData()), dropped_documents(event.mimeData())
        if path is not None:
            event.acceptProposedAction()
            QTimer.singleShot(0, lambda: self.model_dropped.emit(path))
        elif paths:
            event.acceptProposedAction()
            QTimer.singleShot(0, lambda: self.documents_dropped.emit(paths))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Let files fall through text fields, which would take them as text."""
        if isinstance(event, QDropEvent):
            data = event.mimeData()
            if dropped_model(data) is not None or dropped_documents(data):
                event.ignore()
                return True
        return super().eventFilter(watched, event)

    # -- inside ------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        metrics = self._theme.metrics
        top = QHBoxLayout()
        top.setContentsMargins(metrics.space_l, metrics.space_s, metrics.space_m, metrics.space_s)
        top.setSpacing(metrics.space_s)
        self._help = IconButton(self._theme, "info", "Keyboard shortcuts (Ctrl+/)")
        top.addWidget(self.model_selector)
        top.addStretch(1)
        top.addWidget(self._help)
        right = QVBoxLayout()
        right.setSpacing(0)
        right.addLayout(top)
        right.addWidget(separator())
        right.addWidget(self.banner)
        right.addWidget(self._stack, 1)
        middle = QHBoxLayout()
        middle.setSpacing(0)
        middle.addWidget(self.sidebar)
        middle.addWidget(separator(vertical=True))
        middle.addLayout(right, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(middle, 1)
        layout.addWidget(separator())
        layout.addWidget(self.status_bar)

    def _connect(self) -> None:
        self.sidebar.chosen.connect(self.show_page)
        self.sidebar.toggle_wished.connect(self.toggle_sidebar)
        self._help.clicked.connect(self.show_shortcuts)
        self.banner.left.connect(self._on_banner_left)
        self._actions = make_actions(
            self,
            {
                "new_chat": lambda: self._on_chat_command("new_chat"),
                "search": lambda: self._on_chat_command("search"),
                "stop": lambda: self.command.emit("stop"),
                "model_selector": self._on_model_selector,
                "load_file": lambda: self.command.emit("load_file"),
                "page_chat": lambda: self.show_page("chat"),
                "page_documents": lambda: self.show_page("documents"),
                "page_jobs": lambda: self.show_page("jobs"),
                "page_models": lambda: self.show_page("models"),
                "page_monitor": lambda: self.show_page("monitor"),
                "page_servers": lambda: self.show_page("servers"),
                "page_settings": lambda: self.show_page("settings"),
                "settings": lambda: self.show_page("settings"),
                "sidebar": self.toggle_sidebar,
                "shortcuts": self.show_shortcuts,
                "quit": self.close,
            },
        )

    def _on_chat_command(self, name: str) -> None:
        self.show_page("chat")
        self.command.emit(name)

    def _on_banner_left(self) -> None:
        page = self._pages.get(self._page)
        if page is not None:
            page.setFocus()

    def _on_model_selector(self) -> None:
        if self.model_selector.isEnabled():
            self.model_selector.open_list()

    def _fit_sidebar(self) -> None:
        wide = self._wants_wide and self.width() >= _NARROW_WINDOW
        if wide != self.sidebar.is_wide:
            self.sidebar.set_wide(wide=wide)

    def _open_in_the_middle(self) -> None:
        room = QGuiApplication.primaryScreen().availableGeometry()
        self.resize(
            min(_DEFAULT_SIZE[0], room.width() - 40), min(_DEFAULT_SIZE[1], room.height() - 40)
        )
        self.move(room.center() - self.rect().center())

    def _pass_on_drops(self) -> None:
        for area in self.findChildren(QAbstractScrollArea):
            area.viewport().installEventFilter(self)
        for line in self.findChildren(QLineEdit):
            line.installEventFilter(self)
