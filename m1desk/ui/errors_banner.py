"""The line at the top of the window that says what went wrong and offers the next step."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QApplication,
    QFrame,
    QHBoxLayout,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from m1desk.ui.icons import icon_pixmap
from m1desk.ui.theme import set_look
from m1desk.ui.widgets.buttons import IconButton
from m1desk.ui.widgets.label import Label, Paragraph

if TYPE_CHECKING:
    from collections.abc import Callable

    from m1desk.errors import M1DeskError
    from m1desk.ui.theme import Theme

Severity = Literal["danger", "warning"]


@dataclass(frozen=True, slots=True)
class Step:
    """Something the user can do about it: a button."""

    label: str
    run: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Notice:
    """What the banner says.

    Attributes:
        subject: what it is about; a newer notice about the same replaces it ("engine").
    """

    what: str
    why: str = ""
    todo: str = ""
    severity: Severity = "danger"
    steps: tuple[Step, ...] = ()
    subject: str = field(default="general")


def notice_of(error: M1DeskError, *steps: Step, subject: str = "general") -> Notice:
    """Make a notice of an error."""
    return Notice(error.what, error.why, error.todo, steps=steps, subject=subject)


class ErrorBanner(QWidget):
    """Shows one notice at a time and never stops the work below it.

    Signals:
        left: it went away while one of its buttons had the focus, which needs another place.
    """

    left = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._notice: Notice | None = None
        self._frame = QFrame()
        self._icon = Label()
        self._what = Paragraph(tone="strong")
        self._more = Paragraph(tone="muted")
        self._steps = QHBoxLayout()
        self._close = IconButton(theme, "close", "Dismiss this message")
        self._close.clicked.connect(self.dismiss)
        self._lay_out()
        theme.changed.connect(self._on_theme_changed)
        self.hide()

    @property
    def notice(self) -> Notice | None:
        """What is shown now."""
        return self._notice

    def show_notice(self, notice: Notice) -> None:
        """Show it in place of what is there."""
        self._notice = notice
        self._what.setText(notice.what)
        more = " ".join(part for part in (notice.why, notice.todo) if part)
        self._more.setText(more)
        self._more.setVisible(bool(more))
        self._show_steps(notice.steps)
        set_look(self._frame, "banner", notice.severity)
        # Screen readers read this when the banner appears.
        self.setAccessibleName(notice.what)
        self.setAccessibleDescription(more)
        self._on_theme_changed()
        self.show()

    def dismiss(self, subject: str | None = None) -> None:
        """Hide it; with `subject`, only if that is what it is about."""
        if isinstance(subject, str) and self._notice and self._notice.subject != subject:
            return
        self._notice = None
        focus = QApplication.focusWidget()
        had_focus = focus is not None and self.isAncestorOf(focus)
        self.hide()
        if had_focus:
            self.left.emit()

    def _lay_out(self) -> None:
        metrics = self._theme.metrics
        self._steps.setSpacing(metrics.space_s)
        texts = QVBoxLayout()
        texts.setSpacing(2)
        texts.addWidget(self._what)
        texts.addWidget(self._more)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(metrics.space_l, metrics.space_m, metrics.space_l, metrics.space_m)
        outer.addWidget(self._frame)
        layout = QHBoxLayout(self._frame)
        layout.setContentsMargins(
            metrics.space_m, metrics.space_s, metrics.space_s, metrics.space_s
        )
        layout.setSpacing(metrics.space_m)
        layout.addWidget(self._icon, alignment=Qt.AlignmentFlag.AlignTop)
        layout.addLayout(texts, 1)
        layout.addLayout(self._steps)
        layout.addWidget(self._close, alignment=Qt.AlignmentFlag.AlignVCenter)

    def _show_steps(self, steps: tuple[Step, ...]) -> None:
        while (item := self._steps.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.hide()
                widget.deleteLater()
        for step in steps:
            button = QPushButton(step.label)
            button.setAccessibleName(step.label)
            button.clicked.connect(lambda _=False, run=step.run: run())
            self._steps.addWidget(button)

    def _on_theme_changed(self) -> None:
        palette = self._theme.palette
        warning = self._notice is not None and self._notice.severity == "warning"
        colour = palette.warning if warning else palette.danger
        self._icon.setPixmap(icon_pixmap("alert", colour, 20, self.devicePixelRatioF()))
