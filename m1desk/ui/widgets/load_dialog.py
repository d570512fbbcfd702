"""The dialog that loads a model: what the file holds, the choices, and the memory they take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from m1desk.fit import estimate_memory
from m1desk.ui.theme import set_look
from m1desk.ui.units import bytes_text, context_text, short_count
from m1desk.ui.viewmodels.model_entries import model_title
from m1desk.ui.widgets.elided_label import ElidedLabel
from m1desk.ui.widgets.load_estimate import EstimatePanel
from m1desk.ui.widgets.load_options import LoadOptions

if TYPE_CHECKING:
    from pathlib import Path

    from m1desk.fit import FreeMemory
    from m1desk.models import GgufHeader
    from m1desk.store import AppSettings
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.model_entries import FileReport


_WIDTH: Final = 640


class LoadDialog(QDialog):
    """Opens at once; the file's report and the free memory come in later.

    Signals:
        load_wished: LlamaSettings.
        other_file_wished: another file is to be picked.
    """

    load_wished = Signal(object)
    other_file_wished = Signal()

    def __init__(
        self,
        theme: Theme,
        path: Path,
        defaults: AppSettings,
        *,
        has_gpu: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._theme = theme
        self._path = path
        self._defaults = defaults
        self._report: FileReport | None = None
        self._free: FreeMemory | None = None
        self.setWindowTitle("Load model")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._title = ElidedLabel(tone="title", mode=Qt.TextElideMode.ElideMiddle)
        self._place = ElidedLabel(tone="caption", mode=Qt.TextElideMode.ElideMiddle)
        self._facts = QGridLayout()
        self._facts_card = QFrame()
        self.options = LoadOptions(theme, defaults, has_gpu=has_gpu)
        self.estimate = EstimatePanel(theme)
        self._problem = QLabel()
        self._load = QPushButton("Load")
        self._lay_out()
        self.options.changed.connect(self._update)
        self.set_path(path)
        self.setFixedWidth(_WIDTH)

    @property
    def load_button(self) -> QPushButton:
        """The button that loads; its tooltip says why it is disabled."""
        return self._load

    @property
    def problem_text(self) -> str:
        """What prevents loading, "" when nothing does."""
        return self._problem.text()

    @property
    def path(self) -> Path:
        """The file in question."""
        return self._path

    def set_path(self, path: Path) -> None:
        """Turn to another file, whose report will follow."""
        self._path = path
        self._report = None
        self._title.set_text(model_title(path))
        self._place.set_text(str(path))
        self._update()

    def show_report(self, report: FileReport) -> None:
        """Show what looking into the file gave."""
        self._report = report
        if report.header is not None:
            self._show_facts(report.header)
            self.options.show_header(report.header, self._defaults.default_context_tokens)
        self._update()

    def show_free(self, free: FreeMemory) -> None:
        """Show how much memory is free now."""
        self._free = free
        self._update()

    def event(self, event: QEvent) -> bool:
        """Follow what is shown: after the children were laid out anew, and when it opens."""
        done = super().event(event)
        if event.type() in {QEvent.Type.LayoutRequest, QEvent.Type.Show}:
            self._fit()
        if event.type() == QEvent.Type.Show:
            self.options.context.setFocus()
        return done

    # -- inside ------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        metrics = self._theme.metrics
        head = QHBoxLayout()
        names = QVBoxLayout()
        names.setSpacing(metrics.space_xs)
        names.addWidget(self._title)
        names.addWidget(self._place)
        other = QPushButton("Other file…")
        other.setAutoDefault(False)
        other.clicked.connect(self.other_file_wished)
        head.setSpacing(metrics.space_l)
        head.addLayout(names, 1)
        head.addWidget(other, alignment=Qt.AlignmentFlag.AlignTop)
        self._facts_card.setProperty("card", True)
        self._facts_card.setLayout(self._facts)
        self._facts.setContentsMargins(
            metrics.space_l, metrics.space_m, metrics.space_l, metrics.space_m
        )
        self._facts.setHorizontalSpacing(metrics.space_l)
        self._facts.setVerticalSpacing(metrics.space_xs)
        self._problem.setWordWrap(True)
        self._problem.setTextFormat(Qt.TextFormat.PlainText)
        self._problem.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(
            metrics.space_xl, metrics.space_xl, metrics.space_xl, metrics.space_l
        )
        layout.setSpacing(metrics.space_l)
        layout.addLayout(head)
        layout.addWidget(self._facts_card)
        layout.addWidget(self.options)
        layout.addWidget(self.estimate)
        layout.addWidget(self._problem)
        layout.addWidget(self._buttons())
        self._column = layout

    def _buttons(self) -> QDialogButtonBox:
        buttons = QDialogButtonBox()
        buttons.addButton(self._load, QDialogButtonBox.ButtonRole.AcceptRole)
        cancel = buttons.addButton(QDialogButtonBox.StandardButton.Cancel)
        cancel.setAutoDefault(False)
        self._load.setProperty("kind", "primary")
        self._load.setDefault(True)
        buttons.accepted.connect(self._on_load)
        buttons.rejected.connect(self.reject)
        return buttons

    def _show_facts(self, header: GgufHeader) -> None:
        while (item := self._facts.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.deleteLater()
        for column, (name, value) in enumerate(_facts(header)):
            caption = QLabel(name)
            caption.setProperty("tone", "caption")
            label = ElidedLabel(value, tone="strong")
            label.setAccessibleName(f"{name}: {value}")
            self._facts.addWidget(caption, 0, column)
            self._facts.addWidget(label, 1, column)

    def _update(self) -> None:
        report = self._report
        error = report.error if report else None
        usable = report is not None and report.header is not None and error is None
        self._facts_card.setVisible(report is not None and report.header is not None)
        self.options.setVisible(usable)
        self.estimate.setVisible(usable)
        problem, reading = "", report is None
        if error is not None:
            problem = "\n".join(part for part in (error.what, error.why, error.todo) if part)
        elif usable:
            problem = self.options.problem
        self._problem.setText("Reading the file …" if reading else problem)
        self._problem.setVisible(reading or bool(problem))
        set_look(self._problem, "tone", "muted" if reading else "danger")
        self._load.setEnabled(usable and not problem)
        self._load.setText("Load")
        if usable and report is not None and report.header is not None:
            settings = self.options.settings(report.path)
            verdict = self.estimate.show_estimate(
                estimate_memory(report.header, settings), self._free
            )
            if verdict == "too_big":
                self._load.setText("Load anyway")
        reason = "The file is still being read." if reading else problem
        self._load.setToolTip(reason)
        self._load.setAccessibleDescription(reason)

    def _fit(self) -> None:
        """Take the height that the wrapped texts need at this width; Qt's own guess is short."""
        height = self._column.totalHeightForWidth(_WIDTH)
        if height != self.height():
            self.setFixedHeight(height)

    def _on_load(self) -> None:
        if self._report is None or not self._load.isEnabled():
            return
        settings = self.options.settings(self._report.path)
        self.accept()
        self.load_wished.emit(settings)


def _facts(header: GgufHeader) -> list[tuple[str, str]]:
    count = short_count(header.parameter_count)
    if header.expert_count:
        experts = f"{header.expert_used_count} of {header.expert_count} experts"
        count = f"{count} · {experts}"
    context = context_text(header.context_tokens) if header.context_tokens else "not stated"
    return [
        ("Architecture", header.architecture or "not stated"),
        ("Parameters", count),
        ("Quantization", header.file_type_name),
        ("Size", bytes_text(header.size_bytes)),
        ("Trained context", context),
    ]
