"""The middle of the Documents page: a set with its budget and files, and the questions about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QToolButton, QVBoxLayout, QWidget

from m1desk.ui.units import short_count
from m1desk.ui.viewmodels.document_times import predict_all
from m1desk.ui.widgets.budget_bar import BudgetBar
from m1desk.ui.widgets.buttons import IconButton
from m1desk.ui.widgets.composer import Composer
from m1desk.ui.widgets.document_files import DocumentTable
from m1desk.ui.widgets.document_fit import FitChoices, PassesChoice
from m1desk.ui.widgets.document_preparing import PrepareButton, PreparingProgress
from m1desk.ui.widgets.document_reading import FilesProgress
from m1desk.ui.widgets.document_receipt import range_text
from m1desk.ui.widgets.document_report import DocumentReport
from m1desk.ui.widgets.document_sets import figures_text
from m1desk.ui.widgets.document_thread import DocumentThread
from m1desk.ui.widgets.document_words import count_text
from m1desk.ui.widgets.server_strip import ServerStrip

if TYPE_CHECKING:
    from PySide6.QtGui import QResizeEvent

    from m1desk.documents import AskedQuestion, SetFile
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.document_files import FilesBeingRead
    from m1desk.ui.viewmodels.document_times import Outlook, PredictedTimes
    from m1desk.ui.viewmodels.documents import DocumentsViewModel

_HEADER: Final = 32
_REPORT: Final = 132
_REPORT_LOW: Final = 96
_LOW: Final = 560
"""Below this height of the page the report of a file takes room from the list."""
_LOW_WITH_CHOICES: Final = 680
"""Likewise, while the choices of documents that do not fit are shown: the files fold."""
_ROWS_ASKED: Final = 4
_ROWS_UNASKED: Final = 8
_LEAST_ROWS: Final = 2
_NARROW: Final = 620
"""Below this width the row of files says less."""
_FILES_SHARE: Final = 0.32
"""Of the page's height that the list of files may take."""

_PLACEHOLDER: Final = "Ask about these documents. Enter sends, Shift+Enter starts a new line."
_SENT: Final = (
    "The documents go there whole with each question, and not before: token counts are estimates."
)
_HINT: Final = (
    "Ask what these documents say. The model reads them whole, and every quote in its answer is "
    "looked up in the pages."
)


class DocumentSetView(QWidget):
    """Shows the open set; `outlook` tells beforehand what the loaded model takes.

    Signals:
        files_wished, folder_wished: the person wants to choose files, or a folder.
        open_wished: the SetFile is to be opened in the viewer.
        remove_wished: ids (list of int) of files to be taken out of the set.
        context_wished: context length (int, tokens) with which the model is to be loaded.
        model_wished: another model is to be chosen.
        prepared_wished: what is prepared is to be shown.
        job_wished: the question (str, may be empty) is to be asked in a job.
    """

    files_wished = Signal()
    folder_wished = Signal()
    open_wished = Signal(object)
    remove_wished = Signal(object)
    context_wished = Signal(object)
    model_wished = Signal()
    prepared_wished = Signal()
    job_wished = Signal(str)

    def __init__(
        self,
        theme: Theme,
        documents: DocumentsViewModel,
        outlook: Outlook,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._theme = theme
        self._documents = documents
        self._outlook = outlook
        self._predicted: PredictedTimes | None = None
        self._files_open = True
        self._files_insisted = False  # opened by hand, whatever else needs the room
        self._fold_texts = "", ""
        self.bar = BudgetBar(theme)
        self.fit = FitChoices(theme)
        self.table = DocumentTable(theme, documents)
        self.report = DocumentReport(theme)
        self.progress = FilesProgress(theme)
        self.prepare = PrepareButton(theme)
        self.preparing = PreparingProgress(theme)
        self.questions = DocumentThread(theme)
        self.composer = Composer(theme)
        self.server_strip = ServerStrip(theme, _SENT)
        self.job = IconButton(theme, "jobs", "Add as job…")
        self._fold = QToolButton()
        self._files_box = QWidget()
        self._lay_out()
        self._connect_parts()
        self._connect_model()
        self.setFocusProxy(self.composer)
        self._on_files()
        self._on_reading(documents.files.reading)

    # -- for the page ------------------------------------------------------------------------------

    @property
    def predicted(self) -> PredictedTimes | None:
        """The predicted times of the next question, None when nothing can be said."""
        return self._predicted

    @property
    def shows_files(self) -> bool:
        """Whether the list of files is open."""
        return self._files_open

    def show_files(self, *, shown: bool) -> None:
        """Open or fold the list of files."""
        self._files_open, self._files_insisted = shown, False
        self._fit_files()

    def show_outlook(self) -> None:
        """Say what the next question takes; call it when `outlook` knows more."""
        documents = self._documents
        budget, length = documents.budget.budget, documents.usual_length
        readings = documents.readings
        times = predict_all(self._outlook, readings, length.tokens)
        fits = budget is not None and budget.fits
        self._predicted = None if documents.reason else times
        self._show_times(sum(one.read_tokens for one in readings))
        self.prepare.show_state(
            documents.prepared_state,
            can_prepare=documents.can_prepare,
            refusal=documents.no_preparing,
            seconds=times.first_token if times and fits else None,
        )
        if budget is not None and not fits:
            wished, passes = documents.wished_context, documents.passes
            self.fit.show_context(wished, self._outlook.refuse_context(wished))
            self.fit.show_passes(
                PassesChoice(
                    count=len(passes.passes or ()),
                    problem=passes.problem,
                    total_seconds=times.total if times else None,
                    answer_tokens=length.tokens,
                    is_chosen=documents.in_passes,
                )
            )

    def _show_times(self, tokens: int) -> None:
        times, length = self._predicted, self._documents.usual_length
        if times is None:
            self.composer.set_note("")
            return
        first, total = range_text(times.first_token), range_text(times.total)
        if self._documents.in_passes:
            passes = len(self._documents.passes.passes or ())
            said = f"{count_text(passes, 'pass', 'passes')} in {total}"
        else:
            whole = "all" if self.width() < _NARROW else f"{length.tokens:,} tokens"
            said = f"First token in {first}, {whole} in {total}"
        self.composer.set_note(
            said,
            f"{tokens:,} tokens have to be read for this question: the first token of an answer "
            f"comes in {first}. {length.words} Predicted from this computer and this model; the "
            "real times are shown with the answer.",
        )

    # -- making ------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        metrics = self._theme.metrics
        side = metrics.space_l
        top = QVBoxLayout()
        top.setContentsMargins(side, metrics.space_s, side, metrics.space_s)
        top.setSpacing(metrics.space_s)
        top.addWidget(self.bar)
        top.addWidget(self.fit)
        top.addWidget(self.progress)
        top.addWidget(self.preparing)
        top.addLayout(self._files_row())
        inner = QVBoxLayout(self._files_box)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.setSpacing(metrics.space_s)
        inner.addWidget(self.table)
        inner.addWidget(self.report)
        top.addWidget(self._files_box)
        self.fit.hide()
        self.progress.hide()
        self.preparing.hide()
        self.prepare.hide()
        self.report.hide()
        self.composer.set_placeholder(_PLACEHOLDER)
        self.composer.field.setAccessibleName("Question about the documents")
        self.composer.add_button(self.job)
        self.questions.set_hint(_HINT)
        bottom = QHBoxLayout()
        bottom.setContentsMargins(side, 0, side, side)
        self.composer.setMaximumWidth(metrics.text_column + 2 * side)
        asking = QVBoxLayout()
        asking.setSpacing(0)
        asking.addWidget(self.server_strip)
        asking.addWidget(self.composer)
        bottom.addStretch(1)
        bottom.addLayout(asking, 1000)
        bottom.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(top)
        layout.addWidget(self.questions, 1)
        layout.addLayout(bottom)

    def _files_row(self) -> QHBoxLayout:
        self._fold.setProperty("kind", "ghost")
        self._fold.setProperty("flush", True)
        self._fold.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._fold.setIconSize(QSize(14, 14))
        files, folder = QPushButton("Add files…"), QPushButton("Add folder…")
        files.clicked.connect(self.files_wished)
        folder.clicked.connect(self.folder_wished)
        row = QHBoxLayout()
        row.setSpacing(self._theme.metrics.space_s)
        row.addWidget(self._fold)
        row.addStretch(1)
        row.addWidget(self.prepare)
        row.addWidget(files)
        row.addWidget(folder)
        return row

    def _connect_parts(self) -> None:
        self._fold.clicked.connect(self._on_fold)
        self._theme.changed.connect(self._fit_files)
        self.bar.document_clicked.connect(self._on_segment)
        self.fit.context_wished.connect(self.context_wished)
        self.fit.model_wished.connect(self.model_wished)
        self.fit.leave_out_wished.connect(self._on_leave_out)
        self.fit.passes_wished.connect(self._on_passes_wished)
        self.prepare.prepare_wished.connect(self._documents.prepare)
        self.prepare.list_wished.connect(self.prepared_wished)
        self.preparing.stop_wished.connect(self._documents.stop_preparing)
        self.progress.cancel_wished.connect(self._documents.files.cancel_reading)
        self.table.chosen.connect(self._on_chosen)
        self.table.open_wished.connect(self.open_wished)
        self.table.remove_wished.connect(self.remove_wished)
        self.report.open_wished.connect(self.open_wished)
        self.report.close_wished.connect(self.table.clearSelection)
        self.report.close_wished.connect(lambda: self._on_chosen(None))
        self.composer.sent.connect(self._on_sent)
        self.composer.stop_wished.connect(self._documents.questions.stop)
        self.job.clicked.connect(lambda: self.job_wished.emit(self.composer.text.strip()))
        self.composer.field.textChanged.connect(
            lambda: self._documents.budget.set_question(self.composer.text)
        )

    def _connect_model(self) -> None:
        documents, questions = self._documents, self._documents.questions
        documents.files.opened.connect(lambda _: self._on_opened())
        documents.files.files_changed.connect(self._on_files)
        documents.files.reading_changed.connect(self._on_reading)
        documents.budget.changed.connect(self._on_budget)
        documents.outlook_changed.connect(self.show_outlook)
        documents.preparing.changed.connect(self._on_preparing)
        documents.reason_changed.connect(self.composer.set_reason)
        questions.reset.connect(self._on_questions)
        questions.added.connect(self._on_added)
        questions.changed.connect(self.questions.replace)
        questions.removed.connect(self.questions.remove)
        questions.fed.connect(self.questions.feed)
        questions.reading.connect(self.questions.show_reading)
        questions.passing.connect(self.questions.show_pass)
        questions.asking_changed.connect(self.composer.set_answering)
        questions.asking_changed.connect(lambda _: self._show_fit())

    # -- files -------------------------------------------------------------------------------------

    def _on_opened(self) -> None:
        self.composer.set_text("")
        self.show_files(shown=True)
        self._on_reading(self._documents.files.reading)
        self._on_preparing()

    def _on_files(self) -> None:
        files = self._documents.files.files
        left_out = sum(one.document is not None and not one.included for one in files)
        unread = sum(one.document is None for one in files)
        self.job.setEnabled(bool(self._documents.files.used_files))
        parts = [f"{left_out:,} left out"] if left_out else []
        parts += [f"{unread:,} without text"] if unread else []
        self._fold_texts = f"Files ({len(files):,})", " · ".join(parts)
        self._on_budget()
        self._fit_files()

    def _on_chosen(self, file: SetFile | None) -> None:
        self.report.setVisible(file is not None)
        if file is not None:
            self.report.show_file(file)
        self._fit_files()

    def _on_segment(self, name: str) -> None:
        self.show_files(shown=True)
        self.table.select(name)

    def _on_fold(self) -> None:
        self._files_open = self._files_insisted = self._files_box.isHidden()
        self._fit_files()

    def _on_leave_out(self) -> None:
        self._files_open = self._files_insisted = True
        self._fit_files()
        self.table.setFocus()
        if not self.table.currentIndex().isValid() and self._documents.files.files:
            self.table.select(self._documents.files.files[0].report.name)

    def _on_reading(self, reading: FilesBeingRead | None) -> None:
        is_ours = reading is not None and reading.set_id == self._documents.files.set_id
        self.progress.setVisible(is_ours)
        if reading is not None and is_ours:
            self.progress.show_reading(reading)
        self.composer.set_reason(self._documents.reason)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Give the list of files its share of the height."""
        super().resizeEvent(event)
        self._show_fit()
        self.show_outlook()

    def _fit_files(self) -> None:
        is_low = self.height() < _LOW
        gives_way = self.height() < _LOW_WITH_CHOICES and not self.fit.isHidden()
        is_open = self._files_open and (self._files_insisted or not gives_way)
        is_narrow = self.width() < _NARROW
        head, rest = self._fold_texts
        self._fold.setText(head if is_narrow or not rest else f"{head} · {rest}")
        self._fold.setToolTip(rest)
        self.prepare.set_narrow(narrow=is_narrow)
        self._fold.setIcon(self._theme.icon("chevron-down" if is_open else "chevron-right"))
        self._files_box.setVisible(is_open and bool(self._documents.files.files))
        asked = bool(self._documents.questions.questions)
        most = _ROWS_ASKED if asked else _ROWS_UNASKED
        self.report.setFixedHeight(_REPORT_LOW if is_low else _REPORT)
        taken = _HEADER + (_REPORT_LOW if is_low and not self.report.isHidden() else 0)
        room = int((self.height() * _FILES_SHARE - taken) / self.table.row_height())
        rows = min(len(self._documents.files.files), most, max(_LEAST_ROWS, room))
        self.table.setFixedHeight(_HEADER + rows * self.table.row_height() + 2)

    # -- the budget and the question ---------------------------------------------------------------

    def _on_budget(self) -> None:
        documents = self._documents
        budget = documents.budget.budget
        exact = documents.budget.is_exact and not documents.budget.is_estimate
        self.bar.show_budget(budget, exact=exact, note=self._figures())
        self._show_fit()
        gauge = self.composer.gauge
        gauge.setVisible(budget is not None)
        if budget is not None:
            self.fit.show_budget(budget)
            gauge.set_total(budget.context_tokens)
            gauge.set_conversation(budget.prompt_tokens, exact=exact)
        self.bar.updateGeometry()
        self.show_outlook()

    def _show_fit(self) -> None:
        """Offer what helps where the documents do not fit, while nothing is being answered."""
        budget, questions = self._documents.budget.budget, self._documents.questions
        self.fit.set_brief(brief=self.height() < _LOW_WITH_CHOICES)
        self.fit.setVisible(budget is not None and not budget.fits and not questions.is_asking)
        self._fit_files()

    def _on_preparing(self) -> None:
        reading = self._documents.preparing.reading(self._documents.files.set_id)
        self.preparing.setVisible(reading is not None)
        if reading is not None:
            self.preparing.show_reading(reading)
        self.show_outlook()

    def _on_passes_wished(self, wanted: bool) -> None:  # noqa: FBT001 - a slot
        self._documents.set_in_passes(wanted=wanted)
        self.composer.setFocus()

    def _figures(self) -> str:
        """What is known of the documents while no model can count them."""
        used = self._documents.files.used_files
        if not used:
            info = self._documents.files.info
            return figures_text(info) if info is not None and info.files else ""
        pages = sum(len(one.document.pages) for one in used if one.document)
        characters = sum(one.report.characters for one in used)
        return (
            f"{count_text(pages, 'page')} · {short_count(characters)} characters · tokens are "
            "counted when a model is loaded"
        )

    def _on_sent(self, question: str) -> None:
        self._documents.ask(question, self._predicted)

    def _on_added(self, question: AskedQuestion) -> None:
        if self._documents.in_passes:  # the choices take the room of the files
            self.show_files(shown=False)
        self.questions.add(question)

    def _on_questions(self, questions: tuple[AskedQuestion, ...]) -> None:
        self.questions.set_questions(questions)
        self.show_files(shown=not questions)
