"""A server's test, step by step: how each went, why, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QPushButton, QVBoxLayout

from m1desk.engines import Outcome
from m1desk.engines.remote.verdicts import STEP_NAMES
from m1desk.ui.icons import icon_pixmap
from m1desk.ui.theme import set_look
from m1desk.ui.widgets.label import Label, Paragraph, shrinkable

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from m1desk.engines import StepVerdict
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.servers import ServerTest

_ICON: Final = 16
_NAME: Final = 96
_GROUP: Final = 8
_LOOKS: Final = {
    Outcome.OK: ("check", "success", "ok"),
    Outcome.WARNING: ("alert", "warning", "warning"),
    Outcome.FAILED: ("close", "danger", "failed"),
    Outcome.NOT_REACHED: ("more", "text_faint", "not reached"),
}


class ServerSteps(QFrame):
    """Shows a test as it goes.

    Signals:
        trust_wished: fingerprint (str) of the certificate that is to be trusted.
        stop_wished: the test is to end.
    """

    trust_wished = Signal(str)
    stop_wished = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._verdicts: tuple[StepVerdict, ...] = ()
        self._rows: list[_StepRow] = []
        self.setProperty("card", True)
        self.setAccessibleName("Test of the server")
        self._title = Paragraph(tone="strong")
        self._stop = QPushButton("Stop")
        self._stop.setToolTip("End the test")
        self._stop.clicked.connect(self.stop_wished)
        self._column = QVBoxLayout()
        self._lay_out()
        theme.changed.connect(self._on_theme_changed)

    @property
    def title(self) -> str:
        """What came of it in all."""
        return self._title.text()

    @property
    def rows(self) -> tuple[_StepRow, ...]:
        """The steps taken by now."""
        return tuple(self._rows)

    def show_test(self, test: ServerTest) -> None:
        """Show what is known of a test; steps that were shown stay as they are."""
        if test.verdicts[: len(self._verdicts)] != self._verdicts:
            self._clear()
        for verdict in test.verdicts[len(self._verdicts) :]:
            row = _StepRow(self._theme, verdict)
            row.trust_wished.connect(self.trust_wished)
            self._rows.append(row)
            self._column.addWidget(row)
        self._verdicts = test.verdicts
        self._stop.setVisible(test.is_running)
        self._title.setText(_summary(test))
        failed = test.failure is not None
        set_look(self._title, "tone", "danger" if failed else "strong")

    def _clear(self) -> None:
        for row in self._rows:
            row.hide()
            row.deleteLater()
        self._rows, self._verdicts = [], ()

    def _lay_out(self) -> None:
        metrics = self._theme.metrics
        head = QHBoxLayout()
        head.addWidget(self._title, 1)
        head.addWidget(self._stop)
        self._column.setSpacing(metrics.space_m)
        layout = QVBoxLayout(self)
        space = metrics.space_l
        layout.setContentsMargins(space, space, space, space)
        layout.setSpacing(metrics.space_m)
        layout.addLayout(head)
        layout.addLayout(self._column)

    def _on_theme_changed(self) -> None:
        for row in self._rows:
            row.tint()


class _StepRow(QFrame):
    """One step: a sign, its name, and what was found."""

    trust_wished = Signal(str)

    def __init__(self, theme: Theme, verdict: StepVerdict) -> None:
        super().__init__()
        self._theme = theme
        self.verdict = verdict
        icon, self._colour, word = _LOOKS[verdict.outcome]
        self._icon_name = icon
        self._icon = Label()
        self._icon.setFixedWidth(_ICON)
        self.setAccessibleName(f"{STEP_NAMES[verdict.step]}: {word}. {verdict.what}")
        self.trust = QPushButton("Trust this certificate…")
        self.trust.clicked.connect(lambda: self.trust_wished.emit(verdict.fingerprint))
        self._lay_out()
        self.tint()

    def tint(self) -> None:
        """Take on another palette."""
        colour = getattr(self._theme.palette, self._colour)
        self._icon.setPixmap(icon_pixmap(self._icon_name, colour, _ICON, self.devicePixelRatioF()))

    def _lay_out(self) -> None:
        verdict = self.verdict
        is_off = verdict.outcome is Outcome.NOT_REACHED
        name = Paragraph(STEP_NAMES[verdict.step], tone="faint" if is_off else "muted")
        name.setFixedWidth(_NAME)
        texts = QVBoxLayout()
        texts.setSpacing(2)
        texts.addWidget(shrinkable(Paragraph(verdict.what, tone="faint" if is_off else "")))
        for text in (verdict.why, verdict.todo):
            if text:
                texts.addWidget(shrinkable(Paragraph(_with_groups(text, verdict), tone="muted")))
        if verdict.fingerprint:
            texts.addWidget(self.trust, alignment=Qt.AlignmentFlag.AlignLeft)
        else:
            self.trust.setParent(self)
            self.trust.hide()
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(self._theme.metrics.space_s)
        top = Qt.AlignmentFlag.AlignTop
        grid.addWidget(self._icon, 0, 0, top)
        grid.addWidget(name, 0, 1, top)
        grid.addLayout(texts, 0, 2)
        grid.setColumnStretch(2, 1)


def _with_groups(text: str, verdict: StepVerdict) -> str:
    """Write the fingerprint in groups of eight digits, between which a line can end."""
    digits = verdict.fingerprint
    groups = " ".join(digits[at : at + _GROUP] for at in range(0, len(digits), _GROUP))
    return text.replace(digits, groups) if digits else text


def _summary(test: ServerTest) -> str:
    failure = test.failure
    if failure is not None:
        return f"It can't be used yet: {STEP_NAMES[failure.step]} failed."
    if test.is_running:
        return "Testing…"
    warnings = sum(one.outcome is Outcome.WARNING for one in test.verdicts)
    if not test.is_complete:
        return "The test was stopped."
    if not warnings:
        return "It can be used."
    return f"It can be used; {warnings} {'step has' if warnings == 1 else 'steps have'} a warning."
