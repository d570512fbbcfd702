"""The dialog for a new job: templates, what is missing, documents, conditions, the estimate."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import job_samples
import pytest
from naming import unnamed_controls
from PySide6.QtCore import QTime
from PySide6.QtWidgets import QMessageBox
from shiboken6 import isValid

from m1desk.documents import DocumentSets
from m1desk.engines import LlamaSettings, ProfileStore, ServerProfile
from m1desk.engines.turn import SamplingParameters
from m1desk.errors import StorageError
from m1desk.jobs.control import JobControl
from m1desk.jobs.servers import JobServers
from m1desk.jobs.store import JobStore
from m1desk.jobs.templates import TemplateShelf
from m1desk.jobs.values import (
    Corpus,
    EngineChoice,
    JobQuestion,
    JobSpec,
    RetryPolicy,
    Schedule,
)
from m1desk.store import AppSettings, Database, Folders, resource_folder
from m1desk.ui.viewmodels.jobs_new import NewJobViewModel, missing, next_moment, question_name
from m1desk.ui.widgets.job_dialog import NewJobDialog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytestqt.qtbot import QtBot

    from m1desk.jobs.values import JobEstimate
    from m1desk.ui.bridge import Bridge
    from m1desk.ui.theme import Theme

WAIT = 30_000


class RefusingControl(JobControl):
    """A control whose disk is full."""

    async def add(self, spec: JobSpec, estimate: JobEstimate) -> int:
        raise StorageError("The database can't be written.", "The disk is full.")


class Desk:
    """A dialog over real templates, documents and jobs."""

    def __init__(self, theme: Theme, bridge: Bridge, folder: Path, control: type) -> None:
        self.theme = theme
        self.database = Database(folder / "m1desk.sqlite3")
        self.sets = DocumentSets(self.database)
        self.set_id = job_samples.make_set(
            self.sets, "Supply contracts", [job_samples.contract(number) for number in (1, 2)]
        )
        self.store = JobStore(self.database)
        self.own = folder / "templates"
        self.dialogs: list[NewJobDialog] = []
        self.profiles = ProfileStore(self.database)
        servers = JobServers(self.profiles, Folders.under(folder))
        shelf = TemplateShelf(resource_folder() / "templates", self.own)
        self.model = NewJobViewModel(
            bridge,
            shelf,
            control(
                self.store,
                self.sets,
                servers,
                lambda _: None,
                emit=bridge.post,
                wake=lambda: None,
            ),
            servers.names,
        )

    def open(self, qtbot: QtBot) -> NewJobDialog:
        with qtbot.waitSignal(self.model.templates_changed, timeout=WAIT):
            self.model.refresh()
        dialog = NewJobDialog(
            self.theme, self.model, sets=self.sets.all(), models=(), defaults=AppSettings()
        )
        dialog.open()
        self.dialogs.append(dialog)
        return dialog


@pytest.fixture
def make(theme: Theme, bridge: Bridge, tmp_path: Path) -> Iterator[Callable[..., Desk]]:
    desks: list[Desk] = []

    def begin(control: type = JobControl) -> Desk:
        desks.append(Desk(theme, bridge, tmp_path, control))
        return desks[-1]

    yield begin
    bridge.stop()
    for desk in desks:
        for dialog in desk.dialogs:
            if isValid(dialog):
                dialog.close()
        desk.database.close()


def write(dialog: NewJobDialog, title: str) -> None:
    dialog.title.setText(title)
    dialog.title.textEdited.emit(title)


# -- the dialog ------------------------------------------------------------------------------------


def test_a_template_fills_the_questions_and_the_job_is_estimated_and_added(
    make: Callable[..., Desk], qtbot: QtBot
) -> None:
    desk = make()
    dialog = desk.open(qtbot)
    assert unnamed_controls(dialog) == []
    assert not dialog.add.isEnabled()
    assert dialog.add.toolTip() == "Give the job a title"
    dialog.templates.choose("contract-portfolio")
    spec = dialog.spec
    assert (spec.kind, spec.template, spec.title) == (
        "table", "contract-portfolio", "Contract portfolio",
    )  # fmt: skip
    assert len(spec.questions) >= 6
    assert spec.corpus == Corpus(set_id=desk.set_id)
    qtbot.waitUntil(lambda: "tokens to read" in dialog.estimate_text, timeout=WAIT)
    assert "guessed from the documents' characters" in dialog.estimate_text
    with qtbot.waitSignal(dialog.added, timeout=WAIT) as added:
        dialog.add.click()
    job = desk.store.job(added.args[0])
    assert job.spec == spec
    assert job.estimate.read_tokens
    qtbot.waitUntil(lambda: not isValid(dialog), timeout=WAIT)


def test_questions_are_written_named_moved_and_removed(
    make: Callable[..., Desk], qtbot: QtBot
) -> None:
    dialog = make().open(qtbot)
    questions = dialog.questions
    questions.set_questions((JobQuestion("Parties", "Who?"), JobQuestion("", "What is the term?")))
    assert [one.name for one in questions.questions] == ["Parties", "What is the"]
    questions.add.click()
    assert len(questions.questions) == 2  # an empty line is no question
    rows = questions._rows
    rows[1].up.click()
    assert [one.text for one in questions.questions] == ["What is the term?", "Who?"]
    rows[0].remove.click()
    assert [one.text for one in questions.questions] == ["Who?"]


def test_a_title_is_made_of_template_and_documents_until_one_is_written(
    make: Callable[..., Desk], qtbot: QtBot
) -> None:
    dialog = make().open(qtbot)
    dialog.templates.choose("contract-portfolio")
    dialog.begin_with_files([Path("/home/anna/second quarter")])
    assert dialog.spec.title == "Contract portfolio: second quarter"
    assert dialog.spec.corpus == Corpus(files=(Path("/home/anna/second quarter"),))
    write(dialog, "My title")
    dialog.templates.choose("discovery")
    assert dialog.spec.title == "My title"


def test_a_job_is_begun_like_another_one(make: Callable[..., Desk], qtbot: QtBot) -> None:
    desk = make()
    spec = JobSpec(
        title="Again",
        kind="questions",
        questions=(JobQuestion("Term", "What is the term?"),),
        corpus=Corpus(set_id=desk.set_id),
        schedule=Schedule(when_idle=True, on_mains=True),
        priority=1,
        retry=RetryPolicy(attempts=5, wait_seconds=60.0),
        sampling=SamplingParameters(temperature=0.2, max_tokens=900, thinking_tokens=0),
        template="contract-portfolio",
    )
    dialog = desk.open(qtbot)
    dialog.begin_with(spec)
    assert dialog.spec == spec
    gone = EngineChoice(LlamaSettings(Path("/gone.gguf")))
    dialog.begin_with(replace(spec, engine=gone, corpus=Corpus(set_id=999)))
    assert dialog.spec.engine == EngineChoice()
    assert dialog.spec.corpus == Corpus()  # and not another set
    assert dialog.add.toolTip() == "Add documents, or choose a set"


def test_a_job_is_begun_about_a_set(make: Callable[..., Desk], qtbot: QtBot) -> None:
    desk = make()
    other = job_samples.make_set(desk.sets, "Leases", [job_samples.contract(9)])
    dialog = desk.open(qtbot)
    dialog.begin_with_set(desk.set_id, "", "passes")
    assert dialog.spec.corpus == Corpus(set_id=desk.set_id)
    assert (dialog.spec.kind, dialog.spec.questions) == ("passes", ())
    dialog.begin_with_set(other, "What is the rent?", "questions")
    assert dialog.spec == JobSpec(
        title="What is the rent?",
        kind="questions",
        questions=(JobQuestion("What is the", "What is the rent?"),),
        corpus=Corpus(set_id=other),
    )


def test_a_server_is_chosen_and_one_that_lacks_its_key_keeps_the_job_from_being_added(
    make: Callable[..., Desk], qtbot: QtBot
) -> None:
    desk = make()
    desk.profiles.add(ServerProfile("lab", "http://127.0.0.1:1", wants_key=True))
    desk.profiles.add(ServerProfile("open", "http://127.0.0.1:1"))
    dialog = desk.open(qtbot)
    model = dialog.engine.model
    qtbot.waitUntil(lambda: model.findText("open (server)") >= 0, timeout=WAIT)
    dialog.begin_with_set(desk.set_id, "What is the rent?", "questions")
    model.setCurrentIndex(model.findText("lab (server)"))
    assert dialog.spec.engine == EngineChoice(server="lab")
    assert not dialog.engine.context.isEnabled()
    qtbot.waitUntil(lambda: "key of the server lab is missing" in dialog.estimate_text)
    dialog.add.click()
    with qtbot.waitSignal(desk.model.not_added, timeout=WAIT):
        pass
    assert dialog.isVisible()
    model.setCurrentIndex(model.findText("open (server)"))
    with qtbot.waitSignal(dialog.added, timeout=WAIT) as added:
        dialog.add.click()
    assert desk.store.job(added.args[0]).spec.engine == EngineChoice(server="open")


@pytest.mark.parametrize("server", ["lab", "http://127.0.0.1:1"])
def test_a_job_like_one_of_a_server_is_asked_of_it_again(
    server: str, make: Callable[..., Desk], qtbot: QtBot
) -> None:
    desk = make()
    desk.profiles.add(ServerProfile("lab", "http://127.0.0.1:1"))
    with qtbot.waitSignal(desk.model.servers_changed, timeout=WAIT):
        desk.model.refresh()
    dialog = desk.open(qtbot)
    spec = JobSpec("Again", "prompt", (QUESTION,), engine=EngineChoice(server=server))
    dialog.begin_with(spec)
    assert dialog.spec == spec


def test_a_job_like_one_of_a_server_that_is_gone_is_not_asked_of_this_machine(
    make: Callable[..., Desk], qtbot: QtBot
) -> None:
    dialog = make().open(qtbot)
    spec = JobSpec("Again", "prompt", (QUESTION,), engine=EngineChoice(server="rack"))
    dialog.begin_with(spec)
    assert dialog.spec == spec
    qtbot.waitUntil(lambda: 'no server "rack"' in dialog.estimate_text, timeout=WAIT)


def test_a_job_begins_at_a_time_of_the_day(make: Callable[..., Desk], qtbot: QtBot) -> None:
    dialog = make().open(qtbot)
    assert dialog.spec.schedule == Schedule()
    card = dialog.schedule
    card.begin.setCurrentIndex(card.begin.findData("later"))
    card.time.setTime(QTime(2, 30))
    begins = dialog.spec.schedule.not_before
    assert begins is not None
    assert 0 < begins - time.time() <= 25 * 3600
    assert time.localtime(begins)[3:5] == (2, 30)


def test_prompts_and_benchmarks_need_no_documents(make: Callable[..., Desk], qtbot: QtBot) -> None:
    dialog = make().open(qtbot)
    write(dialog, "Benchmark")
    dialog.kind.setCurrentIndex(dialog.kind.findData("benchmark"))
    assert not dialog.documents.isVisible()
    assert not dialog.questions.isVisible()
    assert dialog.spec.corpus == Corpus()
    assert dialog.add.isEnabled()
    dialog.kind.setCurrentIndex(dialog.kind.findData("prompt"))
    assert dialog.add.toolTip() == "Add a question"


def test_questions_are_kept_as_a_template_and_replaced_only_when_that_is_confirmed(
    make: Callable[..., Desk], qtbot: QtBot
) -> None:
    desk = make()
    dialog = desk.open(qtbot)
    write(dialog, "Leases")
    dialog.questions.set_questions((JobQuestion("Rent", "What is the rent?"),))
    with qtbot.waitSignal(desk.model.template_saved, timeout=WAIT):
        dialog.save.click()
    qtbot.waitUntil(lambda: "Leases" in [one.title for one in desk.model.templates], timeout=WAIT)
    assert (desk.own / "Leases.json").is_file()
    dialog.questions.set_questions((JobQuestion("Rent", "How much is the rent?"),))
    dialog.save.click()
    box: Any = dialog.findChild(QMessageBox)
    assert "Replace your template" in box.text()
    with qtbot.waitSignal(desk.model.template_saved, timeout=WAIT) as saved:
        next(b for b in box.buttons() if b.text() == "Replace").click()
    assert saved.args[0].questions[0].text == "How much is the rent?"


def test_own_templates_are_deleted_and_those_of_the_program_stay(
    make: Callable[..., Desk], tmp_path: Path, qtbot: QtBot
) -> None:
    desk = make()
    dialog = desk.open(qtbot)
    templates = dialog.templates
    templates.choose("contract-portfolio")
    assert not templates.delete.isEnabled()
    assert templates.delete.toolTip() == "Templates of the program stay"
    path = tmp_path / "mine.json"
    desk.model.export_file("contract-portfolio", path)
    qtbot.waitUntil(path.is_file, timeout=WAIT)
    desk.model.import_file(path)
    qtbot.waitUntil(lambda: templates.template is not None and templates.template.name == "mine")
    templates.delete.click()
    box: Any = templates.findChild(QMessageBox)
    next(b for b in box.buttons() if b.text() == "Delete").click()
    qtbot.waitUntil(lambda: not (desk.own / "mine.json").exists(), timeout=WAIT)
    desk.model.import_file(tmp_path / "missing.json")
    qtbot.waitUntil(lambda: "There is no file" in templates.problem_text, timeout=WAIT)


def test_a_file_with_unknown_fields_is_named_and_hides_no_template(
    make: Callable[..., Desk], qtbot: QtBot
) -> None:
    desk = make()
    desk.own.mkdir()
    (desk.own / "broken.json").write_text('{"format": 1, "colour": "red"}')
    dialog = desk.open(qtbot)
    assert dialog.templates.problem_text == "broken.json can't be used as a template"
    assert len(desk.model.templates) >= 7


def test_what_keeps_a_job_from_being_added_is_said_and_the_dialog_stays(
    make: Callable[..., Desk], qtbot: QtBot
) -> None:
    desk = make(RefusingControl)
    dialog = desk.open(qtbot)
    dialog.templates.choose("contract-portfolio")
    qtbot.waitUntil(lambda: "tokens to read" in dialog.estimate_text, timeout=WAIT)
    dialog.add.click()
    qtbot.waitUntil(lambda: "The disk is full" in dialog.estimate_text, timeout=WAIT)
    assert dialog.isVisible()
    assert dialog.add.isEnabled()


# -- without a window ------------------------------------------------------------------------------

QUESTION = JobQuestion("Term", "What is the term?")
WHOLE = JobSpec("Title", "questions", (QUESTION,), Corpus(set_id=1))


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        (WHOLE, ""),
        (replace(WHOLE, title=" "), "Give the job a title"),
        (replace(WHOLE, questions=()), "Add a question"),
        (replace(WHOLE, questions=(JobQuestion("A", " "),)), "Write the question"),
        (replace(WHOLE, questions=(QUESTION, JobQuestion("term", "Again?"))), "same name"),
        (replace(WHOLE, corpus=Corpus()), "Add documents"),
        (replace(WHOLE, kind="prompt", corpus=Corpus()), ""),
        (replace(WHOLE, kind="benchmark", questions=(), corpus=Corpus()), ""),
    ],
)
def test_what_is_missing_is_said(spec: JobSpec, reason: str) -> None:
    assert reason in missing(spec)
    assert bool(missing(spec)) == bool(reason)


def test_a_time_of_the_day_is_the_next_one_that_comes() -> None:
    noon = time.mktime((2026, 11, 20, 12, 0, 0, 0, 0, -1))
    assert next_moment(22, 15, noon) == noon + 10 * 3600 + 15 * 60
    assert next_moment(12, 0, noon) == noon + 24 * 3600
    assert next_moment(6, 0, noon) == noon + 18 * 3600


def test_a_question_gets_a_name_that_is_free() -> None:
    assert question_name("What is the notice period?", lambda _: False) == "What is the"
    assert question_name("Who?", {"Who"}.__contains__) == "Who 2"
