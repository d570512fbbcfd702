"""The card of the accelerators: a row each, how they are linked, and what their owner may do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout, QWidget

from m1desk.ui.widgets.device_rows import DeviceRows
from m1desk.ui.widgets.elided_label import ElidedLabel
from m1desk.ui.widgets.label import Label, Paragraph

if TYPE_CHECKING:
    from m1desk.hardware import Sample
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.devices import DeviceBoard, DeviceRow

_WHAT_LINKS_ARE: Final = (
    "What the parts of a model on several GPUs send to each other goes this way. NVLink is the "
    "fastest, then PCIe through a switch, through the processor, from processor to processor."
)


class DeviceTable(QFrame):
    """Hidden while there is nothing to tell: before the probe, and where nothing was found."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._board: DeviceBoard | None = None
        self.setProperty("card", True)
        self._heading = Label("Accelerators", tone="strong")
        self._sum = ElidedLabel(tone="muted")
        self._rows = DeviceRows(theme)
        self._links = Paragraph()
        self._links.setToolTip(_WHAT_LINKS_ARE)
        self._remarks = Paragraph(tone="muted")
        self._lay_out()
        self.hide()

    @property
    def rows(self) -> tuple[DeviceRow, ...]:
        """What is written, a row for each accelerator."""
        return self._rows.rows

    @property
    def words(self) -> str:
        """What is written below the rows."""
        labels = (self._links, self._remarks)
        return "\n".join(label.text() for label in labels if not label.isHidden())

    def show_machine(self, board: DeviceBoard) -> None:
        """Show the accelerators of a machine, as far as they are known without a sample."""
        self._board = board
        self._write(board, None)
        self._sum.set_text("")
        _write(self._links, "\n".join(board.link_sentences))
        self._rows.setVisible(bool(board.devices))
        self.setVisible(bool(board.devices or board.remarks()))

    def show_sample(self, sample: Sample) -> None:
        """Write what they do now."""
        if self._board is not None:
            self._write(self._board, sample)
            self._sum.set_text(self._board.memory_sum(sample))

    def _write(self, board: DeviceBoard, sample: Sample | None) -> None:
        self._rows.show_rows(board.take(sample))
        _write(self._remarks, "\n".join(board.remarks()))

    def _lay_out(self) -> None:
        metrics = self._theme.metrics
        layout = QVBoxLayout(self)
        layout.setContentsMargins(
            metrics.space_l, metrics.space_m, metrics.space_l, metrics.space_m
        )
        layout.setSpacing(metrics.space_s)
        head = QHBoxLayout()
        head.addWidget(self._heading)
        head.addStretch(1)
        head.addWidget(self._sum)
        layout.addLayout(head)
        for widget in (self._rows, self._links, self._remarks):
            layout.addWidget(widget)


def _write(label: Label, text: str) -> None:
    """Write what changed only: each new text has the page laid out again."""
    if text != label.text():
        label.setText(text)
    label.setVisible(bool(text))
