"""The demo model that ships, in the real engine: right answers about the samples and the app."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from app_corpus import read_topics
from evaluate import SAMPLE_QUESTIONS, score_documents, score_samples

from m1desk.models import read_gguf_header

MODEL = Path(__file__).resolve().parents[2] / "resources" / "models" / "m1desk-demo.gguf"

pytestmark = pytest.mark.skipif(not MODEL.exists(), reason="the demo model is not in the checkout")


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


def test_it_answers_the_questions_about_the_samples(engine: Any) -> None:
    score = score_samples(lambda messages, _wanted: engine.answer(messages))
    asked = json.loads(SAMPLE_QUESTIONS.read_text("utf-8"))
    assert score.asked + score.absent_asked == len(asked)
    assert not score.wrong, "\n".join(score.wrong)


def test_it_answers_about_documents_it_never_saw(engine: Any) -> None:
    score = score_documents(lambda messages, _wanted: engine.answer(messages), 1000, 8)
    assert score.both >= 0.9 * score.asked, "\n".join(score.wrong)


def test_it_says_what_it_is_and_answers_about_the_app(engine: Any) -> None:
    topics = {topic.wordings[0]: topic.answer for topic in read_topics()}
    for question in ("Who are you?", "What is M1 Desk?", "How do I load a model?", "What is GGUF?"):
        assert engine.answer([{"role": "user", "content": question}]) == topics[question]
