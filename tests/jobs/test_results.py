"""Results to be read: what a cell says, how rows and columns lie, two results side by side."""

from __future__ import annotations

from dataclasses import replace

from support.job_results import CAP, NOTICE, answered, portfolio, quote, results_of

from m1desk.jobs.results import Comparison, Outcome, compare_results, result_table
from m1desk.jobs.values import JobResults, Problem


def test_a_portfolio_has_a_row_a_document_and_a_column_a_question() -> None:
    table = result_table(portfolio())
    assert table.is_by_document
    assert (table.head, table.columns) == ("Document", ("Notice period", "Liability cap"))
    assert [row.title for row in table.rows] == ["a.pdf", "b.pdf", "c.pdf", "d.pdf"]
    assert all(len(row.cells) == 2 for row in table.rows)
    assert all(cell.document == row.title for row in table.rows for cell in row.cells)
    assert {cell.question_text for cell in table.cells} == {NOTICE.text, CAP.text}


def test_a_cell_says_the_answer_its_pages_and_what_bears_it_out() -> None:
    cells = {(one.document, one.question): one for one in result_table(portfolio()).cells}
    first = cells["a.pdf", "Notice period"]
    assert (first.short, first.status, first.pages) == ("It is 45 days.", "verified", "p.2")
    assert first.text == 'It is 45 days. "with 45 days\' notice" [a.pdf p.2]'
    assert cells["a.pdf", "Liability cap"].status == "approximate"
    invented = cells["b.pdf", "Notice period"]
    assert (invented.status, invented.places) == ("not_found", ())
    assert cells["b.pdf", "Liability cap"].status == "no_quote"
    failed = cells["c.pdf", "Liability cap"]
    assert (failed.status, failed.short) == ("failed", "")
    assert failed.problem == Problem("The engine was lost.", "It ended.", "Try again.")
    assert cells["d.pdf", "Notice period"].status == "missing"
    assert result_table(portfolio()).count("missing") == 2


def test_the_worst_quote_counts_and_each_place_is_named_once() -> None:
    quotes = (quote("one", "a.pdf", 2), quote("two", "b.pdf", 9, 0.9), quote("three", "a.pdf", 2))
    (cell,) = result_table(
        results_of((answered("a.pdf", NOTICE, "Yes.", quotes),), (NOTICE,))
    ).cells
    assert cell.status == "approximate"
    assert cell.pages == "p.2, b.pdf p.9"


def test_an_answer_that_was_cut_or_read_something_else_is_loud() -> None:
    cells = {(one.document, one.question): one for one in result_table(portfolio()).cells}
    cut, differs = cells["c.pdf", "Notice period"].warnings
    assert "was cut off" in cut
    assert "1,200 were sent" in differs
    assert cells["a.pdf", "Notice period"].warnings == ()


def test_an_answer_that_is_only_a_quote_is_not_an_empty_cell() -> None:
    only = answered("a.pdf", NOTICE, "", (quote("45 days", "a.pdf", 2),))
    (cell,) = result_table(results_of((only,), (NOTICE,))).cells
    assert cell.short == '"45 days" [a.pdf p.2]'


def test_a_document_that_could_not_be_read_says_why_in_each_cell() -> None:
    broken = Problem("x.pdf is damaged.")
    results = results_of((), documents=("x.pdf",), problems=(("x.pdf", "", broken),))
    cells = result_table(results).cells
    assert [(one.status, one.problem) for one in cells] == [("failed", broken)] * 2


def test_questions_about_all_documents_have_a_row_each() -> None:
    asked = (answered("", CAP, "None."), answered("", NOTICE, "45 days."))
    table = result_table(results_of(asked, kind="questions", documents=("a.pdf", "b.pdf")))
    assert (table.head, table.columns) == ("Question", ("Answer",))
    assert [row.title for row in table.rows] == ["Notice period", "Liability cap"]
    assert [row.text for row in table.rows] == [NOTICE.text, CAP.text]
    assert [row.cells[0].short for row in table.rows] == ["45 days.", "None."]


def test_passes_show_the_combined_answer_before_those_of_the_parts() -> None:
    asked = (answered("part 1", NOTICE, "No."), answered("", NOTICE, "45 days."))
    table = result_table(results_of(asked, (NOTICE,), kind="passes"))
    assert table.columns == ("Answer", "part 1")
    assert [cell.short for cell in table.rows[0].cells] == ["45 days.", "No."]


def compared(left: JobResults, right: JobResults) -> tuple[Comparison, dict[str, Outcome]]:
    comparison = compare_results(left, right)
    outcomes = {f"{one.left.document} {one.left.question}": one.outcome for one in comparison.cells}
    return comparison, outcomes


def test_two_models_side_by_side() -> None:
    left = results_of(
        (
            answered("a.pdf", NOTICE, "45 days", (quote("45 days", "a.pdf", 2),)),
            answered("a.pdf", CAP, "EUR 5,000"),
            answered("b.pdf", NOTICE, "9 weeks"),
        ),
        documents=("a.pdf", "b.pdf"),
    )
    reworded = replace(CAP, text="How high is the cap?")
    right = results_of(
        (
            answered("a.pdf", NOTICE, '"45  Days."', (quote("45 days", "a.pdf", 3),)),
            answered("a.pdf", CAP, "EUR 50,000"),
            answered("b.pdf", reworded, "EUR 1"),
            answered("c.pdf", NOTICE, "a year"),
        ),
        (NOTICE, reworded),
        documents=("a.pdf", "b.pdf", "c.pdf"),
        model="larger",
    )
    comparison, outcomes = compared(left, right)
    assert (comparison.left, comparison.right) == ("demo-model", "larger")
    assert outcomes == {
        "a.pdf Notice period": "equal",
        "a.pdf Liability cap": "different",
        "b.pdf Notice period": "right_missing",
        "b.pdf Liability cap": "left_missing",
        "c.pdf Notice period": "left_missing",
        "c.pdf Liability cap": "both_missing",
    }
    assert comparison.count("left_missing") == 2
    assert not comparison.cells[0].has_same_places
    same = [one.is_same_question for one in comparison.cells if one.left.document == "b.pdf"]
    assert same == [True, False]


def test_a_sign_or_a_currency_is_a_difference() -> None:
    for first, second in (("5%", "5"), ("-5", "5"), ("EUR 5", "5"), ("§5", "5"), ("5", "5.5")):
        left, right = (
            results_of((answered("a.pdf", NOTICE, said),), (NOTICE,)) for said in (first, second)
        )
        assert compared(left, right)[1] == {"a.pdf Notice period": "different"}


def test_two_runs_of_one_model_are_told_apart() -> None:
    first, again = portfolio(), results_of((), job_id=8)
    assert compare_results(first, again).left == "job 7"
    assert compare_results(first, again).right == "job 8"
    named = compare_results(first, results_of((), title="Q4"))
    assert (named.left, named.right) == ("Contracts of 2027", "Q4")
