"""The Jobs page without an engine: the queue, what is done with jobs, results, quotes, export."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import job_samples
import pytest
from naming import unnamed_controls
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QMessageBox

from m1desk.documents import DocumentSets
from m1desk.engines import ProfileStore
from m1desk.errors import BadInput
from m1desk.jobs.control import JobControl
from m1desk.jobs.exports import FORMATS
from m1desk.jobs.servers import JobServers
from m1desk.jobs.store import JobStore
from m1desk.jobs.values import JobChanged, JobStepProgress
from m1desk.store import Database, Folders
from m1desk.ui.pages.jobs_page import JobsPage, ending_of
from m1desk.ui.viewmodels.document_search import TextSearchViewModel
from m1desk.ui.viewmodels.jobs import JobsViewModel
from m1desk.ui.viewmodels.jobs_queue import PAGE
from m1desk.ui.widgets.job_compare import JobCompareDialog
from m1desk.ui.widgets.job_rows import ROW

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from pytestqt.qtbot import QtBot

    from m1desk.jobs.values import JobState, JobSummary
    from m1desk.ui.bridge import Bridge
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.jobs_open import OpenJob

WAIT = 30_000


class CountingStore(JobStore):
    """Notes how many jobs are listed at most at once."""

    most = 0

    def summaries(
        self, limit: int = -1, offset: int = 0, states: Collection[JobState] = ()
    ) -> tuple[JobSummary, ...]:
        found = super().summaries(limit, offset, states)
        self.most = max(self.most, len(found))
        return found


class Desk:
    """The page with its view models over a real database."""

    def __init__(self, theme: Theme, bridge: Bridge, folder: Path) -> None:
        self.bridge = bridge
        self.database = Database(folder / "m1desk.sqlite3")
        self.sets = DocumentSets(self.database)
        self.store = CountingStore(self.database)
        control = JobControl(
            self.store,
            self.sets,
            JobServers(ProfileStore(self.database), Folders.under(folder)),
            lambda _: None,
            emit=bridge.post,
            wake=lambda: None,
        )
        self.model = JobsViewModel(bridge, self.store, control, self.sets)
        names = {one.id: one.name for one in self.sets.all()}
        self.page = JobsPage(
            theme, self.model, TextSearchViewModel(bridge), lambda i: names.get(i, "")
        )
        self.failures: list[Exception] = []
        self.page.failed.connect(self.failures.append)
        self.ids: dict[str, int] = {}
        self.page.resize(1100, 760)
        self.page.show()

    def read(self, qtbot: QtBot) -> None:
        with qtbot.waitSignal(self.model.queue.changed, timeout=WAIT):
            self.model.queue.refresh()

    def titles(self) -> list[str]:
        rows = (self.model.queue.row(number) for number in range(self.model.queue.count))
        return [row.title for row in rows if row is not None]

    def known(self, job_id: int) -> JobSummary | None:
        number = self.model.queue.row_of(job_id)
        return None if number is None else self.model.queue.row(number)

    def open(self, name: str, qtbot: QtBot) -> OpenJob:
        with qtbot.waitSignal(self.model.open_job.opened, timeout=WAIT) as opened:
            self.model.open_job.open(self.ids[name])
        shown: OpenJob = opened.args[0]
        return shown


@pytest.fixture
def empty(theme: Theme, bridge: Bridge, tmp_path: Path, qtbot: QtBot) -> Iterator[Desk]:
    made = Desk(theme, bridge, tmp_path)
    qtbot.addWidget(made.page)
    yield made
    made.page.release()
    bridge.stop()
    made.database.close()


@pytest.fixture
def desk(empty: Desk, qtbot: QtBot) -> Desk:
    """A page with a job in each state."""
    empty.ids = job_samples.fill_queue(empty.store, empty.sets)
    empty.read(qtbot)
    return empty


def say_yes(desk: Desk) -> None:
    box: Any = desk.page.findChild(QMessageBox)
    next(b for b in box.buttons() if b.text().replace("&", "") != "Cancel").click()


# -- the queue -------------------------------------------------------------------------------------


def test_without_jobs_the_page_explains_them_and_begins_one(empty: Desk, qtbot: QtBot) -> None:
    empty.read(qtbot)
    assert empty.page.is_empty
    with qtbot.waitSignal(empty.page.new_wished) as wished:
        empty.page.begin.click()
    assert wished.args == [None]
    assert unnamed_controls(empty.page) == []


def test_the_queue_says_in_words_how_each_job_is(desk: Desk) -> None:
    assert not desk.page.is_empty
    rows = desk.page.list.rows.model()
    told = [
        str(rows.data(rows.index(number, 0), Qt.ItemDataRole.AccessibleTextRole)).partition("\n")
        for number in range(rows.rowCount())
    ]
    words = {title: details for title, _, details in told}
    assert words["Discovery in Hollister v. Greenfield"] == "Running · 11 of 24 steps · Table"
    assert words["Benchmark"] == "Waits for mains power · Benchmark"
    assert words["Chronology of the merger files"] == "Paused · Questions"
    assert words["Tender 2026/114: compliance of all bidders"].startswith("The model MiniMax")
    assert words["Contract portfolio, second quarter"].startswith("Done · 1 min 41 s")
    assert "until" in words[next(title for title in words if title.startswith("Code base"))]


def test_jobs_are_filtered_by_state_and_searched_by_title(desk: Desk, qtbot: QtBot) -> None:
    listed, queue = desk.page.list, desk.model.queue
    assert listed.filter.itemText(listed.filter.findData("open")) == "Running and waiting (5)"
    listed.filter.setCurrentIndex(listed.filter.findData("stopped"))
    qtbot.waitUntil(lambda: queue.count == 2, timeout=WAIT)
    assert {title[:6] for title in desk.titles()} == {"Tender", "Suppor"}
    listed.filter.setCurrentIndex(listed.filter.findData("all"))
    listed.field.setText("review the")
    qtbot.waitUntil(lambda: queue.count == 2, timeout=WAIT)
    assert all("review" in title for title in desk.titles())
    listed.field.setText("nothing like it")
    qtbot.waitUntil(lambda: bool(listed.nothing_text), timeout=WAIT)
    assert listed.nothing_text == "Nothing found for “nothing like it”."
    assert not desk.page.is_empty


def test_of_ten_thousand_jobs_only_those_in_sight_are_read(empty: Desk, qtbot: QtBot) -> None:
    job_samples.fill_many(empty.store, 10_000)
    empty.read(qtbot)
    queue, rows = empty.model.queue, empty.page.list.rows
    assert queue.count == 10_000
    assert rows.model().rowCount() == 10_000
    qtbot.waitUntil(lambda: rows.indexAt(QPoint(5, 5)).data() == "Job number 00000", timeout=WAIT)
    rows.scrollToBottom()
    last = rows.viewport().height() - ROW // 2
    qtbot.waitUntil(
        lambda: rows.indexAt(QPoint(5, last)).data() == "Job number 09999", timeout=WAIT
    )
    assert empty.store.most <= PAGE


def test_waiting_jobs_change_places_and_priorities(empty: Desk, qtbot: QtBot) -> None:
    job_samples.fill_many(empty.store, 4)
    empty.read(qtbot)
    first, second, third, fourth = empty.titles()
    model = empty.model

    def in_order(*titles: str) -> None:
        qtbot.waitUntil(lambda: empty.titles() == list(titles), timeout=WAIT)

    def job(title: str) -> JobSummary:
        found = model.queue.row(empty.titles().index(title))
        assert found is not None
        return found

    model.do("up", job(third))
    in_order(first, third, second, fourth)
    model.do("down", job(first))
    in_order(third, first, second, fourth)
    model.do("down", job(second))
    in_order(third, first, fourth, second)
    model.do("up", job(third))  # it is the first already
    empty.page.list.moved.emit(job(second).id, job(third).id)
    in_order(second, third, first, fourth)
    menu: Any = empty.page.list.make_menu(job(fourth))
    high = next(one for one in menu.actions() if one.text() == "Priority").menu().actions()[0]
    high.trigger()
    in_order(fourth, second, third, first)
    model.do("down", job(fourth))
    in_order(second, fourth, third, first)
    assert job(fourth).priority == 0
    assert empty.failures == []


def test_what_can_not_be_done_says_why(desk: Desk, qtbot: QtBot) -> None:
    desk.open("done", qtbot)
    buttons = desk.page.head.buttons
    assert not buttons["pause"].isEnabled()
    assert buttons["pause"].toolTip() == "Only a job that runs or waits can be paused"
    assert buttons["delete"].isEnabled()
    desk.open("running", qtbot)
    assert buttons["delete"].toolTip() == "The job is running: pause or cancel it first"
    assert buttons["pause"].isEnabled()
    running = desk.known(desk.ids["running"])
    assert running is not None
    menu = desk.page.list.make_menu(running)
    retry = next(one for one in menu.actions() if one.text() == "Try again")
    assert not retry.isEnabled()
    assert "stopped by a problem" in retry.toolTip()
    assert unnamed_controls(desk.page) == []


def test_a_job_is_paused_resumed_cancelled_retried_and_deleted(desk: Desk, qtbot: QtBot) -> None:
    head, number = desk.page.head, desk.ids["waiting"]
    desk.open("waiting", qtbot)

    def has(state: str | None) -> None:
        qtbot.waitUntil(lambda: desk.store.state(number) == state, timeout=WAIT)
        if state is not None:
            word = {"waiting": "Waiting", "paused": "Paused", "cancelled": "Cancelled"}[state]
            qtbot.waitUntil(lambda: head.state_text.startswith(word), timeout=WAIT)

    head.buttons["pause"].click()
    has("paused")
    head.buttons["resume"].click()
    has("waiting")
    head.buttons["cancel"].click()
    has("cancelled")
    head.buttons["retry"].click()
    has("waiting")
    head.buttons["delete"].click()
    assert desk.store.state(number) == "waiting"  # it was only asked so far
    say_yes(desk)
    has(None)
    qtbot.waitUntil(lambda: desk.model.open_job.open_job is None, timeout=WAIT)
    qtbot.waitUntil(lambda: len(desk.titles()) == 7, timeout=WAIT)


def test_cancelling_a_running_job_asks_first(desk: Desk, qtbot: QtBot) -> None:
    desk.open("running", qtbot)
    desk.page.head.buttons["cancel"].click()
    assert desk.store.state(desk.ids["running"]) == "running"
    say_yes(desk)
    qtbot.waitUntil(lambda: desk.store.state(desk.ids["running"]) == "cancelled", timeout=WAIT)


def test_a_notice_changes_the_row_of_its_job_at_once(desk: Desk, qtbot: QtBot) -> None:
    number = desk.ids["waiting_mains"]
    known = desk.known(number)
    assert known is not None
    desk.bridge.post(JobChanged(replace(known, note="waits for a quieter hour")))

    def is_told() -> bool:
        now = desk.known(number)
        return now is not None and now.note == "waits for a quieter hour"

    qtbot.waitUntil(is_told, timeout=WAIT)


# -- one job ---------------------------------------------------------------------------------------


def test_a_running_job_shows_its_step_its_tokens_and_its_growing_answer(
    desk: Desk, qtbot: QtBot
) -> None:
    desk.open("running", qtbot)
    progress, number = desk.page.job.progress, desk.ids["running"]
    assert progress.isVisible()
    before = progress.permille
    step = JobStepProgress(number, 12, "Asking contract-04.txt", 3200, 4000, 1840.0, 312.0)
    desk.bridge.post(step)
    qtbot.waitUntil(lambda: progress.line == "Step 12 of 24 · Asking contract-04.txt")
    assert progress.figures == "3,200 of 4,000 tokens read · 1,840 tok/s · about 5 min left"
    assert before < progress.permille < 500  # no step counts as done before it is

    def shows(written: str) -> None:
        qtbot.waitUntil(lambda: progress.answer.markdown == written, timeout=WAIT)

    for written in ("It is", "It is 40,000 euros"):
        desk.bridge.post(replace(step, written=written))
        shows(written)
    desk.bridge.post(replace(step, step=13, written="Another"))
    shows("Another")
    row = desk.page.list.rows.model()
    details = str(row.data(row.index(0, 0), Qt.ItemDataRole.AccessibleTextRole))
    assert "5 min left" in details
    desk.store.pause(number)
    desk.bridge.post(JobChanged(desk.store.summary(number)))
    qtbot.waitUntil(lambda: not progress.isVisible(), timeout=WAIT)


def test_a_table_shows_what_bears_each_answer_out(desk: Desk, qtbot: QtBot) -> None:
    desk.open("done", qtbot)
    results = desk.page.job.results
    assert results.shows_table
    assert results.figures == "14 verified · 2 not found · 8 unquoted"
    table = results.table.model()
    assert table.headerData(2, Qt.Orientation.Horizontal) == "Notice period"
    assert table.data(table.index(3, 2)) == "34 days."
    tooltip = str(table.data(table.index(3, 2), Qt.ItemDataRole.ToolTipRole))
    assert "A quote is not in the documents" in tooltip
    results.table.choose(0, 0)
    assert results.answer is not None
    assert results.answer.cell.document == "contract-01.txt"
    QTest.keyClick(results.table, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert "Northwind Trading 1 Ltd" in QGuiApplication.clipboard().text()
    desk.open("failed", qtbot)
    assert results.answer is None  # of the job before


def test_answers_are_read_one_below_the_other(desk: Desk, qtbot: QtBot) -> None:
    desk.open("done", qtbot)
    results = desk.page.job.results
    results.show_form(table=False)
    qtbot.waitUntil(lambda: len(results.document.answers) == 12, timeout=WAIT)
    shown = [answer.cell.question for answer in results.document.answers[:3]]
    assert shown == ["Parties", "Notice period", "Liability cap"]


def test_a_quote_is_shown_where_it_stands(desk: Desk, qtbot: QtBot) -> None:
    shown = desk.open("done", qtbot)
    page = desk.page
    page.job.results.table.choose(1, 1)
    answer = shown.table.rows[1].cells[1].answer
    assert answer is not None
    page.job.results.citation_chosen.emit(answer, 1)
    qtbot.waitUntil(lambda: page.shows_viewer, timeout=WAIT)
    first, last = page.viewer.text.passage or (0, 0)
    assert page.viewer.text.text[first:last] == (
        "Either party may terminate with 32 days' notice in writing."
    )
    assert page.viewer.note == ""
    page.job.results.citation_chosen.emit(shown.table.rows[3].cells[1].answer, 1)
    qtbot.waitUntil(lambda: page.viewer.place.startswith("contract-04.txt · p. 2"), timeout=WAIT)


def test_the_queue_gives_way_to_the_text_of_a_quote_and_is_brought_back_by_its_button(
    desk: Desk, qtbot: QtBot
) -> None:
    shown = desk.open("done", qtbot)
    page = desk.page
    button = page._list_button
    assert page.list.isVisible()
    page.job.results.citation_chosen.emit(shown.table.rows[1].cells[1].answer, 1)
    qtbot.waitUntil(lambda: page.shows_viewer, timeout=WAIT)
    assert (page.list.isVisible(), button.isChecked()) == (False, False)
    button.click()
    assert (page.list.isVisible(), page.shows_viewer) == (True, False)
    button.click()
    assert not page.list.isVisible()
    page.resize(640, 560)
    button.click()
    assert (page.list.isVisible(), button.isChecked()) == (True, True)


def test_a_narrow_head_has_buttons_for_what_can_be_done_alone(desk: Desk, qtbot: QtBot) -> None:
    desk.open("paused", qtbot)
    head = desk.page.head

    def visible() -> set[str]:
        return {name for name, button in head.buttons.items() if button.isVisible()}

    assert visible() == set(head.buttons)
    desk.page.resize(640, 560)
    assert visible() == {"resume", "cancel", "delete"}
    assert all(button.isEnabled() for button in head.buttons.values() if button.isVisible())


def test_a_quote_in_documents_that_were_changed_says_so(desk: Desk, qtbot: QtBot) -> None:
    shown = desk.open("done", qtbot)
    set_id = shown.job.set_id
    assert set_id is not None
    desk.sets.remove_file(desk.sets.files(set_id)[1].id)
    page = desk.page
    page.job.results.citation_chosen.emit(shown.table.rows[1].cells[1].answer, 1)
    qtbot.waitUntil(lambda: "not in them any more" in page.viewer.note, timeout=WAIT)


def test_a_problem_says_what_why_and_the_way_on(desk: Desk, qtbot: QtBot) -> None:
    desk.open("failed", qtbot)
    problem = desk.page.job.problem
    assert problem.isVisible()
    for part in ("is not there any more", "was deleted", "Choose another model"):
        assert part in problem.text
    with qtbot.waitSignal(desk.page.new_wished) as wished:
        problem.change.click()
    assert wished.args[0].id == desk.ids["failed"]
    problem.retry.click()
    qtbot.waitUntil(lambda: desk.store.state(desk.ids["failed"]) == "waiting", timeout=WAIT)
    qtbot.waitUntil(lambda: not problem.isVisible(), timeout=WAIT)


def test_steps_and_log_are_listed(desk: Desk, qtbot: QtBot) -> None:
    desk.open("failed", qtbot)
    desk.page.job.show_part(1)
    steps = desk.page.job.steps
    model = steps.model
    assert model.rowCount() == 24
    assert model.data(model.index(4, 2)) == "Failed"
    assert "was deleted" in str(model.data(model.index(4, 1), Qt.ItemDataRole.ToolTipRole))
    assert "Step 4 done: Parties, contract-02.txt" in steps.log.toPlainText()


@pytest.mark.parametrize("ending", [".md", ".json"])
def test_results_are_exported(desk: Desk, tmp_path: Path, ending: str, qtbot: QtBot) -> None:
    shown = desk.open("done", qtbot)
    path = tmp_path / f"results{ending}"
    with qtbot.waitSignal(desk.model.exported, timeout=WAIT):
        desk.model.export(shown.results, path)
    assert "34 days." in path.read_text()


def test_an_export_that_fails_is_told(desk: Desk, tmp_path: Path, qtbot: QtBot) -> None:
    shown = desk.open("done", qtbot)
    desk.model.export(shown.results, tmp_path / "no such folder" / "results.md")
    qtbot.waitUntil(lambda: bool(desk.failures), timeout=WAIT)
    assert isinstance(desk.failures[0], BadInput)


def test_the_file_dialogs_filters_name_every_format() -> None:
    filters = [f"{name} (*{ending})" for ending, name in FORMATS.items()]
    assert [f".{ending_of(one)}" for one in filters] == list(FORMATS)


def test_a_job_is_compared_with_another_that_asked_the_same(desk: Desk, qtbot: QtBot) -> None:
    desk.open("done", qtbot)
    desk.page.job.results.compare.click()
    dialog: Any = desk.page.findChild(JobCompareDialog)
    qtbot.waitUntil(lambda: bool(dialog.figures), timeout=WAIT)
    assert dialog.other.count() == 1  # the failed one; it has four answers
    assert dialog.figures == "4 the same · 20 only left"
    dialog.close()
    qtbot.waitUntil(lambda: desk.page.findChild(JobCompareDialog) is None, timeout=WAIT)
