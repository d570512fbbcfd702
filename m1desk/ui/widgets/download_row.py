"""One download in the list: its name, its state, a bar, the figures, and what can be done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QProgressBar, QPushButton, QVBoxLayout

from m1desk.ui.theme import set_look
from m1desk.ui.widgets.buttons import IconButton
from m1desk.ui.widgets.elided_label import ElidedLabel
from m1desk.ui.widgets.label import Label, Paragraph

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.download_items import DownloadAction, DownloadItem, HubPart

_MAIN: Final[dict[DownloadAction, str]] = {
    "pause": "Pause",
    "resume": "Resume",
    "retry": "Try again",
    "load": "Load…",
}
_SETTINGS: Final[dict[HubPart, str]] = {"token": "Access token…", "offline": "Offline mode…"}
_END: Final[dict[DownloadAction, str]] = {
    "cancel": "Cancel the download of {}",
    "remove": "Remove {} from the list; its files stay",
}
_STEPS: Final = 1000


class DownloadRow(QFrame):
    """Changes in place as its download goes on.

    Signals:
        wished: an action (str, a DownloadAction) for its item (DownloadItem).
    """

    wished = Signal(str, object)

    def __init__(self, theme: Theme, item: DownloadItem, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._item: DownloadItem | None = None
        self.setProperty("card", True)
        self._title = ElidedLabel(tone="strong", mode=Qt.TextElideMode.ElideMiddle)
        self._state = Label()
        self._bar = QProgressBar()
        self._bar.setRange(0, _STEPS)
        self._bar.setTextVisible(False)
        self._figures = ElidedLabel(tone="muted")
        self._note = Paragraph()
        self._settings = QPushButton("Settings…")
        self._main = QPushButton()
        self._main.setMinimumWidth(96)
        self._show = IconButton(theme, "folder", "Show in folder")
        self._end = IconButton(theme, "close", "Cancel")
        self._lay_out(theme)
        self._settings.clicked.connect(lambda: self._wish("settings"))
        self._show.clicked.connect(lambda: self._wish("show"))
        self._main.clicked.connect(lambda: self._wish_first(_MAIN))
        self._end.clicked.connect(lambda: self._wish_first(_END))
        self.show_item(item)

    @property
    def item(self) -> DownloadItem:
        """What it shows."""
        assert self._item is not None  # noqa: S101 - set when it was made
        return self._item

    def show_item(self, item: DownloadItem) -> None:
        """Show its download as it is now."""
        before, self._item = self._item, item
        if before == item:
            return
        self._title.set_text(item.title)
        self._state.setText(item.state)
        set_look(self._state, "tone", item.tone)
        self._bar.setVisible(item.fraction is not None)
        self._bar.setValue(round((item.fraction or 0.0) * _STEPS))
        self._figures.set_text(item.figures)
        self._figures.setVisible(bool(item.figures))
        self._note.setText(item.note)
        self._note.setVisible(bool(item.note))
        set_look(self._note, "tone", "danger" if item.is_failed else "muted")
        self.setAccessibleName(f"Download {item.title}: {item.state}")
        self.setAccessibleDescription(f"{item.figures} {item.note}".strip())
        if before is None or (before.actions, before.title) != (item.actions, item.title):
            self._show_actions(item)

    def _show_actions(self, item: DownloadItem) -> None:
        main = _first(item, _MAIN)
        self._main.setVisible(main is not None)
        if main is not None:
            self._main.setText(_MAIN[main])
            self._main.setAccessibleName(f"{_MAIN[main]} {item.title}")
        self._settings.setVisible(item.setting is not None)
        if item.setting is not None:
            self._settings.setText(_SETTINGS[item.setting])
            self._settings.setToolTip("Opens the settings of the model hub")
        self._show.setVisible("show" in item.actions)
        self._show.setAccessibleName(f"Show {item.title} in its folder")
        end = _first(item, _END)
        if end is not None:
            self._end.set_name(_END[end].format(item.title))
            self._end.setToolTip("Cancel" if end == "cancel" else "Remove from list")
        self._bar.setAccessibleName(f"Progress of {item.title}")

    def _wish(self, action: DownloadAction) -> None:
        self.wished.emit(action, self.item)

    def _wish_first(self, actions: dict[DownloadAction, str]) -> None:
        action = _first(self.item, actions)
        if action is not None:
            self._wish(action)

    def _lay_out(self, theme: Theme) -> None:
        metrics = theme.metrics
        head = QHBoxLayout()
        head.setSpacing(metrics.space_m)
        head.addWidget(self._title, 1)
        head.addWidget(self._state)
        texts = QVBoxLayout()
        texts.setSpacing(metrics.space_xs)
        texts.addLayout(head)
        texts.addSpacing(metrics.space_xs)
        texts.addWidget(self._bar)
        texts.addWidget(self._figures)
        texts.addWidget(self._note)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(
            metrics.space_l, metrics.space_m, metrics.space_m, metrics.space_m
        )
        layout.setSpacing(metrics.space_s)
        layout.addLayout(texts, 1)
        layout.addSpacing(metrics.space_s)
        for button in (self._settings, self._main, self._show, self._end):
            layout.addWidget(button)


def _first(item: DownloadItem, actions: dict[DownloadAction, str]) -> DownloadAction | None:
    return next((action for action in item.actions if action in actions), None)
