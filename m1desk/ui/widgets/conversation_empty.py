"""What stands where a conversation will be: how to begin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from m1desk.ui.icons import icon_pixmap
from m1desk.ui.widgets.label import Label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from m1desk.ui.theme import Theme

EXAMPLES: Final = (
    ("Explain a concept", "Explain how a KV cache speeds up text generation, with an example."),
    ("Write code", "Write a Python function that finds duplicate files in a folder, with tests."),
    ("Improve a text", "Make this e-mail shorter and friendlier:\n\n"),
    ("Compare options", "Compare SQLite and PostgreSQL for a desktop app, in a table."),
)

DEMO_EXAMPLES: Final = (
    ("What is this?", "Who are you?"),
    ("What it can do", "What can you do?"),
    ("Models", "How do I get a bigger model?"),
    ("Words", "What is quantization?"),
)
"""What the demo model can answer; about documents it is asked on their own page."""

_EXAMPLE_WIDTH: Final = 156
_EXAMPLE_HEIGHT: Final = 80


class ConversationEmpty(QWidget):
    """Greets, offers to load a model while none runs, and shows what could be asked.

    Signals:
        load_wished: a model is to be loaded.
        example_chosen: the text of an example.
    """

    load_wished = Signal()
    example_chosen = Signal(str)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._examples = QGridLayout()
        self._shown: tuple[tuple[str, str], ...] = ()
        self._picture = Label()
        self._title = Label(tone="heading", wraps=True)
        self._text = Label(tone="muted", wraps=True)
        self._load = QPushButton("Load model…")
        self._load.setProperty("kind", "primary")
        self._load.clicked.connect(self.load_wished)
        for label in (self._picture, self._title, self._text):
            label.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._lay_out()
        self.set_reason("")
        self._tint()
        theme.changed.connect(self._tint)

    @property
    def title(self) -> str:
        """The greeting."""
        return self._title.text()

    @property
    def offers_loading(self) -> bool:
        """Whether a model can be loaded from here."""
        return not self._load.isHidden()

    def set_reason(self, reason: str, *, busy: bool = False) -> None:
        """Say why nothing can be asked yet, or "" when it can; `busy`: one need only wait."""
        self._title.setText("What would you like to know?" if not reason else "Start a chat")
        if busy:
            self._text.setText(reason)
        elif reason:
            self._text.setText(f"{reason.rstrip('.')}. Everything stays on this computer.")
        else:
            self._text.setText("Ask below, or begin with one of these.")
        self._load.setVisible(bool(reason) and not busy)

    def set_examples(self, examples: Sequence[tuple[str, str]]) -> None:
        """Offer these: a title and a prompt each."""
        if examples == self._shown:
            return
        self._shown = tuple(examples)
        while (item := self._examples.takeAt(0)) is not None:
            old = item.widget()
            if old is not None:
                old.deleteLater()
        for number, (title, prompt) in enumerate(examples):
            self._examples.addWidget(self._make_example(title, prompt), number // 2, number % 2)

    def _lay_out(self) -> None:
        metrics = self._theme.metrics
        grid = self._examples
        grid.setSpacing(metrics.space_m)
        grid.setContentsMargins(0, 0, 0, 0)
        box = QWidget()
        box.setMaximumWidth(640)
        box.setLayout(grid)
        self.set_examples(EXAMPLES)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(metrics.space_xl, 0, metrics.space_xl, 0)
        layout.setSpacing(metrics.space_m)
        layout.addStretch(3)
        layout.addWidget(self._picture)
        layout.addWidget(self._title)
        layout.addWidget(self._text)
        layout.addWidget(self._load, alignment=Qt.AlignmentFlag.AlignHCenter)
        layout.addSpacing(metrics.space_m)
        row = QHBoxLayout()
        row.addStretch(1)
        row.addWidget(box, 1000)
        row.addStretch(1)
        layout.addLayout(row)
        layout.addStretch(4)

    def _make_example(self, title: str, prompt: str) -> QPushButton:
        button = _Example(title, prompt.strip().rstrip(":"))
        button.setAccessibleName(f"{title}: {prompt.strip()}")
        button.clicked.connect(lambda: self.example_chosen.emit(prompt))
        return button

    def _tint(self) -> None:
        colour = self._theme.palette.accent
        self._picture.setPixmap(icon_pixmap("chat", colour, 40, self.devicePixelRatioF()))


class _Example(QPushButton):
    """A card with a title and the beginning of what would be asked."""

    def __init__(self, title: str, text: str) -> None:
        super().__init__()
        self.setProperty("example", True)
        self.setFixedHeight(_EXAMPLE_HEIGHT)
        self.setMinimumWidth(_EXAMPLE_WIDTH)
        self.setMaximumWidth(2 * _EXAMPLE_WIDTH)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        head = Label(title, tone="strong")
        body = Label(text, tone="muted", wraps=True)
        body.setAlignment(Qt.AlignmentFlag.AlignTop)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 10, 14, 10)
        layout.setSpacing(2)
        for label in (head, body):
            label.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
            layout.addWidget(label)
        layout.addStretch(1)
