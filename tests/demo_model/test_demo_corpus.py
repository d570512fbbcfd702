"""What the demo model is trained and scored on: questions whose answers really stand there."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest
from app_corpus import expand, read_topics
from corpus import Mix, first_turn, make_case
from evaluate import Score, found_page, mark
from kinds import ABSENT, KINDS
from make_samples import TARGET, sample_pages, write_samples
from wordings import with_lead, with_tail

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("seed", range(20))
def test_every_answer_quotes_the_page_it_names_from_the_value_on(seed: int) -> None:
    case = make_case(Random(seed), 2500, 6)
    for question in case.questions:
        if question.fact is None:
            assert question.answer.endswith(f" {ABSENT}")
            continue
        assert found_page(case, question.answer) == (question.fact.place,) * 2
        assert question.value is not None
        short, quote = question.answer.rpartition('" [')[0].split(' "', 1)
        assert question.value in short
        assert quote.startswith(question.value)
        assert question.fact.sentence.endswith(quote)


def test_equal_seeds_make_equal_documents_and_others_do_not() -> None:
    assert make_case(Random(3), 2000, 4) == make_case(Random(3), 2000, 4)
    assert make_case(Random(3), 2000, 4).text != make_case(Random(4), 2000, 4).text


def test_what_is_said_to_be_absent_is_absent() -> None:
    absent = 0
    for seed in range(60):
        case = make_case(Random(seed), 1500, 5, Mix(absent=1.0))
        for question in case.questions:
            there = [
                fact
                for fact in case.facts
                if question.kind == fact.kind.name and question.about == fact.about
            ]
            assert not there
            absent += 1
    assert absent > 200


def test_a_prompt_has_documents_then_instructions_then_the_question() -> None:
    case = make_case(Random(1), 1200, 1)
    prompt = first_turn(case, "What is the rent?")
    label = next(iter(case.pages))
    assert prompt.startswith(f"{label}\n")
    assert prompt.endswith("\n\nWhat is the rent?")
    assert prompt.index("Answer from the documents above.") > prompt.index(label)


def test_every_kind_of_fact_can_be_asked_for_and_answered() -> None:
    assert len(KINDS) > 80
    for kind in KINDS:
        assert kind.questions
        assert "{v}" in kind.answer
        assert all("{v}" in sentence for sentence in kind.sentences)
        if kind.about:
            assert all("{e}" in text for text in (*kind.questions, *kind.sentences, kind.answer))


def test_some_sentences_begin_and_end_in_ever_new_ways_around_the_value() -> None:
    random = Random(1)
    leads = set()
    for kind in KINDS:
        for plain in kind.sentences:
            inner = plain.rstrip(".")[1:]
            begun = {with_lead(random, plain) for _ in range(60)}
            ended = {with_tail(random, plain) for _ in range(60)}
            assert plain in begun
            assert plain in ended
            assert len(begun) > 1
            assert len(ended) > 1 or not plain.endswith(".")
            assert all(text.rstrip(".").endswith(inner) for text in begun)
            assert all(text[1:].startswith(inner) for text in ended)
            leads |= {text[: -len(plain)] for text in begun - {plain}}
            assert not any(
                "{" in text.replace("{v}", "").replace("{e}", "") for text in begun | ended
            )
    assert len(leads) > 30
    assert all(text.endswith(", ") for text in leads)


def test_kinds_made_up_for_one_document_are_found_there_and_missed_elsewhere() -> None:
    there = absent = 0
    for seed in range(40):
        case = make_case(Random(seed), 1500, 6, Mix(absent=0.4, new=1.0))
        for question in case.questions:
            assert question.kind not in {kind.name for kind in KINDS} or question.fact is None
            if question.fact is None:
                assert f"the {question.kind} " not in f"{case.text} "
                absent += 1
            else:
                assert found_page(case, question.answer) == (question.fact.place,) * 2
                assert question.kind in question.text
                there += 1
    assert min(there, absent) > 50


def test_wordings_for_the_evaluation_are_never_trained() -> None:
    topics = read_topics()
    trained = {text for topic in topics for text in topic.trained}
    held_out = {text for topic in topics for text in topic.held_out}
    assert held_out
    assert not trained & held_out
    assert expand("(Where|How) is it?") == ["Where is it?", "How is it?"]


def test_no_wording_has_two_answers() -> None:
    answers: dict[str, str] = {}
    for topic in read_topics():
        for text in topic.wordings:
            assert answers.setdefault(text, topic.answer) == topic.answer, text


def test_the_samples_are_what_their_sources_make(tmp_path: Path) -> None:
    write_samples(tmp_path)
    made = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert {path.name: path.read_bytes() for path in TARGET.iterdir()} == made
    assert {label[1:].rpartition(" p.")[0] for label in sample_pages()} == set(made)


def test_a_score_tells_the_quote_s_page_from_the_named_one() -> None:
    case = make_case(Random(1), 3000, 6, Mix(absent=0.0))
    question = case.questions[0]
    assert question.fact is not None
    score = Score()
    mark(score, case, question, question.answer.replace(question.fact.place, "[x.pdf p.99]"))
    mark(score, case, question, question.fact.kind.absent_answer(question.about))
    assert (score.asked, score.value, score.page, score.cited) == (2, 1, 1, 0)
    assert score.false_absent == 1
