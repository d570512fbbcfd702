"""The Documents page: sets on the left, one of them in the middle, its text on the right."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from PySide6.QtCore import QStandardPaths, Qt, QUrl, Signal
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from m1desk.documents import first_message
from m1desk.ui.pages.documents_set import DocumentSetView
from m1desk.ui.widgets.buttons import IconButton
from m1desk.ui.widgets.confirm import confirm
from m1desk.ui.widgets.document_empty import DocumentsEmpty
from m1desk.ui.widgets.document_prepared import PreparedDialog
from m1desk.ui.widgets.document_sets import DocumentSetList, figures_text
from m1desk.ui.widgets.elided_label import ElidedLabel
from m1desk.ui.widgets.separator import separator
from m1desk.ui.widgets.viewer import Viewer

if TYPE_CHECKING:
    from PySide6.QtGui import QResizeEvent, QShowEvent

    from m1desk.documents import AskedQuestion, Citation, DocumentSet, SetFile
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.document_questions import ExportKind
    from m1desk.ui.viewmodels.document_times import Outlook
    from m1desk.ui.viewmodels.documents import DocumentsViewModel

_LIST_WIDTH: Final = 216
_VIEWER_WIDTH: Final = 420
_LEAST_VIEWER: Final = 280
_LEAST_MIDDLE: Final = 340
_GOOD_MIDDLE: Final = 440
"""Below this width of the middle the list of sets gives way."""
_WIDE: Final = 900
"""Below this width of the page the set's figures give way to its name."""
_ENDINGS: Final = {"markdown": "md", "html": "html", "json": "json"}
_CHANGED: Final = (
    "The documents were changed after this answer. The quote is shown where it stands now."
)
_GONE: Final = "The documents were changed after this answer: the quote is not in them any more."


class DocumentsPage(QWidget):
    """Puts the parts of the page together; what they ask for goes to the view model.

    Signals:
        context_wished: context length (int, tokens) with which the model is to be loaded.
        model_wished: a model is to be chosen.
        sample_wished: a set is to be made of the sample documents.
        job_wished: id of a set (int), a question (str, may be empty), and whether it is asked in
            several passes (bool): to become a job.
        failed: an exception to be shown to the person.
    """

    context_wished = Signal(object)
    model_wished = Signal()
    sample_wished = Signal()
    job_wished = Signal(object, str, bool)
    failed = Signal(object)

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
        self._folder = ""
        self.list = DocumentSetList(theme, documents.sets)
        self.set_view = DocumentSetView(theme, documents, outlook)
        self.empty = DocumentsEmpty(theme)
        self.viewer = Viewer(theme, documents.search)
        self._title = ElidedLabel("", tone="strong", mode=Qt.TextElideMode.ElideMiddle)
        self._figures = ElidedLabel("", tone="faint")
        self._list_button = IconButton(theme, "sidebar", "Show or hide the sets", checkable=True)
        self._prepared_button = IconButton(theme, "memory", "Prepared documents…")
        self._viewer_button = IconButton(theme, "file", "Show or hide the text", checkable=True)
        self._stack = QStackedWidget()
        self._splitter = QSplitter(Qt.Orientation.Horizontal)
        self._lay_out()
        self._connect_parts()
        self._connect_model()
        self._list_button.setChecked(True)
        self.show_viewer(shown=False)
        self._on_opened(documents.files.info)

    # -- for the window ----------------------------------------------------------------------------

    @property
    def shows_viewer(self) -> bool:
        """Whether the documents' text is shown."""
        return self._viewer_button.isChecked()

    def show_viewer(self, *, shown: bool) -> None:
        """Show or hide the documents' text."""
        self._viewer_button.setChecked(shown)
        self._fit_panels()
        if shown:
            self._fill_viewer()

    def stop(self) -> None:
        """End the answer about the open set."""
        self._documents.questions.stop()

    def release(self) -> None:
        """Stop what works in the background; called before the window goes away."""
        self.set_view.questions.highlighter.stop()

    # -- making ------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        metrics = self._theme.metrics
        bar = QHBoxLayout()
        bar.setContentsMargins(metrics.space_m, metrics.space_s, metrics.space_m, metrics.space_s)
        bar.setSpacing(metrics.space_s)
        bar.addWidget(self._list_button)
        bar.addWidget(self._title)
        bar.addWidget(self._figures, 1)
        bar.addWidget(self._prepared_button)
        bar.addWidget(self._viewer_button)
        self._stack.addWidget(self.empty)
        self._stack.addWidget(self.set_view)
        middle = QWidget()
        middle.setMinimumWidth(_LEAST_MIDDLE)
        column = QVBoxLayout(middle)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(bar)
        column.addWidget(separator())
        column.addWidget(self._stack, 1)
        self.list.setMinimumWidth(_LIST_WIDTH - 40)
        self.viewer.setMinimumWidth(_LEAST_VIEWER)
        for number, part in enumerate((self.list, middle, self.viewer)):
            self._splitter.addWidget(part)
            self._splitter.setCollapsible(number, False)
            self._splitter.setStretchFactor(number, 1 if part is middle else 0)
        self._splitter.setHandleWidth(1)
        self._splitter.setSizes([_LIST_WIDTH, 600, _VIEWER_WIDTH])
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._splitter)

    def _connect_parts(self) -> None:
        documents, view = self._documents, self.set_view
        self.list.new_wished.connect(lambda: documents.sets.create("New set"))
        self.list.open_wished.connect(documents.files.open)
        self.list.delete_wished.connect(self._on_delete_set)
        for part in (self.empty, view):
            part.files_wished.connect(self._on_files_wished)
            part.folder_wished.connect(self._on_folder_wished)
        self.empty.sample_wished.connect(self.sample_wished)
        view.open_wished.connect(self._on_open_file)
        view.remove_wished.connect(self._on_remove_files)
        view.context_wished.connect(self.context_wished)
        view.model_wished.connect(self.model_wished)
        view.prepared_wished.connect(self.show_prepared)
        view.job_wished.connect(self._on_job_wished)
        view.questions.citation_chosen.connect(self._on_citation)
        view.questions.passage_chosen.connect(self._on_passage)
        view.questions.wished.connect(self._on_wish)
        view.questions.link_clicked.connect(self._on_link)
        self.viewer.close_wished.connect(lambda: self.show_viewer(shown=False))
        self.viewer.documents_wished.connect(self._fill_viewer)
        self._list_button.clicked.connect(self._fit_panels)
        self._viewer_button.clicked.connect(lambda: self.show_viewer(shown=self.shows_viewer))
        self._prepared_button.clicked.connect(self.show_prepared)

    def _connect_model(self) -> None:
        documents = self._documents
        documents.files.opened.connect(self._on_opened)
        documents.files.files_changed.connect(self._show_state)
        documents.files.reading_changed.connect(lambda _: self._show_state())
        documents.files.text_changed.connect(lambda _: self._on_text())
        documents.reason_changed.connect(lambda _: self._show_server())
        documents.failed.connect(self.failed)

    # -- what the model tells ----------------------------------------------------------------------

    def _on_opened(self, info: DocumentSet | None) -> None:
        self.list.set_current(info.id if info else None)
        if info is None:
            self.show_viewer(shown=False)
        self._show_state()

    def _show_state(self) -> None:
        files = self._documents.files
        info, reading = files.info, files.reading
        self._title.set_text(info.name if info else "Documents")
        self._figures.set_text(figures_text(info) if info and info.files else "")
        is_reading = reading is not None and reading.set_id == files.set_id
        has_any = info is not None and (bool(files.files) or is_reading)
        has_any = has_any or bool(self._documents.questions.questions)
        self._stack.setCurrentWidget(self.set_view if has_any else self.empty)
        self.setFocusProxy(self.set_view if has_any else self.empty)
        has_text = bool(files.used_files)
        self._viewer_button.setEnabled(has_text or self.shows_viewer)
        name = "Show or hide the text" if has_text else "There is no text to show yet"
        self._viewer_button.set_name(name)

    def _show_server(self) -> None:
        self.empty.set_server(self._documents.status.server)

    def _on_text(self) -> None:
        if self.shows_viewer:
            self._fill_viewer()

    def _fill_viewer(self) -> None:
        self.viewer.show_documents(self._documents.files.text)

    # -- the viewer --------------------------------------------------------------------------------

    def _on_open_file(self, file: SetFile) -> None:
        if file.is_used:
            self.show_viewer(shown=True)
            self.viewer.show_page(file.report.name)

    def _on_citation(self, question_id: int, number: int) -> None:
        question = self._documents.questions.get(question_id)
        if question is None or not 1 <= number <= len(question.details.citations):
            return
        self._show_citation(question, question.details.citations[number - 1])

    def _on_passage(self, question_id: int, citation: Citation) -> None:
        question = self._documents.questions.get(question_id)
        if question is not None:
            self._show_citation(question, citation)

    def _show_citation(self, question: AskedQuestion, citation: Citation) -> None:
        self.show_viewer(shown=True)
        self._fill_viewer()
        files = self._documents.files
        if question.text_sha256 == files.text_sha256:
            self.viewer.set_note("")
            if citation.text_start >= 0:
                self.viewer.show_passage(citation.text_start, citation.text_end)
            elif not self.viewer.show_page(citation.file, citation.page):
                self.viewer.set_note("The answer names no page for this quote.")
            return
        start = files.text.text.find(citation.quote)
        if start >= 0:
            self.viewer.show_passage(start, start + len(citation.quote))
        else:
            self.viewer.show_page(citation.file, citation.page)
        self.viewer.set_note(_CHANGED if start >= 0 else _GONE)

    def _show_sent_text(self, question: AskedQuestion) -> None:
        files = self._documents.files
        if question.text_sha256 != files.text_sha256:
            self.show_viewer(shown=True)
            self.viewer.set_note(
                "The documents were changed since: this is their text now, not what was sent then."
            )
            return
        sent = first_message(files.text, question.question)
        self._viewer_button.setChecked(True)
        self._fit_panels()
        self.viewer.show_documents(files.text, sent[len(files.text.text) :])
        self.viewer.show_tail()

    # -- what the person asks ----------------------------------------------------------------------

    def _on_wish(self, question_id: int, wish: str) -> None:
        question = self._documents.questions.get(question_id)
        if question is None:
            return
        if wish == "again":
            self._ask_again(question)
        elif wish == "go_on":
            self._documents.go_on(question)
        elif wish == "sent_text":
            self._show_sent_text(question)
        elif wish == "delete":
            confirm(
                self,
                "Delete this question and its answer?",
                "This can't be undone.",
                "Delete",
                lambda: self._documents.questions.delete(question_id),
            )
        else:
            self._on_export(question, cast("ExportKind", wish))

    def _ask_again(self, question: AskedQuestion) -> None:
        if self._documents.reason or self._documents.questions.is_asking:
            self.set_view.composer.set_text(question.question)
            self.set_view.composer.setFocus()
        else:
            self._documents.ask(question.question, self.set_view.predicted)

    def _on_export(self, question: AskedQuestion, kind: ExportKind) -> None:
        ending = _ENDINGS[kind]
        dialog = self._file_dialog("Export answer")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setNameFilter(f"{kind.title() if kind == 'markdown' else kind.upper()} (*.{ending})")
        dialog.setDefaultSuffix(ending)
        dialog.selectFile(f"{_file_name(question.question)}.{ending}")
        dialog.fileSelected.connect(
            lambda path: self._documents.questions.export(question.id, kind, Path(path))
        )
        dialog.open()

    def _on_job_wished(self, question: str) -> None:
        info = self._documents.files.info
        if info is not None:
            self.job_wished.emit(info.id, question, self._documents.in_passes)

    def _on_files_wished(self) -> None:
        dialog = self._file_dialog("Add files")
        dialog.setFileMode(QFileDialog.FileMode.ExistingFiles)
        dialog.filesSelected.connect(self._on_paths)
        dialog.open()

    def _on_folder_wished(self) -> None:
        dialog = self._file_dialog("Add a folder")
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.filesSelected.connect(self._on_paths)
        dialog.open()

    def _on_paths(self, paths: list[str]) -> None:
        if paths:
            self._folder = str(Path(paths[0]).parent)
            self._documents.add([Path(path) for path in paths])

    def _on_remove_files(self, file_ids: list[int]) -> None:
        names = {one.id: one.report.name for one in self._documents.files.files}
        what = names.get(file_ids[0], "") if len(file_ids) == 1 else f"{len(file_ids):,} files"
        confirm(
            self,
            f"Remove {what} from this set?",
            "The files on disk stay.",
            "Remove",
            lambda: self._documents.files.remove(file_ids),
        )

    def _on_delete_set(self, set_id: int) -> None:
        names = {one.id: one.name for one in self._documents.sets.all}
        confirm(
            self,
            f"Delete “{names.get(set_id, 'this set')}”?",
            "Its questions and answers and what was prepared of it are deleted. The files on disk "
            "stay. This can't be undone.",
            "Delete",
            lambda: self._documents.sets.delete(set_id),
        )

    def show_prepared(self) -> None:
        """Open the panel of prepared documents."""
        names = {one.id: one.name for one in self._documents.sets.all}
        dialog = PreparedDialog(
            self._theme, self._documents.prepared, lambda i: names.get(i, ""), time.time, self
        )
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()

    def _on_link(self, address: str) -> None:
        shown = QUrl(address).toString(QUrl.ComponentFormattingOption.FullyEncoded)
        confirm(
            self,
            "Open this address in your browser?",
            f"It comes from the model:\n\n{shown}",
            "Open",
            lambda: QDesktopServices.openUrl(QUrl(address)),
            destroys=False,
        )

    def _file_dialog(self, title: str) -> QFileDialog:
        dialog = QFileDialog(self, title)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        place = QStandardPaths.StandardLocation.DocumentsLocation
        dialog.setDirectory(self._folder or QStandardPaths.writableLocation(place))
        return dialog

    # -- room --------------------------------------------------------------------------------------

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Give a narrow page's room to the set."""
        super().resizeEvent(event)
        self._fit_panels()

    def showEvent(self, event: QShowEvent) -> None:
        """Fit the panels to the size at which the page is shown."""
        super().showEvent(event)
        self._fit_panels()

    def _fit_panels(self) -> None:
        viewer = self._viewer_button.isChecked()
        wanted = _GOOD_MIDDLE + _LIST_WIDTH + (_VIEWER_WIDTH if viewer else 0)
        self.list.setVisible(self._list_button.isChecked() and self.width() >= wanted)
        self.viewer.setVisible(viewer)
        self._figures.setVisible(not viewer and self.width() >= _WIDE)


def _file_name(question: str) -> str:
    """Make a name that every system takes of a question."""
    kept = "".join(c if c.isalnum() or c in " -_" else " " for c in question)
    return " ".join(kept.split())[:60] or "answer"
