"""How the selected variant fits: verdict, memory, speeds, time, and what would help."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from m1desk.ui.icons import icon_pixmap
from m1desk.ui.theme import set_look
from m1desk.ui.units import tokens_text
from m1desk.ui.viewmodels.fit_panel import (
    bars_of,
    chips_of,
    seconds_range,
    speed_range,
    verdict_look,
)
from m1desk.ui.widgets.calm_fields import whole_number
from m1desk.ui.widgets.fit_exact import ExactLine
from m1desk.ui.widgets.label import Label, Paragraph
from m1desk.ui.widgets.memory_bar import MemoryBars
from m1desk.ui.widgets.plain_tip import plain_tip
from m1desk.ui.widgets.variant_table import download_text

if TYPE_CHECKING:
    from m1desk.fit import FitPlan
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.fit_panel import Chip
    from m1desk.ui.viewmodels.fit_panel_exact import ExactViewModel
    from m1desk.ui.viewmodels.variants import VariantsViewModel

_MOST_TOKENS: Final = 10_000_000
_MOST_CHIPS: Final = 3
"""One for each control: KV cache, context, variant."""


class FitPanel(QWidget):
    """Follows the view model's selection.

    Signals:
        download_wished: the selected variant is to be fetched.
    """

    download_wished = Signal()

    def __init__(
        self,
        theme: Theme,
        variants: VariantsViewModel,
        exact: ExactViewModel,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._theme = theme
        self._variants = variants
        self._icon = Label()
        self._name = Label(tone="strong")
        self._verdict = Label()
        self.download = QPushButton("Download")
        self.bars = MemoryBars(theme)
        self._speeds = Paragraph()
        self.input_tokens = whole_number("Tokens to read", 1, _MOST_TOKENS, step=1024)
        self.output_tokens = whole_number("Tokens to write", 1, _MOST_TOKENS, step=256)
        self._times = Paragraph(tone="strong")
        self._reasons = Paragraph(tone="muted")
        self._buttons = tuple(QPushButton("What would help") for _ in range(_MOST_CHIPS))
        self._shown_chips: tuple[Chip, ...] = ()
        self._exact = ExactLine(theme, exact)
        self._lay_out()
        self._connect()
        self._on_selected()
        self._on_changes()

    @property
    def verdict_text(self) -> str:
        """The verdict, in a word or two."""
        return self._verdict.text()

    @property
    def reasons_text(self) -> str:
        """The verdict's reasons."""
        return self._reasons.text()

    @property
    def times_text(self) -> str:
        """How long a request takes."""
        return self._times.text()

    @property
    def chips(self) -> tuple[QPushButton, ...]:
        """The buttons of what would help."""
        return self._buttons[: len(self._shown_chips)]

    # -- inside ------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        metrics = self._theme.metrics
        head = QHBoxLayout()
        head.setSpacing(metrics.space_s)
        head.addWidget(self._name)
        head.addSpacing(metrics.space_s)
        head.addWidget(self._icon)
        head.addWidget(self._verdict)
        head.addStretch(1)
        head.addWidget(self.download)
        chips = QHBoxLayout()
        chips.setSpacing(metrics.space_s)
        for button in self._buttons:
            chips.addWidget(button)
        chips.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(metrics.space_m)
        layout.addLayout(head)
        layout.addWidget(self.bars)
        layout.addLayout(chips)
        layout.addWidget(self._speeds)
        layout.addLayout(self._request_row())
        layout.addWidget(self._reasons)
        layout.addWidget(self._exact)

    def _request_row(self) -> QHBoxLayout:
        wished = self._variants.wished
        row = QHBoxLayout()
        row.setSpacing(self._theme.metrics.space_s)
        for name, field, value in (
            ("Read", self.input_tokens, wished.input_tokens),
            ("and write", self.output_tokens, wished.output_tokens),
        ):
            field.setValue(value)
            field.setFixedWidth(96)
            row.addWidget(Label(name))
            row.addWidget(field)
        row.addWidget(Label("tokens:"))
        row.addWidget(self._times, 1)
        return row

    def _connect(self) -> None:
        self._variants.selected_changed.connect(self._on_selected)
        self._variants.changes_found.connect(self._on_changes)
        self.input_tokens.valueChanged.connect(self._on_request)
        self.output_tokens.valueChanged.connect(self._on_request)
        self.download.clicked.connect(self.download_wished)
        self._theme.changed.connect(self._on_selected)
        for place, button in enumerate(self._buttons):
            button.clicked.connect(lambda _=False, place=place: self._on_chip(place))

    def _on_request(self) -> None:
        wished = self._variants.wished
        self._variants.wish(
            replace(
                wished,
                input_tokens=self.input_tokens.value(),
                output_tokens=self.output_tokens.value(),
            )
        )

    def _on_selected(self) -> None:
        row, plan = self._variants.selected_row, self._variants.selected_plan
        self._name.setText(row.name if row else "")
        self.download.setEnabled(row is not None and row.repository is not None)
        self.download.setToolTip(
            plain_tip(download_text(row)) if row else "Select a variant first."
        )
        self._exact.show_wish(row.variant if row else None, self._variants.wished)
        for part in (self.bars, self._speeds, self._reasons):
            part.setVisible(plan is not None)
        if plan is None:
            self._show_waiting()
        else:
            self._show_plan(plan)

    def _show_waiting(self) -> None:
        row = self._variants.selected_row
        known = row is None or row.variant is not None
        self._show_verdict(
            "info",
            "text_muted",
            "muted",
            "Waiting for the machine…"
            if known
            else "How it fits is not known: its header could not be read.",
        )
        self._times.setText("–")

    def _show_plan(self, plan: FitPlan) -> None:
        look = verdict_look(plan)
        self._show_verdict(look.icon, look.tone, look.tone, look.word)
        self.bars.show_bars(bars_of(plan))
        self._speeds.setText(
            f"Prefill {speed_range(plan.prefill)}, decode {speed_range(plan.decode)} tokens a "
            f"second (predicted). Longest context: {tokens_text(plan.max_context_tokens)} tokens."
        )
        if plan.verdict == "does_not_fit":
            self._speeds.setText("It would not run, so there is no speed to predict.")
        self._times.setText(
            f"first token after {seconds_range(plan.first_token_seconds)}, "
            f"all after {seconds_range(plan.total_seconds)}"
            if plan.total_seconds.high
            else "–"
        )
        self._reasons.setText(" ".join(plan.reasons))

    def _show_verdict(self, icon: str, colour: str, tone: str, text: str) -> None:
        tint = getattr(self._theme.palette, colour)
        self._icon.setPixmap(icon_pixmap(icon, tint, 16, self.devicePixelRatioF()))
        self._verdict.setText(text)
        set_look(self._verdict, "tone", tone)
        self.setAccessibleName(f"{self._name.text()}: {text}")

    def _on_changes(self) -> None:
        chips = self._shown_chips = chips_of(self._variants.changes)
        for place, button in enumerate(self._buttons):
            button.setVisible(place < len(chips))
            if place < len(chips):
                button.setText(chips[place].label)
                button.setToolTip(plain_tip(chips[place].text))
                button.setAccessibleDescription(chips[place].text)

    def _on_chip(self, place: int) -> None:
        chip = self._shown_chips[place]
        if chip.change.kind == "quantization":
            self._variants.select_named(chip.change.variant)
        else:
            self._variants.wish(chip.change.wished)
