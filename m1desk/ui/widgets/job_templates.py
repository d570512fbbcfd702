"""The list of templates beside a new job: choose, import, export, delete."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from m1desk.ui.viewmodels.jobs_words import KINDS
from m1desk.ui.widgets.buttons import IconButton
from m1desk.ui.widgets.confirm import confirm
from m1desk.ui.widgets.label import Label, Paragraph
from m1desk.ui.widgets.plain_tip import plain_tip

if TYPE_CHECKING:
    from m1desk.errors import M1DeskError
    from m1desk.jobs.templates import TemplateProblem
    from m1desk.jobs.values import JobTemplate
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.jobs_new import NewJobViewModel

_NONE: Final = "Your own questions"
_NONE_TEXT: Final = "Begin with an empty list of questions."
_FILTER: Final = "Templates (*.json)"
_ROLE: Final = Qt.ItemDataRole.UserRole


class JobTemplates(QFrame):
    """Shows the view model's templates.

    Signals:
        chosen: the JobTemplate to begin from, None for an empty job.
    """

    chosen = Signal(object)

    def __init__(self, theme: Theme, model: NewJobViewModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._model = model
        self._wanted = ""
        self._failure: M1DeskError | None = None
        self.setProperty("panel", True)
        self.list = QListWidget()
        self._text = Paragraph(tone="caption")
        self._problem = Paragraph(tone="danger")
        self._import = QPushButton("Import…")
        self.export = IconButton(theme, "export", "Write this template to a file…")
        self.delete = IconButton(theme, "trash", "Delete this template…")
        self._lay_out()
        self._connect()
        self._fill(model.templates)

    @property
    def template(self) -> JobTemplate | None:
        """The template that is chosen."""
        item = self.list.currentItem()
        found: JobTemplate | None = None if item is None else item.data(_ROLE)
        return found

    @property
    def problem_text(self) -> str:
        """What is wrong with a template, or with files that should be some; "" for nothing."""
        return "" if self._problem.isHidden() else self._problem.text()

    def choose(self, name: str) -> None:
        """Choose a template by its name, now or when it has been read."""
        self._wanted = name
        for row in range(self.list.count()):
            item = self.list.item(row)
            template: JobTemplate | None = item.data(_ROLE)
            if template is not None and template.name == name:
                self._wanted = ""
                self.list.setCurrentItem(item)

    def _lay_out(self) -> None:
        metrics = self._theme.metrics
        title = Label("Templates", tone="strong")
        self.list.setAccessibleName("Templates")
        self.list.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._import.setAutoDefault(False)
        row = QHBoxLayout()
        row.setSpacing(metrics.space_xs)
        row.addWidget(self._import, 1)
        row.addWidget(self.export)
        row.addWidget(self.delete)
        layout = QVBoxLayout(self)
        space = metrics.space_m
        layout.setContentsMargins(space, space, space, space)
        layout.setSpacing(metrics.space_s)
        layout.addWidget(title)
        layout.addWidget(self.list, 1)
        layout.addWidget(self._text)
        layout.addWidget(self._problem)
        layout.addLayout(row)

    def _connect(self) -> None:
        self.list.currentItemChanged.connect(lambda _new, _old: self._on_current())
        self._model.templates_changed.connect(self._fill)
        self._model.template_failed.connect(self._on_failed)
        self._model.template_saved.connect(lambda template: self.choose(template.name))
        self._import.clicked.connect(self._on_import)
        self.export.clicked.connect(self._on_export)
        self.delete.clicked.connect(self._on_delete)

    def _fill(self, templates: tuple[JobTemplate, ...]) -> None:
        """Show the templates, and keep the one that is chosen without telling it again."""
        before = self.template
        wanted = self._wanted or (before.name if before is not None else "")
        self.list.blockSignals(True)
        self.list.clear()
        for template in (None, *templates):
            item = QListWidgetItem(_NONE if template is None else template.title)
            item.setData(_ROLE, template)
            item.setToolTip(plain_tip(_describe(template)))
            self.list.addItem(item)
            if template is not None and template.name == wanted:
                self.list.setCurrentItem(item)
        if self.list.currentItem() is None:
            self.list.setCurrentRow(0)
        self.list.blockSignals(False)
        self._show_template()
        self._show_problem()
        if self._wanted and self.template is not None:
            self._wanted = ""
            self.chosen.emit(self.template)

    def _on_failed(self, error: M1DeskError) -> None:
        self._failure = error
        self._show_problem()

    def _show_problem(self) -> None:
        """Say what failed, until something else is chosen, or which files are no templates."""
        error, problems = self._failure, self._model.problems
        if error is not None:
            text, details = error.what, " ".join(one for one in (error.why, error.todo) if one)
        else:
            text, details = _problems_text(problems), _problem_details(problems)
        self._problem.setText(text)
        self._problem.setToolTip(plain_tip(details))
        self._problem.setVisible(bool(text))

    def _on_current(self) -> None:
        self._failure = None
        self._show_problem()
        self._show_template()
        self.chosen.emit(self.template)

    def _show_template(self) -> None:
        template = self.template
        self._text.setText(_describe(template))
        self.export.setEnabled(template is not None)
        is_own = template is not None and template.is_own
        self.delete.setEnabled(is_own)
        name = "Delete this template…" if is_own else "Templates of the program stay"
        self.delete.setToolTip(name if template is not None else "There is nothing to delete")

    def _on_import(self) -> None:
        dialog = self._dialog("Import a template")
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(lambda path: self._model.import_file(Path(path)))
        dialog.open()

    def _on_export(self) -> None:
        template = self.template
        if template is None:
            return
        dialog = self._dialog("Export the template")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix("json")
        dialog.selectFile(f"{template.name}.json")
        dialog.fileSelected.connect(lambda path: self._model.export_file(template.name, Path(path)))
        dialog.open()

    def _on_delete(self) -> None:
        template = self.template
        if template is not None:
            confirm(
                self,
                f"Delete the template “{template.title}”?",
                "Jobs that were made from it stay. This can't be undone.",
                "Delete",
                lambda: self._model.delete(template.name),
            )

    def _dialog(self, title: str) -> QFileDialog:
        dialog = QFileDialog(self, title)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setNameFilter(_FILTER)
        return dialog


def _problems_text(problems: tuple[TemplateProblem, ...]) -> str:
    if not problems:
        return ""
    if len(problems) == 1:
        return f"{problems[0].path.name} can't be used as a template"
    return f"{len(problems):,} files can't be used as templates"


def _problem_details(problems: tuple[TemplateProblem, ...]) -> str:
    lines = (
        " ".join(part for part in (one.problem.what, one.problem.why, one.problem.todo) if part)
        for one in problems
    )
    return "\n\n".join(lines)


def _describe(template: JobTemplate | None) -> str:
    if template is None:
        return _NONE_TEXT
    whose = " Your own." if template.is_own else ""
    return f"{KINDS[template.kind]}. {template.description}{whose}"
