"""One server: whether it answers, what is set, its test, its models, and what can be done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from m1desk.ui.theme import set_look
from m1desk.ui.viewmodels.servers_words import facts_of
from m1desk.ui.widgets.elided_label import ElidedLabel
from m1desk.ui.widgets.label import Paragraph, shrinkable
from m1desk.ui.widgets.scrolled import scrolled
from m1desk.ui.widgets.server_models import ServerModels
from m1desk.ui.widgets.server_steps import ServerSteps

if TYPE_CHECKING:
    from m1desk.engines import ServerInUse
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.servers import KnownServer, ServerTest

_WIDEST: Final = 860
_USE_HINT: Final = "Chat and Documents ask this server in place of a model on this computer"
_BACK_HINT: Final = "Chat and Documents ask a model on this computer again"


class ServerView(QWidget):
    """Shows a server.

    Signals:
        use_wished, back_wished: it is to answer; this machine is to answer again.
        test_wished, stop_test_wished: its test is to begin, or to end.
        edit_wished, remove_wished: it is to be changed, or removed.
        trust_wished: fingerprint (str) of the certificate that is to be trusted.
        model_wished: name (str) of the model that is to be asked.
    """

    use_wished = Signal()
    back_wished = Signal()
    test_wished = Signal()
    stop_test_wished = Signal()
    edit_wished = Signal()
    remove_wished = Signal()
    trust_wished = Signal(str)
    model_wished = Signal(str)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._known: KnownServer | None = None
        self._name = ElidedLabel(tone="title")
        self._state = Paragraph(tone="muted")
        self._lacks = Paragraph(tone="muted")
        self.use = QPushButton("Use this server")
        self.back = QPushButton("Back to this machine")
        self.test = QPushButton("Test")
        self.edit = QPushButton("Edit…")
        self.remove = QPushButton("Remove…")
        self.steps = ServerSteps(theme)
        self.models = ServerModels(theme)
        self._facts = QGridLayout()
        self._facts_card = QFrame()
        self._fact_labels: list[QWidget] = []
        self._lay_out()
        self._connect()

    @property
    def state(self) -> str:
        """What is said about whether it answers."""
        return self._state.text()

    @property
    def lacks(self) -> str:
        """What it can't do, while it is in use."""
        return "" if self._lacks.isHidden() else self._lacks.text()

    @property
    def facts(self) -> dict[str, str]:
        """What is shown of its settings."""
        return {} if self._known is None else dict(facts_of(self._known))

    def show_server(
        self, known: KnownServer, *, in_use: ServerInUse | None, connecting: str
    ) -> None:
        """Show a server, and whether it is the one that answers."""
        name = known.profile.name
        if known != self._known:
            self._known = known
            self._name.set_text(name)
            self._fill_facts(facts_of(known))
        is_used = in_use is not None and in_use.name == name and not connecting
        is_connecting = connecting == name
        self.use.setVisible(not is_used and not is_connecting)
        self.back.setVisible(is_used or is_connecting)
        self.back.setText("Back to this machine" if is_used else "Stop connecting")
        if is_connecting:
            self._state.setText("Connecting, and asking what it can do…")
        elif is_used and in_use is not None:
            self._state.setText(f"In use: {in_use.model}.")
        else:
            self._state.setText("Not in use. Nothing is sent to it.")
        set_look(self._state, "tone", "success" if is_used else "muted")
        missing = in_use.missing if is_used and in_use is not None else ()
        self._lacks.setText(" ".join(missing))
        self._lacks.setVisible(bool(missing))

    def show_test(self, test: ServerTest | None) -> None:
        """Show its test, None where there was none."""
        self.steps.setVisible(test is not None)
        is_running = test is not None and test.is_running
        self.test.setEnabled(not is_running)
        self.test.setToolTip(
            "It is being tested" if is_running else "Step by step, with a few tokens"
        )
        if test is not None:
            self.steps.show_test(test)
        models = test.models if test is not None else ()
        self.models.setVisible(bool(models))
        if self._known is not None and models:
            self.models.show_models(models, self._known.profile)

    def _lay_out(self) -> None:
        metrics = self._theme.metrics
        inner = QWidget()
        inner.setMaximumWidth(_WIDEST)
        column = QVBoxLayout(inner)
        column.setContentsMargins(
            metrics.space_xl, metrics.space_l, metrics.space_xl, metrics.space_xl
        )
        column.setSpacing(metrics.space_m)
        column.addWidget(self._name)
        column.addWidget(self._state)
        column.addWidget(self._lacks)
        column.addLayout(self._buttons())
        column.addWidget(self._facts_card)
        column.addWidget(self.steps)
        column.addWidget(self.models)
        column.addStretch(1)
        card = self._facts
        self._facts_card.setProperty("card", True)
        self._facts_card.setLayout(card)
        space = metrics.space_l
        card.setContentsMargins(space, space, space, space)
        card.setHorizontalSpacing(metrics.space_l)
        card.setVerticalSpacing(metrics.space_s)
        card.setColumnStretch(1, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(scrolled(inner))

    def _buttons(self) -> QHBoxLayout:
        self.use.setProperty("kind", "primary")
        self.use.setToolTip(_USE_HINT)
        self.back.setToolTip(_BACK_HINT)
        self.remove.setProperty("kind", "danger")
        row = QHBoxLayout()
        row.setSpacing(self._theme.metrics.space_s)
        for button in (self.use, self.back, self.test, self.edit, self.remove):
            row.addWidget(button)
        row.addStretch(1)
        return row

    def _connect(self) -> None:
        self.use.clicked.connect(self.use_wished)
        self.back.clicked.connect(self.back_wished)
        self.test.clicked.connect(self.test_wished)
        self.edit.clicked.connect(self.edit_wished)
        self.remove.clicked.connect(self.remove_wished)
        self.steps.trust_wished.connect(self.trust_wished)
        self.steps.stop_wished.connect(self.stop_test_wished)
        self.models.chosen.connect(self.model_wished)

    def _fill_facts(self, facts: list[tuple[str, str]]) -> None:
        for label in self._fact_labels:
            label.hide()
            label.deleteLater()
        self._fact_labels = []
        for row, (name, value) in enumerate(facts):
            cells = (
                Paragraph(name, tone="muted"),
                shrinkable(Paragraph(value)),
            )
            cells[0].setWordWrap(False)
            for column, cell in enumerate(cells):
                self._facts.addWidget(cell, row, column, Qt.AlignmentFlag.AlignTop)
                self._fact_labels.append(cell)
