"""The panel that shows the documents' text as it is sent: pages, search, cited passages."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QStringListModel, Qt, QTimer, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QComboBox, QFrame, QHBoxLayout, QLineEdit, QVBoxLayout

from m1desk.ui.viewmodels.document_search import words_pattern
from m1desk.ui.widgets.buttons import IconButton
from m1desk.ui.widgets.calm_fields import choice, whole_number
from m1desk.ui.widgets.elided_label import ElidedLabel
from m1desk.ui.widgets.label import Label
from m1desk.ui.widgets.viewer_text import ViewerText

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from m1desk.documents import DocumentsText, PlacedPage
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.document_search import TextSearchViewModel

_TYPING_MS: Final = 200
_SCROLL_MS: Final = 40
_MOST_IN_SIGHT: Final = 200


class Viewer(QFrame):
    """Shows one text of documents; what follows them in the prompt may stand below.

    Signals:
        close_wished: the panel is to go away.
        documents_wished: the documents are to be shown again, without what was sent with them.
    """

    close_wished = Signal()
    documents_wished = Signal()

    def __init__(
        self, theme: Theme, search: TextSearchViewModel, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._theme = theme
        self._search = search
        self._documents: DocumentsText | None = None
        self._tail = ""
        self._pages: dict[str, list[PlacedPage]] = {}
        self._target: PlacedPage | None = None
        self._hits: tuple[int, ...] = ()
        self._words = ""
        self._hit = -1
        self._jumps = True  # a hit is gone to; not when only the text has changed
        self.text = ViewerText(theme)
        self.field = _SearchField()
        self._place = ElidedLabel(tone="strong", mode=Qt.TextElideMode.ElideMiddle)
        self._note = Label(tone="warning", wraps=True)
        self._names = QStringListModel(self)
        self._file: QComboBox = choice("Document", ())
        self._page = whole_number("Page", 1, 1)
        self._count = Label(tone="caption")
        self._back = IconButton(theme, "chevron-left", "Back to the documents alone")
        self._previous = IconButton(theme, "chevron-up", "Previous hit (Shift+Enter)")
        self._next = IconButton(theme, "chevron-down", "Next hit (Enter)")
        self._close = IconButton(theme, "close", "Close the viewer")
        self._typing = _timer(self, _TYPING_MS)
        self._scrolling = _timer(self, _SCROLL_MS)
        self._lay_out()
        self._connect()
        self._show_count()

    # -- what is shown -----------------------------------------------------------------------------

    @property
    def place(self) -> str:
        """The page in sight, in words."""
        return self._place.whole_text

    @property
    def hits(self) -> tuple[int, ...]:
        """Where the words searched for begin."""
        return self._hits

    @property
    def count_text(self) -> str:
        """What is said about the hits."""
        return self._count.text()

    @property
    def note(self) -> str:
        """What is said above the text, or ""."""
        return self._note.text()

    @property
    def shows_sent_text(self) -> bool:
        """Whether what follows the documents in a prompt stands below them."""
        return bool(self._tail)

    def show_documents(self, documents: DocumentsText, tail: str = "") -> None:
        """Show documents as they are sent, with what follows them in a prompt as `tail`."""
        if documents is self._documents and tail == self._tail:
            return
        self._documents, self._tail = documents, tail
        self._pages, self._target = {}, None
        for page in documents.pages:
            self._pages.setdefault(page.document, []).append(page)
        self._names.setStringList(list(self._pages))
        self._back.setVisible(bool(tail))
        self.set_note("")
        self.text.set_text(documents.text + tail)
        self._hits, self._hit = (), -1
        self._search.search(self.text.text, self.field.text().strip())
        self._jumps = False
        self._show_place()

    def show_tail(self) -> None:
        """Go to what follows the documents, and mark it."""
        if self._documents is not None and self._tail:
            start = len(self._documents.text)
            self.text.show_passage(start, start + len(self._tail))

    def show_passage(self, start: int, end: int) -> None:
        """Go to a passage, and mark it."""
        self.text.show_passage(start, end)

    def show_page(self, document: str, number: int = 0) -> bool:
        """Go to a page, or to the nearest one that has text; False when the document is unknown."""
        pages = self._pages.get(document)
        if not pages:
            return False
        index = bisect_left(pages, number, key=lambda page: page.number)
        self._target = page = pages[min(index, len(pages) - 1)]
        self.text.go_to(max(0, page.start - len(page.marker) - 1), to_top=True)
        return True

    def set_note(self, text: str) -> None:
        """Say something above the text, "" for nothing."""
        self._note.setText(text)
        self._note.setVisible(bool(text))

    def focus_search(self) -> None:
        """Put the cursor into the search field."""
        self.field.setFocus()
        self.field.selectAll()

    # -- making ------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        metrics = self._theme.metrics
        self._file.setModel(self._names)
        self._file.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self._file.setMinimumContentsLength(8)
        self._page.setPrefix("p. ")
        self._page.setFixedWidth(72)
        self._note.hide()
        self._back.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(metrics.space_m, metrics.space_s, metrics.space_s, 0)
        layout.setSpacing(metrics.space_s)
        layout.addLayout(self._row(self._back, (self._place, 1), self._close))
        layout.addLayout(self._row((self._file, 1), self._page))
        layout.addLayout(self._row((self.field, 1), self._count, self._previous, self._next))
        layout.addWidget(self._note)
        layout.addWidget(self.text, 1)

    def _row(self, *parts: QWidget | tuple[QWidget, int]) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(self._theme.metrics.space_xs)
        for part in parts:
            widget, stretch = part if isinstance(part, tuple) else (part, 0)
            row.addWidget(widget, stretch)
        return row

    def _connect(self) -> None:
        self._close.clicked.connect(self.close_wished)
        self._back.clicked.connect(self.documents_wished)
        self._file.activated.connect(lambda _: self.show_page(self._file.currentText()))
        self._page.valueChanged.connect(self._on_page)
        self.field.textChanged.connect(lambda _: self._typing.start())
        self.field.stepped.connect(self._step)
        self._previous.clicked.connect(lambda: self._step(-1))
        self._next.clicked.connect(lambda: self._step(+1))
        self._typing.timeout.connect(self._search_again)
        self._search.found.connect(self._on_found)
        self.text.scrolled.connect(self._on_moved)
        self._scrolling.timeout.connect(self._on_scrolled)

    # -- pages -------------------------------------------------------------------------------------

    def _on_moved(self) -> None:
        if not self._scrolling.isActive():
            self._scrolling.start()

    def _on_scrolled(self) -> None:
        self._show_place()
        if self._hits:
            self._mark_in_sight()

    def _show_place(self) -> None:
        documents = self._documents
        position = self.text.first_in_sight()
        if documents is None or not documents.pages:
            self._place.set_text("No documents")
        elif position >= len(documents.text):
            self._place.set_text("Instructions and question")
        else:
            shown = self._page_in_sight(documents, position)
            label = f" · {shown.label}" if shown.label else ""
            self._place.set_text(f"{shown.document} · p. {shown.number}{label}")
            self._show_in_fields(shown)

    def _page_in_sight(self, documents: DocumentsText, position: int) -> PlacedPage:
        """The page that was gone to while it can be seen, else the first that can."""
        target = self._target
        if target is not None and position <= target.start <= self.text.last_in_sight():
            return target
        self._target = None
        # Above a page stands its marker, which belongs to it.
        index = bisect_right(documents.pages, position, key=lambda page: page.end)
        return documents.pages[min(index, len(documents.pages) - 1)]

    def _show_in_fields(self, page: PlacedPage) -> None:
        pages = self._pages[page.document]
        if self._file.currentText() != page.document:
            self._file.setCurrentText(page.document)
        self._page.blockSignals(True)
        self._page.setRange(pages[0].number, pages[-1].number)
        if not self._page.hasFocus() or self._page.value() == page.number:
            self._page.setValue(page.number)
        self._page.blockSignals(False)

    def _on_page(self, number: int) -> None:
        self.show_page(self._file.currentText(), number)

    # -- search ------------------------------------------------------------------------------------

    def _search_again(self) -> None:
        self._typing.stop()
        self._jumps = True
        self._search.search(self.text.text, self.field.text().strip())

    def _on_found(self, words: str, places: tuple[int, ...]) -> None:
        if words != self.field.text().strip():
            return
        self._words, self._hits = words, places
        self._hit = bisect_left(places, self.text.first_in_sight()) if places else -1
        self._hit %= max(1, len(places))
        if places and self._jumps:
            self.text.go_to(places[self._hit])
        self._mark_in_sight()
        self._show_count()

    def _step(self, step: int) -> None:
        if self._typing.isActive():
            self._search_again()
        elif self._hits:
            self._hit = (self._hit + step) % len(self._hits)
            self._go_to_hit()
            self._show_count()

    def _go_to_hit(self) -> None:
        self.text.go_to(self._hits[self._hit])
        self._mark_in_sight()

    def _mark_in_sight(self) -> None:
        first = bisect_left(self._hits, self.text.first_in_sight())
        last = bisect_right(self._hits, self.text.last_in_sight())
        shown = self._hits[first : min(last, first + _MOST_IN_SIGHT)]
        current = self._hits[self._hit] if 0 <= self._hit < len(self._hits) else -1
        self.text.set_found(
            [self._span(place) for place in shown], self._span(current) if current >= 0 else None
        )

    def _span(self, start: int) -> tuple[int, int]:
        match = words_pattern(self._words).match(self.text.text, start)
        return start, match.end() if match else start

    def _show_count(self) -> None:
        has_hits = bool(self._hits)
        self._previous.setEnabled(has_hits)
        self._next.setEnabled(has_hits)
        if has_hits:
            self._count.setText(f"{self._hit + 1:,} of {len(self._hits):,}")
        else:
            self._count.setText("Not found" if self.field.text().strip() else "")


class _SearchField(QLineEdit):
    """Enter steps to the next hit, Shift+Enter to the one before, Esc empties it."""

    stepped = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self.setPlaceholderText("Search in the documents")
        self.setAccessibleName("Search in the documents")
        self.setClearButtonEnabled(True)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in {Qt.Key.Key_Return, Qt.Key.Key_Enter}:
            back = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
            self.stepped.emit(-1 if back else +1)
        elif event.key() == Qt.Key.Key_Escape and self.text():
            self.clear()
        else:
            super().keyPressEvent(event)


def _timer(parent: QFrame, interval: int) -> QTimer:
    timer = QTimer(parent)
    timer.setSingleShot(True)
    timer.setInterval(interval)
    return timer
