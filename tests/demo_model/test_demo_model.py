"""The demo model that ships, in the real engine: right answers about the samples and the app."""

from __future__ import annotations

import json
from typing import Any

import pytest
from corpus import Case, first_turn
from evaluate import SAMPLE_QUESTIONS, found_page, score_app, score_documents, score_samples
from make_samples import sample_pages

from m1desk.models import read_gguf_header
from m1desk.models.demo import GREETING, GREETING_ANSWER, SAMPLE_QUESTION, demo_model

MODEL = demo_model()


@pytest.fixture(scope="module")
def engine() -> Any:
    from engine import Engine  # noqa: PLC0415 - loads llama.cpp

    return Engine(MODEL)


def test_the_file_says_what_it_is() -> None:
    header = read_gguf_header(MODEL)
    assert header.architecture == "minimax-01"
    assert header.license == "apache-2.0"
    assert "demo" in (header.name or "").lower()
    assert header.has_chat_template
    assert header.size_bytes < 10_000_000


def test_it_answers_most_questions_about_the_samples(engine: Any) -> None:
    score = score_samples(lambda messages, _wanted: engine.answer(messages))
    asked = json.loads(SAMPLE_QUESTIONS.read_text("utf-8"))
    assert score.asked + score.absent_asked == len(asked)
    assert score.both >= 18, "\n".join(score.wrong)  # all 19 when it was made
    assert score.absent == score.absent_asked


def test_it_answers_about_documents_it_never_saw(engine: Any) -> None:
    score = score_documents(lambda messages, _wanted: engine.answer(messages), 2000, 25)
    assert score.both >= 0.9 * score.asked, "\n".join(score.wrong)
    assert score.false_absent <= 0.05 * score.asked


def test_it_says_what_it_is_and_answers_about_the_app(engine: Any) -> None:
    greeting = engine.answer([{"role": "user", "content": GREETING}])
    assert greeting.startswith(GREETING_ANSWER)
    score = score_app(lambda messages, _wanted: engine.answer(messages), 40)
    assert score["right"] >= 75, "\n".join(score["wrong"])


def test_it_answers_the_question_of_the_first_command(engine: Any) -> None:
    pages = sample_pages()
    case = Case(pages, [])
    answer = engine.answer([{"role": "user", "content": first_turn(case, SAMPLE_QUESTION)}])
    found, _ = found_page(case, answer)
    assert "45 days" in answer
    assert found == "[service-contract.pdf p.3]"
