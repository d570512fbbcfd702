"""The panel of all jobs: new, filter, search, and the queue with its menu."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLineEdit,
    QMenu,
    QPushButton,
    QVBoxLayout,
)

from m1desk.ui.viewmodels.jobs_actions import obstacle
from m1desk.ui.widgets.calm_fields import choice
from m1desk.ui.widgets.job_rows import JobRows
from m1desk.ui.widgets.label import Label

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from m1desk.jobs.values import JobSummary
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.jobs_actions import JobAction
    from m1desk.ui.viewmodels.jobs_queue import JobQueueViewModel, StateFilter

FILTER_WORDS: Final[dict[StateFilter, str]] = {
    "all": "All jobs",
    "open": "Running and waiting",
    "done": "Done",
    "stopped": "Stopped or cancelled",
}
MENU: Final[tuple[tuple[JobAction, str], ...]] = (
    ("pause", "Pause"),
    ("resume", "Go on"),
    ("retry", "Try again"),
    ("up", "Move up"),
    ("down", "Move down"),
    ("cancel", "Cancel"),
    ("delete", "Delete…"),
)
PRIORITIES: Final = ((1, "High"), (0, "Usual"), (-1, "Low"))


class JobList(QFrame):
    """Shows the queue.

    Signals:
        new_wished: a new job is to be put together.
        open_wished: the JobSummary that is to be shown.
        wished: an action (str, a JobAction) for a JobSummary.
        priority_wished: a JobSummary, and the priority (int) it is to have.
        moved: id (int) of a job, and of the one (int) it is to stand before.
        repeat_wished: a JobSummary: a new job like it is to be put together.
    """

    new_wished = Signal()
    open_wished = Signal(object)
    wished = Signal(str, object)
    priority_wished = Signal(object, int)
    moved = Signal(object, object)
    repeat_wished = Signal(object)

    def __init__(
        self, theme: Theme, queue: JobQueueViewModel, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._theme = theme
        self._queue = queue
        self.setProperty("panel", True)
        self.new = QPushButton("New job")
        self.filter = choice("Jobs that are shown", FILTER_WORDS.items())
        self.field = QLineEdit()
        self.rows = JobRows(theme, queue)
        self._nothing = Label(tone="faint", wraps=True)
        self._lay_out()
        self._connect()
        self._tint()
        self._on_changed()

    @property
    def nothing_text(self) -> str:
        """What is said where no row is shown, "" where there are rows."""
        return "" if self._nothing.isHidden() else self._nothing.text()

    def make_menu(self, job: JobSummary) -> QMenu:
        """Make the menu of what can be done with a job; what can't be says why as a tooltip."""
        menu = QMenu(self)
        menu.setToolTipsVisible(True)
        for name, text in MENU:
            if name in {"up", "delete"}:
                menu.addSeparator()
            action = menu.addAction(text, partial(self.wished.emit, name, job))
            reason = obstacle(name, job)
            action.setEnabled(not reason)
            action.setToolTip(reason or text)
            if name == "down":
                self._add_priorities(menu, job)
        menu.addSeparator()
        menu.addAction("New job like this…", lambda: self.repeat_wished.emit(job))
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        return menu

    def _add_priorities(self, menu: QMenu, job: JobSummary) -> None:
        inner = menu.addMenu("Priority")
        for priority, word in PRIORITIES:
            action = inner.addAction(word, partial(self.priority_wished.emit, job, priority))
            action.setCheckable(True)
            action.setChecked(priority == job.priority)

    def _lay_out(self) -> None:
        metrics = self._theme.metrics
        self.new.setToolTip("Put a job together; nothing runs before you add it")
        self.new.setProperty("kind", "primary")
        self.field.setPlaceholderText("Search titles")
        self.field.setAccessibleName("Search the titles of jobs")
        self.field.setClearButtonEnabled(True)
        row = QHBoxLayout()
        row.setSpacing(metrics.space_s)
        row.addWidget(self.filter, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(metrics.space_m, metrics.space_m, metrics.space_s, 0)
        layout.setSpacing(metrics.space_s)
        layout.addWidget(self.new)
        layout.addWidget(self.field)
        layout.addLayout(row)
        layout.addWidget(self._nothing)
        layout.addWidget(self.rows, 1)

    def _connect(self) -> None:
        self._theme.changed.connect(self._tint)
        self.new.clicked.connect(self.new_wished)
        self.filter.currentIndexChanged.connect(
            lambda _: self._queue.show(self.filter.currentData())
        )
        self.field.textChanged.connect(self._queue.search)
        self.rows.open_wished.connect(self.open_wished)
        self.rows.moved.connect(self.moved)
        self.rows.step_wished.connect(lambda job, up: self.wished.emit("up" if up else "down", job))
        self.rows.delete_wished.connect(lambda job: self.wished.emit("delete", job))
        self.rows.menu_wished.connect(self._on_menu)
        self._queue.changed.connect(self._on_changed)

    def _on_changed(self) -> None:
        queue = self._queue
        for index in range(self.filter.count()):
            name: StateFilter = self.filter.itemData(index)
            text = f"{FILTER_WORDS[name]} ({queue.count_of(name):,})"
            if self.filter.itemText(index) != text:
                self.filter.setItemText(index, text)
        words = queue.words
        self._nothing.setText(f"Nothing found for “{words}”." if words else "No jobs here.")
        self._nothing.setVisible(queue.was_read and not queue.count)

    def _on_menu(self, job: JobSummary, place: QPoint) -> None:
        self.make_menu(job).popup(place)

    def _tint(self) -> None:
        self.new.setIcon(self._theme.icon("plus", self._theme.palette.on_accent))
