"""The settings card of the engine: what was measured on this machine, and measuring it again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QPushButton, QWidget

from m1desk.errors import StorageError
from m1desk.ui.units import speed_text
from m1desk.ui.widgets.label import Label
from m1desk.ui.widgets.settings_card import SettingsCard

if TYPE_CHECKING:
    from m1desk.engines import CalibrationProgress, EngineCalibration
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.settings_calibration import CalibrationViewModel

_STAGES: Final = {
    "self_test": "Testing the engine …",
    "self_test_safe": "Testing the engine with safe settings …",
    "measuring": "Measuring …",
    "done": "",
}
_SELF_TESTS: Final = {
    "passed": "passed",
    "safe_only": "passes with safe settings only",
    "failed": "failed",
    "not_run": "not run yet",
}


class CalibrationCard(SettingsCard):
    """Shows the calibration as a small table."""

    def __init__(
        self, theme: Theme, calibration: CalibrationViewModel, parent: QWidget | None = None
    ) -> None:
        super().__init__(theme, "Engine", parent)
        self._calibration = calibration
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(theme.metrics.space_xl)
        self._grid.setVerticalSpacing(theme.metrics.space_xs)
        self._grid.setColumnStretch(1, 1)
        table = self._table = QWidget()
        table.setLayout(self._grid)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._note = Label(tone="caption", wraps=True)
        self._progress = Label(tone="muted")
        self._button = QPushButton("Measure again")
        self._button.clicked.connect(calibration.start)
        self.add_widget(self._explanation())
        self.add_widget(table)
        self.add_widget(self._note)
        self.add_widget(self._foot())
        calibration.progressed.connect(self._on_progressed)
        calibration.finished.connect(self._on_finished)
        self._show_known()

    @property
    def button(self) -> QPushButton:
        """Starts a measurement."""
        return self._button

    @property
    def texts(self) -> tuple[str, ...]:
        """What the table says, row by row."""
        labels = self._table.findChildren(Label)
        return tuple(label.text() for label in labels)

    def _explanation(self) -> Label:
        return Label(
            "Which settings of llama.cpp are fastest and safe on this computer is measured once. "
            "It takes about ten seconds.",
            tone="muted",
            wraps=True,
        )

    def _foot(self) -> QWidget:
        foot = QWidget()
        row = QHBoxLayout(foot)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._button)
        row.addWidget(self._progress)
        row.addStretch(1)
        return foot

    def _show_known(self) -> None:
        try:
            known = self._calibration.known()
        except StorageError as error:
            self._note.setText(str(error))
            known = None
        self._show(known)

    def _show(self, known: EngineCalibration | None) -> None:
        while (item := self._grid.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.setParent(None)
                widget.deleteLater()
        rows = _rows(known)
        for number, (name, value) in enumerate(rows):
            caption = Label(name, tone="muted")
            label = Label(value)
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            label.setAccessibleName(f"{name}: {value}")
            self._grid.addWidget(caption, number, 0)
            self._grid.addWidget(label, number, 1)
        self._note.setText(known.note if known else "")
        self._note.setVisible(bool(self._note.text()))
        self._show_running()

    def _show_running(self) -> None:
        running = self._calibration.is_running
        self._button.setEnabled(not running)
        self._button.setToolTip("It is being measured now." if running else "")
        if not running:
            self._progress.setText("")

    def _on_progressed(self, progress: CalibrationProgress) -> None:
        self._show_running()
        text = _STAGES[progress.stage]
        if progress.measured:
            best = speed_text(progress.best_decode_tokens_per_second)
            text = f"{text} {progress.measured} settings so far, the best {best}"
        self._progress.setText(text)

    def _on_finished(self, found: EngineCalibration | None) -> None:
        self._show(found)


def _rows(known: EngineCalibration | None) -> list[tuple[str, str]]:
    if known is None:
        return [("Calibration", "not measured yet; safe settings are used")]
    return [
        ("Self-test", _SELF_TESTS[known.self_test]),
        ("Threads", str(known.threads) if known.threads else "the engine's choice"),
        ("Flash attention", "on" if known.flash_attention else "off"),
        ("Extra buffers", "on" if known.extra_buffers else "off"),
        ("Writing, small test model", speed_text(known.decode_tokens_per_second)),
        ("Reading, small test model", speed_text(known.prefill_tokens_per_second)),
    ]
