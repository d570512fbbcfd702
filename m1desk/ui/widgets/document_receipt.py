"""What the engine took in for an answer and how long it took; loud when they do not agree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout, QWidget

from m1desk.documents import receipt_words
from m1desk.ui.icons import icon_pixmap
from m1desk.ui.units import seconds_text, speed_text, tokens_text
from m1desk.ui.widgets.label import Label, Paragraph

if TYPE_CHECKING:
    from m1desk.documents import AnswerDetails, AskedQuestion, ReadReceipt
    from m1desk.ui.theme import Theme

_SEPARATOR: Final = " · "


class ReceiptWarning(QFrame):
    """Says loudly that the engine did not take in what was sent."""

    def __init__(self, theme: Theme, receipt: ReadReceipt, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self.setProperty("banner", "danger")
        self._icon = Label()
        title = Label("The engine did not read what was sent", tone="strong")
        text = Paragraph(
            f"{tokens_text(receipt.expected_tokens)} tokens were sent, the engine took in "
            f"{tokens_text(receipt.taken_tokens)}. Do not rely on this answer."
        )
        self.setAccessibleName(f"{title.text()}. {text.text()}")
        column = QVBoxLayout()
        column.setSpacing(4)
        column.addWidget(title)
        column.addWidget(text)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(12, 10, 12, 10)
        layout.setSpacing(10)
        layout.addWidget(self._icon, alignment=Qt.AlignmentFlag.AlignTop)
        layout.addLayout(column, 1)
        self._tint()
        theme.changed.connect(self._tint)

    def _tint(self) -> None:
        colour = self._theme.palette.danger
        self._icon.setPixmap(icon_pixmap("alert", colour, 18, self.devicePixelRatioF()))


def receipt_text(details: AnswerDetails) -> str:
    """Write the receipt and the times in one line; "" when nothing is known."""
    parts = []
    receipt = details.receipt
    if receipt is not None:
        where = f" in {len(details.passes)} steps" if details.passes else ""
        parts.append(
            f"{tokens_text(receipt.taken_tokens)} tokens{where}: "
            f"{tokens_text(receipt.read_tokens)} read, {tokens_text(receipt.reused_tokens)} reused"
        )
    if details.first_token_seconds is not None:
        predicted = _predicted(details.predicted_seconds)
        parts.append(f"first token {seconds_text(details.first_token_seconds)}{predicted}")
    if details.seconds is not None and details.predicted_total_seconds is not None:
        predicted = _predicted(details.predicted_total_seconds)
        parts.append(f"all {seconds_text(details.seconds)}{predicted}")
    if details.decode_tokens_per_second is not None:
        parts.append(speed_text(details.decode_tokens_per_second))
    return _SEPARATOR.join(parts)


def _predicted(seconds: tuple[float, float] | None) -> str:
    return "" if seconds is None else f" (predicted {range_text(seconds)})"


def receipt_details(question: AskedQuestion) -> str:
    """Write all figures, one a line, for a tooltip."""
    details = question.details
    lines = [f"Model: {question.model}"]
    if details.receipt is not None:
        lines.append(receipt_words(details.receipt))
    if details.prefill_tokens_per_second is not None:
        lines.append(f"Read at {speed_text(details.prefill_tokens_per_second)}")
    if details.decode_tokens_per_second is not None:
        lines.append(f"Written at {speed_text(details.decode_tokens_per_second)}")
    if details.written_tokens:
        assumed = f", {tokens_text(details.assumed_tokens)} assumed" * bool(details.assumed_tokens)
        lines.append(f"Written: {tokens_text(details.written_tokens)} tokens{assumed}")
    if details.seconds is not None:
        lines.append(f"From the question to the end: {seconds_text(details.seconds)}")
    if details.documents:
        lines.append(f"Documents: {_names(details.documents)}")
    return "\n".join(lines)


def range_text(seconds: tuple[float, float]) -> str:
    """Write a predicted time, both ends in one unit: "2–5 s", "1.5–3 min", "2–3.5 h"."""
    low, high = seconds
    if high < 120:
        ends = [f"{max(1, round(end))}" for end in seconds]
        unit = "s"
    else:
        unit, size = ("min", 60) if high < 2 * 3600 else ("h", 3600)
        ends = [_two_digits(end / size) for end in (low, high)]
    return f"{'–'.join(dict.fromkeys(ends))} {unit}"


def _two_digits(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0") if value < 10 else f"{value:.0f}"


def _names(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:8])
    return f"{shown} and {len(names) - 8:,} more" if len(names) > 8 else shown
