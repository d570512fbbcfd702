"""The settings card of folders: where models come to, where else they are, what the app keeps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from m1desk.ui.widgets.elided_label import ElidedLabel
from m1desk.ui.widgets.label import Label
from m1desk.ui.widgets.settings_card import SettingsCard

if TYPE_CHECKING:
    from collections.abc import Callable

    from m1desk.store import AppSettings, Folders
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.settings import SettingsViewModel


class FoldersCard(SettingsCard):
    """Lists the folders; those of models can be changed, the app's own can be opened."""

    def __init__(
        self,
        theme: Theme,
        settings: SettingsViewModel,
        folders: Folders,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(theme, "Folders", parent)
        self._settings = settings
        self._folders = folders
        self._space = theme.metrics.space_m
        self._shown: tuple[object, ...] | None = None
        self._models = QVBoxLayout()
        self._models.setSpacing(self._space)
        place = QWidget()
        self._models.setContentsMargins(0, 0, 0, 0)
        place.setLayout(self._models)
        self.add_widget(place)
        self.add_widget(self._add_button())
        for name, path in (
            ("Conversations and settings", folders.data),
            ("Logs", folders.logs),
        ):
            self.add_widget(_row(name, path, [_open_button(name, path)]))
        self._show(settings.settings)
        settings.changed.connect(self._show)

    def _show(self, settings: AppSettings) -> None:
        shown = (settings.download_folder, settings.model_folders)
        if shown == self._shown:
            return
        self._shown = shown
        while (item := self._models.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.hide()
                widget.deleteLater()
        self._models.addWidget(self._download_row(settings))
        for folder in settings.model_folders:
            self._models.addWidget(self._model_row(folder))

    def _download_row(self, settings: AppSettings) -> QWidget:
        place = settings.models_place(self._folders.models)
        name = "Downloaded models"
        buttons = [_open_button(name, place), _button("Change…", f"Change: {name}", self._change)]
        if settings.download_folder:
            buttons.insert(1, _button("Default", f"Back to the app's own: {name}", self._reset))
        return _row(name, place, buttons)

    def _model_row(self, folder: str) -> QWidget:
        remove = _button("Remove", f"Look no more into {folder}", lambda: self._remove(folder))
        remove.setToolTip("Look into it no more; its files stay")
        return _row("Also looked into", Path(folder), [_open_button(folder, Path(folder)), remove])

    def _add_button(self) -> QWidget:
        foot = QWidget()
        row = QHBoxLayout(foot)
        row.setContentsMargins(0, 0, 0, 0)
        add = _button("Add a folder of models…", "", self._add)
        row.addWidget(add)
        note = Label(
            "Models of LM Studio, Jan, Ollama and Hugging Face are found by themselves.",
            tone="caption",
            wraps=True,
        )
        row.addWidget(note, 1)
        return foot

    def _change(self) -> None:
        folder = self._ask("Choose the folder models are downloaded to")
        if folder:
            own = folder == str(self._folders.models)
            self._settings.change(download_folder="" if own else folder)

    def _reset(self) -> None:
        self._settings.change(download_folder="")

    def _add(self) -> None:
        folder = self._ask("Choose a folder with models")
        known = self._settings.settings.model_folders
        if folder and folder not in known and folder != str(self._folders.models):
            self._settings.change(model_folders=(*known, folder))

    def _remove(self, folder: str) -> None:
        known = self._settings.settings.model_folders
        self._settings.change(model_folders=tuple(each for each in known if each != folder))

    def _ask(self, title: str) -> str:
        start = self._settings.settings.models_place(self._folders.models)
        return QFileDialog.getExistingDirectory(self.window(), title, str(start))


def _row(name: str, path: Path, buttons: list[QPushButton]) -> QWidget:
    row = QWidget()
    layout = QHBoxLayout(row)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(8)
    texts = QVBoxLayout()
    texts.setSpacing(2)
    texts.addWidget(Label(name))
    texts.addWidget(ElidedLabel(str(path), tone="caption", mode=Qt.TextElideMode.ElideMiddle))
    layout.addLayout(texts, 1)
    for button in buttons:
        layout.addWidget(button)
    return row


def _open_button(name: str, path: Path) -> QPushButton:
    def show() -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(path)))

    return _button("Open", f"Open the folder: {name}", show)


def _button(text: str, name: str, run: Callable[[], None]) -> QPushButton:
    button = QPushButton(text)
    if name:
        button.setAccessibleName(name)
    button.clicked.connect(lambda _checked=False: run())
    return button
