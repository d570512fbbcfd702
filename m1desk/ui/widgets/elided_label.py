"""A label of one line that leaves out what doesn't fit, and tells the whole in its tooltip."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QSize, Qt
from PySide6.QtGui import QPainter
from PySide6.QtWidgets import QSizePolicy

from m1desk.ui.widgets.label import Label
from m1desk.ui.widgets.plain_tip import plain_tip

if TYPE_CHECKING:
    from PySide6.QtGui import QPaintEvent, QResizeEvent


class ElidedLabel(Label):
    """Plain text that may shrink to nothing; `mode` says where it is cut.

    It is cut where it is painted: another text would have everything around it laid out again,
    with each step by which a window is made wider.
    """

    def __init__(
        self,
        text: str = "",
        *,
        tone: str = "",
        mode: Qt.TextElideMode = Qt.TextElideMode.ElideRight,
    ) -> None:
        super().__init__(tone=tone)
        self._mode = mode
        self._detail = ""
        self._advance: int | None = None  # of the whole text (pixels), once it is asked for
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.set_text(text)

    @property
    def whole_text(self) -> str:
        """The text as it was given."""
        return self.text()

    @property
    def is_cut(self) -> bool:
        """Whether there is less room than the text needs."""
        return self._text_width() > self.contentsRect().width()

    def set_text(self, text: str) -> None:
        """Show another text."""
        self._advance = None
        self.setText(text)
        self.setAccessibleName(text)
        self._tell_whole()

    def set_detail(self, detail: str) -> None:
        """Set a tooltip of its own, shown whether or not the text is cut."""
        self._detail = detail
        self._tell_whole()

    def sizeHint(self) -> QSize:
        """Wide enough for the whole text."""
        self.ensurePolished()
        return QSize(self._text_width() + 2, super().sizeHint().height())

    def minimumSizeHint(self) -> QSize:
        """Wide enough for the ellipsis."""
        return QSize(self.fontMetrics().horizontalAdvance("…"), super().minimumSizeHint().height())

    def changeEvent(self, event: QEvent) -> None:
        """Measure anew in another font."""
        super().changeEvent(event)
        if event.type() in {QEvent.Type.FontChange, QEvent.Type.StyleChange}:
            self._advance = None
            self._tell_whole()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Tell the whole where it is cut now."""
        super().resizeEvent(event)
        self._tell_whole()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint as much of the text as there is room for."""
        if not self.is_cut:
            super().paintEvent(event)
            return
        room = self.contentsRect()
        shown = self.fontMetrics().elidedText(self.text(), self._mode, room.width())
        painter = QPainter(self)
        painter.setLayoutDirection(Qt.LayoutDirection.LayoutDirectionAuto)  # the text's, not ours
        self.style().drawItemText(
            painter,
            room,
            int(self.alignment()),
            self.palette(),
            self.isEnabled(),
            shown,
            self.foregroundRole(),
        )

    def _text_width(self) -> int:
        if self._advance is None:
            self._advance = self.fontMetrics().horizontalAdvance(self.text())
        return self._advance

    def _tell_whole(self) -> None:
        tip = plain_tip(self._detail or (self.text() if self.is_cut else ""))
        if tip != self.toolTip():
            self.setToolTip(tip)
