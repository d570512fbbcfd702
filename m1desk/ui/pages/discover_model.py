"""Discover's right side: the chosen model, its ways to run, its variants and how they fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QHBoxLayout,
    QPushButton,
    QSplitter,
    QStackedWidget,
    QTabBar,
    QVBoxLayout,
    QWidget,
)

from m1desk.ui.theme import set_look
from m1desk.ui.widgets.cost_panel import CostPanel
from m1desk.ui.widgets.elided_label import ElidedLabel
from m1desk.ui.widgets.empty_state import EmptyState
from m1desk.ui.widgets.fit_controls import FitControls
from m1desk.ui.widgets.fit_panel import FitPanel
from m1desk.ui.widgets.fit_vllm import VllmPanel
from m1desk.ui.widgets.label import Label
from m1desk.ui.widgets.machine_selector import MachineSelector
from m1desk.ui.widgets.scrolled import scrolled
from m1desk.ui.widgets.variant_table import VariantTable

if TYPE_CHECKING:
    from m1desk.models import CatalogModel
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.discover_parts import DiscoverParts

_LLAMA, _VLLM = range(2)
_UNKNOWN: Final = (
    "The planner doesn't know this model's architecture by heart. Its files at the Hub say all it "
    "needs; only their headers travel."
)


class ModelPane(QWidget):
    """Follows the variants' view model.

    Signals:
        download_wished: repository (str) and variant (str).
    """

    download_wished = Signal(str, str)

    def __init__(self, theme: Theme, parts: DiscoverParts, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._parts = parts
        self._variants = parts.variants
        self._title = ElidedLabel(tone="title")
        self._facts = ElidedLabel(tone="muted")
        self.ways = QTabBar()
        self._way_note = ElidedLabel(tone="caption")
        self.look_up = QPushButton()
        self.machine = MachineSelector(theme, parts.machines)
        self.controls = FitControls(theme, parts.variants)
        self.table = VariantTable(theme, parts.variants)
        self.fit = FitPanel(theme, parts.variants, parts.exact)
        self.cost = CostPanel(theme, parts.cost)
        self.vllm = VllmPanel(theme, parts.variants, parts.machines)
        self.notice = Label(wraps=True)
        self.retry = QPushButton("Try again")
        self._stack = QStackedWidget()
        self._waiting = Label(tone="muted")
        self.ask = QPushButton("Look up its files")
        self.ask.setProperty("kind", "primary")
        self._unknown = EmptyState(theme, "model", "", _UNKNOWN, buttons=(self.ask,))
        again = QPushButton("Try again")
        again.clicked.connect(parts.variants.try_again)
        self._failed = EmptyState(theme, "alert", "", "", buttons=(again,))
        self._lay_out()
        self._connect()
        self._on_reset()

    # -- inside ------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        metrics = self._theme.metrics
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(metrics.space_s)
        layout.addLayout(self._head())
        layout.addWidget(self._facts)
        layout.addLayout(self._way_row())
        layout.addWidget(self.controls)
        layout.addLayout(self._notice_row())
        layout.addWidget(self._stack, 1)
        self._waiting.setAlignment(Qt.AlignmentFlag.AlignCenter)
        fits = (self._splitter(), scrolled(self.vllm))
        for part in (*fits, self._unknown, self._failed, self._waiting):
            self._stack.addWidget(part)

    def _head(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(self._theme.metrics.space_l)
        row.addWidget(self._title, 1, alignment=Qt.AlignmentFlag.AlignTop)
        row.addWidget(self.machine, alignment=Qt.AlignmentFlag.AlignTop)
        return row

    def _way_row(self) -> QHBoxLayout:
        self.ways.setExpanding(False)
        self.ways.setDrawBase(False)
        self.ways.setAccessibleName("Ways to run the model")
        self.ways.addTab("llama.cpp · GGUF")
        self.ways.addTab("vLLM · safetensors")
        row = QHBoxLayout()
        row.setSpacing(self._theme.metrics.space_m)
        row.addWidget(self.ways)
        row.addWidget(self._way_note, 1)
        row.addWidget(self.look_up)
        return row

    def _notice_row(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(self._theme.metrics.space_m)
        row.addWidget(self.notice, 1)
        row.addWidget(self.retry, alignment=Qt.AlignmentFlag.AlignTop)
        return row

    def _splitter(self) -> QSplitter:
        metrics = self._theme.metrics
        inner = QWidget()
        column = QVBoxLayout(inner)
        column.setContentsMargins(0, metrics.space_m, metrics.space_m, metrics.space_l)
        column.setSpacing(metrics.space_m)
        column.addWidget(self.fit)
        column.addWidget(self.cost)
        column.addStretch(1)
        splitter = QSplitter(Qt.Orientation.Vertical)
        splitter.setChildrenCollapsible(False)
        splitter.addWidget(self.table)
        splitter.addWidget(scrolled(inner))
        splitter.setStretchFactor(0, 2)
        splitter.setStretchFactor(1, 3)
        return splitter

    def _connect(self) -> None:
        self.ways.currentChanged.connect(self._on_reset)
        self.look_up.clicked.connect(self._on_look_up)
        self.ask.clicked.connect(self._on_look_up)
        self.retry.clicked.connect(self._variants.try_again)
        self.table.download_wished.connect(self._on_download)
        self.fit.download_wished.connect(lambda: self._on_download(self._variants.selected))
        self._variants.reset.connect(self._on_reset)

    @property
    def _model(self) -> CatalogModel | None:
        entry = self._variants.entry
        return entry.catalog if entry is not None else None

    def _on_reset(self) -> None:
        """Show another model, or how its variants stand now."""
        entry, state = self._variants.entry, self._variants.state
        self._title.set_text(entry.title if entry else "")
        self._facts.set_text(entry.facts if entry else "")
        self._show_way()
        self._show_notice()
        self.controls.setVisible(state == "ready")
        self.controls.show_context_only(alone=self.ways.currentIndex() == _VLLM)
        self._unknown.set_text(
            f"How {entry.title} fits is not known yet" if entry else "", _UNKNOWN
        )
        self._waiting.setText("Looking into the model…" if state == "loading" else "")
        parts = {"ready": self.ways.currentIndex(), "unknown": 2, "failed": 3}
        self._stack.setCurrentIndex(parts.get(state, 4))

    def _show_notice(self) -> None:
        """Say what is wrong: over the rows where there are rows, else in their place."""
        error, has_rows = self._variants.error, bool(self._variants.rows)
        if error is not None:
            self._failed.set_text(error.what, f"{error.why} {error.todo}".strip())
        text = str(error) if error is not None else self._variants.note
        self.notice.setText(text)
        set_look(self.notice, "tone", "danger" if error is not None else "caption")
        self.notice.setVisible(has_rows and bool(text))
        self.retry.setVisible(has_rows and error is not None)

    def _show_way(self) -> None:
        model = self._model
        is_vllm = self.ways.currentIndex() == _VLLM
        wanted = "vllm" if is_vllm else "llama.cpp"
        ways = [way for way in model.ways if way.engine == wanted] if model is not None else []
        notes = [" · ".join(p for p in (w.repo_id or "", w.needs, w.note) if p) for w in ways]
        self._way_note.set_text("  ".join(notes))
        self._way_note.set_detail("\n\n".join(notes))
        # where there are no rows, the same button stands in their place
        can_ask = model is not None and self._variants.state in {"ready", "loading"}
        self.look_up.setVisible(can_ask and not is_vllm)
        has_files = model is not None and bool(model.gguf_repositories)
        text = "Look up its files" if has_files else "Find GGUF files"
        for button in (self.look_up, self.ask):
            button.setText(text)
        self.look_up.setToolTip(
            f"Ask the Hub which files {model.gguf_repositories[0]} has"
            if model is not None and has_files
            else "Search the Hub for quantizations of this model"
        )

    def _on_look_up(self) -> None:
        model = self._model
        if model is None:
            return
        if model.gguf_repositories:
            self._variants.look_up(model.gguf_repositories[0])
        else:
            self._parts.list.search_quantizations(model.repo_id)

    def _on_download(self, number: int) -> None:
        row = self._variants.rows[number]
        if row.repository is not None:
            self.download_wished.emit(row.repository, row.name)
