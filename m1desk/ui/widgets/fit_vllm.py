"""What vLLM could do: each tensor-parallel size with the memory it takes on a GPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import (
    QHBoxLayout,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from m1desk.fit import VllmWish
from m1desk.ui.units import bytes_text, tokens_text
from m1desk.ui.viewmodels.fit_panel_vllm import VllmPlan, vllm_plan
from m1desk.ui.widgets.calm_fields import choice, whole_number
from m1desk.ui.widgets.label import Label, Paragraph
from m1desk.ui.widgets.plain_table import make_plain

if TYPE_CHECKING:
    from m1desk.fit import VllmFit
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.discover_machine import MachineViewModel
    from m1desk.ui.viewmodels.variants import VariantsViewModel

_HEADERS: Final = ("Tensor parallel", "Weights a GPU", "State a GPU", "Tokens in all", "Verdict")
_LOADING: Final = (("bf16", "BF16, as it is"), ("experts_int8", "experts in 8 bits"))
_UNKNOWN: Final = "The planner can't say what vLLM needs: it doesn't know this architecture."
_LEFT: Final = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
_ROW_HEIGHT: Final = 32
_MOST_SEQUENCES: Final = 256


class VllmPanel(QWidget):
    """Plans while it can be seen; the context is the one wished for above."""

    def __init__(
        self,
        theme: Theme,
        variants: VariantsViewModel,
        machines: MachineViewModel,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._theme = theme
        self._variants = variants
        self._machines = machines
        self._fits: tuple[VllmFit, ...] = ()
        self._loading = choice("How the checkpoint is loaded", _LOADING)
        self._sequences = whole_number("Sequences at once", 1, _MOST_SEQUENCES)
        self._sequences.setFixedWidth(72)
        self._sequences.setValue(VllmWish().parallel)
        self._table = QTableWidget(0, len(_HEADERS))
        self._about = Paragraph(tone="muted")
        self._detail = Paragraph()
        self._lay_out()
        self._loading.currentIndexChanged.connect(self._refresh)
        self._sequences.valueChanged.connect(self._refresh)
        self._table.currentCellChanged.connect(self._on_current)
        variants.selected_changed.connect(self._refresh)  # another wish, machine or model
        theme.changed.connect(self._refresh)

    @property
    def about_text(self) -> str:
        """What is said above the table: a refusal, or the versions that know the model."""
        return self._about.text()

    @property
    def table(self) -> QTableWidget:
        """One row for each tensor-parallel size."""
        return self._table

    @property
    def detail_text(self) -> str:
        """Reasons and arguments of the selected size."""
        return self._detail.text()

    def showEvent(self, event: object) -> None:
        """Plan for what was chosen meanwhile."""
        super().showEvent(event)  # type: ignore[arg-type]
        self._refresh()

    # -- inside ------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        metrics = self._theme.metrics
        table = self._table
        table.setHorizontalHeaderLabels(list(_HEADERS))
        make_plain(table, self._theme, "Tensor-parallel sizes", _ROW_HEIGHT)
        table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        table.horizontalHeader().setDefaultAlignment(_LEFT)
        row = QHBoxLayout()
        row.setSpacing(metrics.space_s)
        row.addWidget(Label("Load"))
        row.addWidget(self._loading)
        row.addSpacing(metrics.space_m)
        row.addWidget(Label("Sequences"))
        row.addWidget(self._sequences)
        row.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(metrics.space_m)
        layout.addLayout(row)
        layout.addWidget(self._about)
        layout.addWidget(table)
        layout.addWidget(self._detail)
        layout.addStretch(1)

    def _refresh(self) -> None:
        if not self.isVisible():
            return
        checkpoint, machine = self._variants.checkpoint, self._machines.current
        if machine is None:
            self._show(VllmPlan((), "Waiting for the machine…", ""))
            return
        if checkpoint is None:
            self._show(VllmPlan((), _UNKNOWN, ""))
            return
        wish = VllmWish(
            self._variants.wished.context_tokens,
            self._loading.currentData(),
            self._sequences.value(),
        )
        self._show(vllm_plan(machine.machine, checkpoint, wish))

    def _show(self, plan: VllmPlan) -> None:
        self._fits = plan.fits
        self._about.setText(plan.refusal or plan.versions)
        self._about.setVisible(bool(self._about.text()))
        self._table.setVisible(bool(plan.fits))
        self._table.setRowCount(len(plan.fits))
        self._table.setFixedHeight((len(plan.fits) + 1) * _ROW_HEIGHT + 8)
        for number, fit in enumerate(plan.fits):
            self._write(number, fit)
        if plan.fits and self._table.currentRow() < 0:
            self._table.selectRow(len(plan.fits) - 1)
        self._on_current(self._table.currentRow())

    def _write(self, number: int, fit: VllmFit) -> None:
        palette = self._theme.palette
        gpus = "GPU" if fit.tensor_parallel == 1 else "GPUs"
        texts = (
            f"{fit.tensor_parallel} {gpus}",
            bytes_text(fit.weights_bytes),
            bytes_text(fit.state_bytes) if fit.state_bytes else "–",
            tokens_text(fit.cache_tokens) if fit.cache_tokens else "–",
            "Fits" if fit.fits else "Does not fit",
        )
        for column, text in enumerate(texts):
            item = QTableWidgetItem(text)
            item.setToolTip(" ".join(fit.reasons))
            if column == len(texts) - 1:
                item.setIcon(
                    self._theme.icon(
                        "check" if fit.fits else "close",
                        palette.success if fit.fits else palette.danger,
                    )
                )
                item.setForeground(QColor(palette.success if fit.fits else palette.danger))
            self._table.setItem(number, column, item)

    def _on_current(self, row: int, *_rest: int) -> None:
        shown = 0 <= row < len(self._fits)
        self._detail.setVisible(shown)
        if shown:
            fit = self._fits[row]
            arguments = " ".join(fit.arguments)
            self._detail.setText(f"{' '.join(fit.reasons)}\nvllm serve … {arguments}")
