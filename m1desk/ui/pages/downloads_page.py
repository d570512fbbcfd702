"""Downloads: the models on their way and those that have arrived, and the room left for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QUrl, Signal
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import (
    QHBoxLayout,
    QMessageBox,
    QPushButton,
    QScrollArea,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from m1desk.ui.theme import set_look
from m1desk.ui.units import bytes_text
from m1desk.ui.widgets.download_row import DownloadRow
from m1desk.ui.widgets.elided_label import ElidedLabel
from m1desk.ui.widgets.empty_state import EmptyState
from m1desk.ui.widgets.scrolled import scrolled

if TYPE_CHECKING:
    from pathlib import Path

    from PySide6.QtGui import QHideEvent, QShowEvent

    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.download_items import DownloadItem
    from m1desk.ui.viewmodels.downloads import DownloadsViewModel

_EMPTY_TEXT = (
    "Choose a model under Discover, then one of its variants. What you download appears here, "
    "can be paused, and goes on from where it was after a restart."
)


class DownloadsPage(QWidget):
    """Shows the view model's items, one row for each; rows change in place.

    Signals:
        load_wished: path (Path) of a model that has arrived.
        settings_wished: the setting of the hub (str, a HubPart) to be shown.
        discover_wished: a model is to be found.
    """

    load_wished = Signal(object)
    settings_wished = Signal(str)
    discover_wished = Signal()

    def __init__(
        self, theme: Theme, downloads: DownloadsViewModel, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._theme = theme
        self._downloads = downloads
        self._rows: dict[int, DownloadRow] = {}
        self._space = ElidedLabel(tone="muted", mode=Qt.TextElideMode.ElideMiddle)
        self._clear = QPushButton("Clear finished")
        self._clear.setToolTip("Take finished downloads off this list; their files stay")
        self._clear.clicked.connect(downloads.clear_finished)
        self._stack = QStackedWidget()
        self._column = QVBoxLayout()
        self._lay_out()
        downloads.changed.connect(self._on_changed)
        downloads.space_changed.connect(self._on_space_changed)
        self._on_changed()

    @property
    def rows(self) -> tuple[DownloadRow, ...]:
        """The rows, as they are listed."""
        return tuple(self._rows[item.key] for item in self._downloads.items)

    @property
    def is_empty(self) -> bool:
        """Whether it explains how downloads come here."""
        return self._stack.currentIndex() == 1

    @property
    def space_text(self) -> str:
        """What it says about the disk."""
        return self._space.whole_text

    def showEvent(self, event: QShowEvent) -> None:
        """Ask for the free space while somebody looks."""
        super().showEvent(event)
        self._downloads.watch_space(on=True)

    def hideEvent(self, event: QHideEvent) -> None:
        """Ask no more."""
        super().hideEvent(event)
        self._downloads.watch_space(on=False)

    # -- inside ------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        metrics = self._theme.metrics
        head = QHBoxLayout()
        head.setContentsMargins(0, 0, metrics.space_xl, 0)
        head.setSpacing(metrics.space_m)
        head.addWidget(self._space, 1)
        head.addWidget(self._clear)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(metrics.space_xl, 0, 0, 0)
        layout.setSpacing(metrics.space_l)
        layout.addLayout(head)
        layout.addWidget(self._stack, 1)
        discover = QPushButton("Discover models")
        discover.setProperty("kind", "primary")
        discover.clicked.connect(self.discover_wished)
        self._stack.addWidget(self._list_area())
        self._stack.addWidget(
            EmptyState(self._theme, "download", "No downloads", _EMPTY_TEXT, buttons=(discover,))
        )

    def _list_area(self) -> QScrollArea:
        metrics = self._theme.metrics
        inner = QWidget()
        self._column = QVBoxLayout(inner)
        self._column.setContentsMargins(0, 0, metrics.space_xl, metrics.space_xl)
        self._column.setSpacing(metrics.space_s)
        self._column.addStretch(1)
        return scrolled(inner)

    def _on_changed(self) -> None:
        items = self._downloads.items
        for key in self._rows.keys() - {item.key for item in items}:
            row = self._rows.pop(key)
            self._column.removeWidget(row)
            row.deleteLater()
        for place, item in enumerate(items):
            if item.key in self._rows:
                self._rows[item.key].show_item(item)
            else:
                self._rows[item.key] = row = DownloadRow(self._theme, item)
                row.wished.connect(self._on_wished)
                self._column.insertWidget(place, row)
        self._clear.setVisible(any("remove" in item.actions for item in items if item.key > 0))
        self._stack.setCurrentIndex(0 if items else 1)

    def _on_space_changed(self, folder: Path, free: int) -> None:
        self._space.set_text(f"{bytes_text(free)} free in {folder}")

    def _on_wished(self, action: str, item: DownloadItem) -> None:
        if action == "pause":
            self._downloads.pause(item.key)
        elif action in {"resume", "retry"}:
            self._downloads.resume(item.key)
        elif action == "remove":
            self._downloads.remove(item.key)
        elif action == "cancel":
            self._cancel(item)
        elif action == "load":
            self.load_wished.emit(item.main_path)
        elif action == "show":
            _open(item.folder)
        elif action == "settings":
            self.settings_wished.emit(item.setting)

    def _cancel(self, item: DownloadItem) -> None:
        """Give a download up; ask first where that deletes something."""
        if not item.bytes_done:
            self._downloads.remove(item.key)
            return
        box = QMessageBox(self)
        box.setIcon(QMessageBox.Icon.Warning)
        box.setWindowTitle("Cancel download")
        box.setText(f"Cancel the download of {item.title}?")
        box.setInformativeText(
            f"The {bytes_text(item.bytes_done)} that have arrived are deleted. To stop it for a "
            "while and keep them, pause it."
        )
        give_up = box.addButton("Cancel download", QMessageBox.ButtonRole.DestructiveRole)
        set_look(give_up, "kind", "danger")
        box.setDefaultButton(box.addButton("Keep it", QMessageBox.ButtonRole.RejectRole))
        box.buttonClicked.connect(
            lambda button: self._downloads.remove(item.key) if button is give_up else None
        )
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.open()


def _open(folder: Path | None) -> None:
    """Open the folder, or of one that is not made yet the nearest above it."""
    while folder is not None and not folder.exists() and folder != folder.parent:
        folder = folder.parent
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder)))
