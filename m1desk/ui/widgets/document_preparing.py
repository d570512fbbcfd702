"""Reading documents ahead: the button for it, how far it is, and that it is done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QWidget

from m1desk.ui.units import bytes_text, tokens_text
from m1desk.ui.widgets.document_reading import EngineProgress
from m1desk.ui.widgets.document_receipt import range_text
from m1desk.ui.widgets.plain_tip import plain_tip

if TYPE_CHECKING:
    from m1desk.documents import PreparedState
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.document_reading import EngineReading


class PrepareButton(QPushButton):
    """Offers to read the documents ahead, or says that this is done.

    Signals:
        prepare_wished: the documents are to be read ahead.
        list_wished: what is prepared is to be shown.
    """

    prepare_wished = Signal()
    list_wished = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__("Prepare now")
        self._theme = theme
        self._is_done = False
        self._short = self._long = self.text()
        self._is_narrow = False
        self.clicked.connect(self._on_clicked)
        theme.changed.connect(self._tint)

    def set_narrow(self, *, narrow: bool) -> None:
        """Say where there is little room: then it takes less."""
        self._is_narrow = narrow
        self.setText(self._short if narrow else self._long)

    def show_state(
        self,
        state: PreparedState | None,
        *,
        can_prepare: bool,
        refusal: str = "",
        seconds: tuple[float, float] | None,
    ) -> None:
        """Show what is kept of the documents, or why nothing is.

        `seconds` is what reading them would take.
        """
        self._is_done = state is not None and state.is_complete
        self.setVisible(self._is_done or can_prepare or bool(refusal))
        self.setEnabled(not refusal)
        self._short = self._long = "Prepare now"
        if state is not None and self._is_done:
            size = f"{tokens_text(state.tokens)} tokens, {bytes_text(state.size_bytes)}"
            self._short, self._long = "Prepared", f"Prepared: {size}"
            about = (
                f"{state.model} has read these documents: {tokens_text(state.tokens)} tokens, "
                f"{bytes_text(state.size_bytes)} on the disk. A question costs its own tokens only."
            )
        elif refusal:
            about = refusal
        else:
            time = f" ({range_text(seconds)})" if seconds else ""
            about = (
                f"Have the model read these documents{time} and keep that on the disk, so that "
                "questions begin at once, also tomorrow"
            )
        self.setToolTip(plain_tip(about))
        self.setAccessibleDescription(about)
        self.set_narrow(narrow=self._is_narrow)
        self._tint()

    def _on_clicked(self) -> None:
        (self.list_wished if self._is_done else self.prepare_wished).emit()

    def _tint(self) -> None:
        theme = self._theme
        done = theme.icon("check", theme.palette.success)
        self.setIcon(done if self._is_done else theme.icon("memory"))


class PreparingProgress(QWidget):
    """How far the reading ahead is.

    Signals:
        stop_wished: it is to end.
    """

    stop_wished = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._progress = EngineProgress(theme)
        stop = QPushButton("Stop")
        stop.setToolTip("End the reading; what was saved on the way is kept")
        stop.clicked.connect(self.stop_wished)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.metrics.space_m)
        layout.addWidget(self._progress, 1)
        layout.addWidget(stop, alignment=Qt.AlignmentFlag.AlignVCenter)

    @property
    def text(self) -> str:
        """What is said."""
        return self._progress.text

    def show_reading(self, reading: EngineReading) -> None:
        """Show how far it is."""
        self._progress.show_reading(reading)
