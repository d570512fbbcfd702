"""The model selector in the top bar: what is loaded, how far loading is, and what else there is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QEvent, QPoint, QSize, Qt, Signal
from PySide6.QtWidgets import (
    QHBoxLayout,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QWidget,
)

from m1desk.ui.icons import icon_pixmap
from m1desk.ui.units import context_text, percent_text
from m1desk.ui.widgets.buttons import IconButton
from m1desk.ui.widgets.elided_label import ElidedLabel
from m1desk.ui.widgets.label import Label
from m1desk.ui.widgets.model_popup import ModelPopup

if TYPE_CHECKING:
    from PySide6.QtGui import QResizeEvent

    from m1desk.engines.status import EngineStatus
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.model_entries import ModelEntry

_WIDEST: Final = 460


class _Face(QPushButton):
    """The button: an icon, the model's name, a word beside it, and progress along its foot."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self.setFixedHeight(36)
        self.setMinimumWidth(160)
        self.setMaximumWidth(_WIDEST)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._icon = Label()
        self.name = ElidedLabel(tone="strong", mode=Qt.TextElideMode.ElideMiddle)
        self.detail = Label(tone="muted")
        self._chevron = Label()
        self.progress = QProgressBar(self)
        self.progress.setRange(0, 1000)
        self.progress.setTextVisible(False)
        self.progress.setAccessibleName("Loading the model")
        self.progress.hide()
        layout = QHBoxLayout(self)
        layout.setContentsMargins(12, 0, 12, 0)
        layout.setSpacing(8)
        layout.addWidget(self._icon)
        layout.addWidget(self.name, 1)
        layout.addWidget(self.detail)
        layout.addWidget(self._chevron)
        for child in (self._icon, self.name, self.detail, self._chevron, self.progress):
            child.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._tint()
        theme.changed.connect(self._tint)

    def sizeHint(self) -> QSize:
        return QSize(_WIDEST, 36)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.progress.setGeometry(8, self.height() - 8, self.width() - 16, 6)

    def _tint(self) -> None:
        palette, ratio = self._theme.palette, self.devicePixelRatioF()
        self._icon.setPixmap(icon_pixmap("model", palette.text_muted, 16, ratio))
        self._chevron.setPixmap(icon_pixmap("chevron-down", palette.text_muted, 16, ratio))


class ModelSelector(QWidget):
    """Shows the engine's model and opens the list of others.

    Signals:
        model_chosen: path (Path) of an available model.
        file_wished: a model is to be picked from the disk.
        unload_wished: the loaded model is to go, or loading to be given up.
        opened: the list is about to be shown.
    """

    model_chosen = Signal(object)
    file_wished = Signal()
    unload_wished = Signal()
    opened = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._entries: tuple[ModelEntry, ...] = ()
        self._status: EngineStatus | None = None
        self._face = _Face(theme)
        self._face.clicked.connect(self.open_list)
        self._unload = IconButton(theme, "eject", "Unload the model")
        self._unload.clicked.connect(self.unload_wished)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.metrics.space_s)
        layout.addWidget(self._face, 1)
        layout.addWidget(self._unload)
        self.setMaximumWidth(_WIDEST + 44)
        self.setFocusProxy(self._face)
        self.show_status(None)

    def show_models(self, entries: tuple[ModelEntry, ...]) -> None:
        """Set the models to choose from."""
        self._entries = entries

    def show_status(self, status: EngineStatus | None) -> None:
        """Show what the engine runs or loads."""
        self._status = status
        state = status.state.value if status else "stopped"
        loading = state in {"starting", "loading"}
        name, detail = _words(status, state)
        self._face.name.set_text(name)
        self._face.detail.setText(detail)
        self._face.setAccessibleName(f"Model: {name} {detail}".strip())
        stage = status.load_stage if status and loading else ""
        self._face.setToolTip(stage.capitalize() or "Choose a model (Ctrl+L)")
        self._face.progress.setVisible(loading)
        if status and loading:
            self._face.progress.setValue(round(status.load_fraction * 1000))
        self._unload.setVisible(loading or state == "ready")
        self._unload.set_icon("close" if loading else "eject")
        self._unload.set_name(_leaving(status, loading=loading))

    def open_list(self) -> None:
        """Show the list of models below the button."""
        self.opened.emit()
        popup = ModelPopup(self._theme, self._entries, self._status, parent=self)
        popup.model_chosen.connect(self.model_chosen)
        popup.file_wished.connect(self.file_wished)
        popup.unload_wished.connect(self.unload_wished)
        popup.setFixedWidth(max(self._face.width(), 420))
        popup.move(self._face.mapToGlobal(QPoint(0, self._face.height() + 4)))
        popup.show()

    def changeEvent(self, event: QEvent) -> None:
        """Keep the button's looks when it is enabled or disabled."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.EnabledChange:
            self._face.setToolTip(
                "Choose a model (Ctrl+L)" if self.isEnabled() else "M1 Desk is still starting"
            )


def _leaving(status: EngineStatus | None, *, loading: bool) -> str:
    if status is not None and status.server:
        return "Stop connecting" if loading else "Back to this machine"
    return "Stop loading" if loading else "Unload the model"


def _words(status: EngineStatus | None, state: str) -> tuple[str, str]:
    """The model's name, and a word about it."""
    if status is None or state == "stopped":
        return "Choose a model", ""
    if state == "starting":
        return status.model_name, "connecting" if status.server else "starting"
    if state == "loading":
        return status.model_name, percent_text(status.load_fraction)
    if state == "ready" and not status.context_tokens:
        return status.model_name, "context not said"
    if state == "ready":
        return status.model_name, f"{context_text(status.context_tokens)} context"
    if state == "stopping":
        return status.model_name, "unloading"
    return "Choose a model", "the engine failed"
