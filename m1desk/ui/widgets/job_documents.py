"""The documents of a new job: a set that there is already, or files and folders."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QStandardPaths, Qt, Signal
from PySide6.QtWidgets import (
    QButtonGroup,
    QFileDialog,
    QHBoxLayout,
    QListWidget,
    QPushButton,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from m1desk.jobs.values import Corpus
from m1desk.ui.widgets.calm_fields import choice
from m1desk.ui.widgets.document_sets import figures_text
from m1desk.ui.widgets.label import Label

if TYPE_CHECKING:
    from collections.abc import Iterable

    from m1desk.documents import DocumentSet
    from m1desk.ui.theme import Theme

_LIST_HEIGHT: Final = 96
_SET, _FILES = range(2)


class JobDocuments(QWidget):
    """Chooses what a job reads.

    Signals:
        changed: something else was chosen.
    """

    changed = Signal()

    def __init__(
        self, theme: Theme, sets: tuple[DocumentSet, ...], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._theme = theme
        self._files: list[Path] = []
        self._folder = ""
        self._which = QButtonGroup(self)
        self.of_set = QRadioButton("A set of documents")
        self.of_files = QRadioButton("Files and folders, read when its turn comes")
        self.set = choice("Set of documents", ())
        for one in sets:
            self.set.addItem(f"{one.name} ({figures_text(one).lower()})", one.id)
        self.list = QListWidget()
        self._hint = Label("Drop files or a folder here, or add them:", tone="caption")
        self._remove = QPushButton("Remove")
        self._files_box = QWidget()
        self._lay_out()
        self._connect()
        self.of_set.setEnabled(bool(sets))
        self.of_set.setToolTip("" if sets else "There are no sets on the Documents page yet")
        (self.of_set if sets else self.of_files).setChecked(True)
        self._show_state()

    @property
    def corpus(self) -> Corpus:
        """What was chosen."""
        if self._which.checkedId() == _SET:
            return Corpus(set_id=self.set.currentData())
        return Corpus(files=tuple(self._files))

    def set_corpus(self, corpus: Corpus) -> None:
        """Show what another job read; a set that is gone leaves nothing chosen."""
        place = self.set.findData(corpus.set_id) if corpus.set_id is not None else -1
        if place >= 0:
            self.set.setCurrentIndex(place)
            self.of_set.setChecked(True)
            self._show_state()
        else:
            self._files = []
            self.add(corpus.files)

    def add(self, paths: Iterable[Path]) -> None:
        """Add files and folders; those that are there already are not added again."""
        self._files = list(dict.fromkeys((*self._files, *paths)))
        self.of_files.setChecked(True)
        self._show_state()

    def _lay_out(self) -> None:
        metrics = self._theme.metrics
        self._which.addButton(self.of_set, _SET)
        self._which.addButton(self.of_files, _FILES)
        self.list.setFixedHeight(_LIST_HEIGHT)
        self.list.setAccessibleName("Files and folders of the job")
        self.list.setSelectionMode(QListWidget.SelectionMode.ExtendedSelection)
        self.list.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        files, folder = QPushButton("Add files…"), QPushButton("Add folder…")
        files.clicked.connect(lambda: self._pick(QFileDialog.FileMode.ExistingFiles))
        folder.clicked.connect(lambda: self._pick(QFileDialog.FileMode.Directory))
        row = QHBoxLayout()
        row.setSpacing(metrics.space_s)
        for button in (files, folder, self._remove):
            row.addWidget(button)
        row.addStretch(1)
        inner = QVBoxLayout(self._files_box)
        inner.setContentsMargins(24, 0, 0, 0)
        inner.setSpacing(metrics.space_s)
        inner.addWidget(self._hint)
        inner.addWidget(self.list)
        inner.addLayout(row)
        indented = QHBoxLayout()
        indented.setContentsMargins(24, 0, 0, 0)
        indented.addWidget(self.set, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(metrics.space_s)
        layout.addWidget(self.of_set)
        layout.addLayout(indented)
        layout.addWidget(self.of_files)
        layout.addWidget(self._files_box)

    def _connect(self) -> None:
        self._which.idToggled.connect(lambda _number, on: self._show_state() if on else None)
        self.set.currentIndexChanged.connect(lambda _: self.changed.emit())
        self._remove.clicked.connect(self._on_remove)
        self.list.itemSelectionChanged.connect(self._show_remove)

    def _show_state(self) -> None:
        is_set = self._which.checkedId() == _SET
        self.set.setVisible(is_set)
        self._files_box.setVisible(not is_set)
        if [self.list.item(row).text() for row in range(self.list.count())] != [
            str(path) for path in self._files
        ]:
            self.list.clear()
            self.list.addItems([str(path) for path in self._files])
        self.list.setVisible(bool(self._files))
        self._hint.setVisible(not self._files)
        self._show_remove()
        self.changed.emit()

    def _show_remove(self) -> None:
        has_any = bool(self.list.selectedItems())
        self._remove.setEnabled(has_any)
        self._remove.setToolTip("" if has_any else "Choose files in the list first")
        self._remove.setVisible(bool(self._files))

    def _on_remove(self) -> None:
        gone = {item.text() for item in self.list.selectedItems()}
        self._files = [path for path in self._files if str(path) not in gone]
        self._show_state()

    def _pick(self, mode: QFileDialog.FileMode) -> None:
        dialog = QFileDialog(self, "Add documents")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        place = QStandardPaths.StandardLocation.DocumentsLocation
        dialog.setDirectory(self._folder or QStandardPaths.writableLocation(place))
        dialog.setFileMode(mode)
        dialog.filesSelected.connect(self._on_picked)
        dialog.open()

    def _on_picked(self, paths: list[str]) -> None:
        if paths:
            self._folder = str(Path(paths[0]).parent)
            self.add([Path(path) for path in paths])
