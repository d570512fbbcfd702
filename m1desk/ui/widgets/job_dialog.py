"""The dialog that puts a job together, and says what it will take before it is added."""

from __future__ import annotations

from textwrap import shorten
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QDialog,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from m1desk.jobs.templates import name_for
from m1desk.jobs.values import Corpus, JobQuestion, JobSpec, JobTemplate
from m1desk.ui.theme import set_look
from m1desk.ui.viewmodels.jobs_new import WITHOUT_DOCUMENTS, missing
from m1desk.ui.viewmodels.jobs_words import KIND_MEANINGS, KINDS, estimate_text
from m1desk.ui.widgets.calm_fields import choice
from m1desk.ui.widgets.confirm import confirm
from m1desk.ui.widgets.dialog_foot import dialog_foot
from m1desk.ui.widgets.dialog_size import open_within_window
from m1desk.ui.widgets.drop_overlay import DropOverlay, dropped_documents
from m1desk.ui.widgets.elided_label import ElidedLabel
from m1desk.ui.widgets.job_conditions import JobEngineCard, JobLimitsCard, JobScheduleCard
from m1desk.ui.widgets.job_documents import JobDocuments
from m1desk.ui.widgets.job_questions import JobQuestions
from m1desk.ui.widgets.job_templates import JobTemplates
from m1desk.ui.widgets.label import Label
from m1desk.ui.widgets.separator import separator
from m1desk.ui.widgets.settings_card import SettingsCard, scrolled_cards

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from PySide6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDropEvent

    from m1desk.documents import DocumentSet
    from m1desk.errors import M1DeskError
    from m1desk.jobs.values import JobEstimate, JobKind
    from m1desk.store import AppSettings
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.jobs_new import NewJobViewModel
    from m1desk.ui.viewmodels.model_entries import ModelEntry

_SIZE: Final = (940, 720)
_TEMPLATES: Final = 228
_TITLE: Final = 60
"""Characters of a question that make a title."""
_ESTIMATING: Final = "Estimating…"
_NO_ESTIMATE: Final = "No estimate"


class NewJobDialog(QDialog):
    """Begins empty, from another job, or with files; what is chosen goes to the view model.

    Signals:
        added: id (int) of the job that was added; the dialog has closed.
    """

    added = Signal(object)

    def __init__(
        self,
        theme: Theme,
        model: NewJobViewModel,
        *,
        sets: tuple[DocumentSet, ...],
        models: Iterable[ModelEntry],
        defaults: AppSettings,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._theme = theme
        self._model = model
        self._base: JobSpec | None = None
        self._own_title = False
        self._adding = False
        self.setWindowTitle("New job")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setAcceptDrops(True)
        self.templates = JobTemplates(theme, model)
        self.title = QLineEdit()
        self.kind = choice("Kind of job", KINDS.items())
        self._meaning = Label(tone="caption", wraps=True)
        self.questions = JobQuestions(theme)
        self.documents = JobDocuments(theme, sets)
        self.engine = JobEngineCard(theme, models, model.servers, defaults)
        self.schedule = JobScheduleCard(theme)
        self.limits = JobLimitsCard(theme)
        self.save = QPushButton("Save as template")
        self.add = QPushButton("Add job")
        self._estimate = ElidedLabel(tone="strong")
        self._why = Label(tone="caption", wraps=True)
        self._overlay = DropOverlay(theme, self, "Drop to read in this job")
        self._cards = self._make_cards()
        self._lay_out()
        self._connect()
        self.questions.set_questions(())
        self._on_changed()

    # -- what is put together ----------------------------------------------------------------------

    @property
    def spec(self) -> JobSpec:
        """The job as it stands in the dialog."""
        kind = self.kind.currentData()
        template = self.templates.template
        return JobSpec(
            title=" ".join(self.title.text().split()),
            kind=kind,
            questions=() if kind == "benchmark" else self.questions.questions,
            corpus=Corpus() if kind in WITHOUT_DOCUMENTS else self.documents.corpus,
            engine=self.engine.engine,
            schedule=self.schedule.schedule,
            priority=self.schedule.priority.currentData(),
            retry=self.limits.retry,
            sampling=self.limits.sampling,
            template=template.name if template is not None else "",
        )

    @property
    def estimate_text(self) -> str:
        """What is said about what the job will take."""
        return f"{self._estimate.whole_text} {self._why.text()}".strip()

    def begin_with(self, spec: JobSpec) -> None:
        """Show another job, to be changed and added as a new one."""
        self._own_title = True
        if spec.template:
            self.templates.list.blockSignals(True)
            self.templates.choose(spec.template)
            self.templates.list.blockSignals(False)
        self.title.setText(spec.title)
        self.kind.setCurrentIndex(self.kind.findData(spec.kind))
        self.questions.set_questions(spec.questions)
        self.documents.set_corpus(spec.corpus)
        self.engine.set_engine(spec.engine)
        self.schedule.set_schedule(spec.schedule, spec.priority)
        self.limits.set_limits(spec)
        self._on_changed()

    def begin_with_files(self, paths: Iterable[Path]) -> None:
        """Read these files and folders."""
        self.documents.add(paths)

    def begin_with_set(self, set_id: int, question: str, kind: JobKind) -> None:
        """Read the documents of a set, and ask this question unless it is empty."""
        self.kind.setCurrentIndex(self.kind.findData(kind))
        self.documents.set_corpus(Corpus(set_id=set_id))
        if question:
            self.questions.set_questions((JobQuestion("", question),))
            self._show_title()

    # -- Qt ----------------------------------------------------------------------------------------

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take documents."""
        if dropped_documents(event.mimeData()):
            event.acceptProposedAction()
            self._overlay.cover()

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        """Take the veil away."""
        super().dragLeaveEvent(event)
        self._overlay.hide()

    def dropEvent(self, event: QDropEvent) -> None:
        """Add what was dropped."""
        self._overlay.hide()
        event.acceptProposedAction()
        self.documents.add(dropped_documents(event.mimeData()))

    def done(self, result: int) -> None:
        """Estimate nothing more."""
        self._model.stop()
        super().done(result)

    # -- making ------------------------------------------------------------------------------------

    def _make_cards(self) -> list[SettingsCard]:
        theme = self._theme
        what = SettingsCard(theme, "What to ask")
        self.title.setPlaceholderText("Title")
        self.title.setAccessibleName("Title of the job")
        self.kind.setFixedWidth(200)
        head = QWidget()
        row = QHBoxLayout(head)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(theme.metrics.space_s)
        row.addWidget(self.title, 1)
        row.addWidget(self.kind)
        for widget in (head, self._meaning, self.questions):
            what.add_widget(widget)
        documents = SettingsCard(theme, "Documents")
        documents.add_widget(self.documents)
        self._documents_card = documents
        return [what, documents, self.engine, self.schedule, self.limits]

    def _lay_out(self) -> None:
        self.templates.setFixedWidth(_TEMPLATES)
        top = QHBoxLayout()
        top.setSpacing(0)
        top.addWidget(self.templates)
        top.addWidget(separator(vertical=True))
        top.addWidget(scrolled_cards(self._theme, self._cards), 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(top, 1)
        layout.addWidget(separator())
        layout.addLayout(dialog_foot(self._theme, self, self._saying(), self.add, self.save))
        open_within_window(self, *_SIZE)

    def _saying(self) -> QWidget:
        """The estimate, and below it why the job can't be added."""
        saying = QWidget()
        texts = QVBoxLayout(saying)
        texts.setContentsMargins(0, 0, 0, 0)
        texts.setSpacing(2)
        texts.addWidget(self._estimate)
        texts.addWidget(self._why)
        return saying

    def _connect(self) -> None:
        self.templates.chosen.connect(self._on_template)
        self.title.textEdited.connect(self._on_title_edited)
        self.title.textChanged.connect(lambda _: self._on_changed())
        self.kind.currentIndexChanged.connect(lambda _: self._on_changed())
        self.documents.changed.connect(self._on_documents)
        for part in (self.questions, self.engine, self.schedule, self.limits):
            part.changed.connect(self._on_changed)
        self.save.clicked.connect(self._on_save)
        self.add.clicked.connect(self._on_add)
        self._model.servers_changed.connect(self.engine.set_servers)
        self._model.estimated.connect(self._on_estimated)
        self._model.failed.connect(self._on_failed)
        self._model.not_added.connect(self._on_not_added)
        self._model.added.connect(self._on_added)

    # -- what happens ------------------------------------------------------------------------------

    def _on_template(self, template: JobTemplate | None) -> None:
        if template is not None:
            self.kind.setCurrentIndex(self.kind.findData(template.kind))
        self.questions.set_questions(template.questions if template is not None else ())
        self._show_title()

    def _on_title_edited(self) -> None:
        self._own_title = bool(self.title.text().strip())

    def _show_title(self) -> None:
        """Make a title of the template and the documents, until the person has written one."""
        if self._own_title:
            return
        template, questions = self.templates.template, self.questions.questions
        what = shorten(questions[0].text, _TITLE, placeholder="…") if questions else ""
        files = self.documents.corpus.files
        parts = [template.title if template is not None else what, files[0].stem if files else ""]
        self.title.setText(": ".join(part for part in parts if part))

    def _on_documents(self) -> None:
        self._show_title()
        self._on_changed()

    def _on_changed(self) -> None:
        kind = self.kind.currentData()
        self._meaning.setText(KIND_MEANINGS[kind])
        self._documents_card.setVisible(kind not in WITHOUT_DOCUMENTS)
        self.questions.setVisible(kind != "benchmark")
        spec = self.spec
        reason = missing(spec)
        self.add.setEnabled(not reason and not self._adding)
        self.add.setToolTip(reason)
        self.add.setAccessibleDescription(reason)
        no_template = "" if spec.questions and spec.title else "Give it a title and a question"
        self.save.setEnabled(not no_template)
        self.save.setToolTip(no_template or "Keep the questions for further jobs")
        if reason:
            self._model.stop()
            self._say(reason, "", "muted")
        else:
            self._say(_ESTIMATING, "", "muted")
            self._model.estimate(spec)

    def _on_estimated(self, estimate: JobEstimate) -> None:
        text = estimate_text(estimate)
        self._say(text or _NO_ESTIMATE, estimate.why, "strong" if text else "muted")

    def _on_failed(self, error: M1DeskError) -> None:
        self._say(error.what, " ".join(part for part in (error.why, error.todo) if part), "danger")

    def _say(self, what: str, why: str, tone: str) -> None:
        self._estimate.set_text(what)
        set_look(self._estimate, "tone", tone)
        self._why.setText(why)
        self._why.setVisible(bool(why))

    def _on_save(self) -> None:
        spec, chosen = self.spec, self.templates.template
        template = JobTemplate(
            name=name_for(spec.title),
            title=spec.title,
            description=chosen.description if chosen is not None else KIND_MEANINGS[spec.kind],
            kind=spec.kind,
            questions=spec.questions,
        )
        taken = [one for one in self._model.templates if one.name == template.name and one.is_own]
        if not taken:
            self._model.save(template)
            return
        confirm(
            self,
            f"Replace your template “{taken[0].title}”?",
            "There is one of this name already.",
            "Replace",
            lambda: self._model.save(template),
        )

    def _on_add(self) -> None:
        spec = self.spec
        if missing(spec) or self._adding:
            return
        self._adding = True
        self.add.setEnabled(False)
        self._model.add(spec)

    def _on_not_added(self, error: M1DeskError) -> None:
        self._adding = False
        self._on_changed()
        self._on_failed(error)

    def _on_added(self, job_id: int) -> None:
        if self._adding:
            self._adding = False
            self.accept()
            self.added.emit(job_id)
