"""Answers as files: complete, honest, and harmless to open."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from markdown_it import MarkdownIt

from m1desk.documents import (
    AnswerRecord,
    CheckedAnswer,
    Citation,
    ReadReceipt,
    UnquotedClaim,
    as_html,
    as_json,
    as_json_text,
    as_markdown,
    receipt_words,
)

PAGE = "It is <b>nearly</b> this."
ANSWER = 'It is 45 days. "45 days notice" [a.pdf p.2] Surely.'


@pytest.fixture
def record() -> AnswerRecord:
    citations = (
        Citation("45 days notice", 15, 43, "verified", 1.0, "a.pdf", 3, "a.pdf", 2, 10, 24),
        Citation("nearly this", 0, 0, "approximate", 0.91, "b.pdf", 1, "b.pdf", 1, 40, 50, PAGE),
        Citation("<script>x</script>", 0, 0, "not_found", 0.0, "", 0),
    )
    checked = CheckedAnswer(ANSWER, citations, (UnquotedClaim(44, 51),))
    receipt = ReadReceipt(expected_tokens=100, read_tokens=10, reused_tokens=90)
    return AnswerRecord("What <b>is</b> it?", checked, "demo", 0.0, ("a.pdf",), receipt, 2.5)


def test_json_has_the_promised_keys(record: AnswerRecord) -> None:
    made = json.loads(as_json_text(record))
    assert made == json.loads(json.dumps(as_json(record)))
    assert made["answer"] == ANSWER
    first = made["citations"][0]
    assert {first["file"], first["page"], first["status"]} == {"a.pdf", 3, "verified"}
    assert first["quote"] == "45 days notice"
    receipt = made["receipt"]
    counts = (receipt["expected_tokens"], receipt["read_tokens"], receipt["reused_tokens"])
    assert counts == (100, 10, 90)
    assert [one["passage"] for one in made["citations"]] == ["", PAGE, ""]
    assert made["unquoted"] == ["Surely."]


def test_markdown_tells_where_each_quote_stands_and_which_does_not(record: AnswerRecord) -> None:
    text = as_markdown(record)
    assert "a.pdf, p.3 (the answer says a.pdf, p.2): **verified**" in text
    assert "**approximate** (91% alike)" in text
    assert "**NOT FOUND in the documents**" in text
    assert text.count("The page says:") == 1
    assert "- Surely." in text
    assert "100 tokens before it: 10 read, 90 reused; that is all that was sent." in text


def test_html_runs_and_loads_nothing(record: AnswerRecord) -> None:
    page = as_html(record)
    assert "default-src 'none'" in page
    assert "<script" not in page
    assert "<b>" not in page
    assert "&lt;b&gt;" in page


def test_an_image_in_an_answer_is_not_loaded() -> None:
    checked = CheckedAnswer("![x](https://example.org/track.png)", (), ())
    page = as_html(AnswerRecord("Q?", checked, "m", 0.0, (), None))
    assert "<img" not in page


@pytest.mark.parametrize(
    "answer",
    [
        "It is:\n```\n45 days",
        "It is:\n~~~~ text\n45 days\n~~~",
        "- It is:\n\n  ```\n  45 days",
        "> ```\n> 45 days",
        "<!-- It is 45 days",
        "<pre>It is 45 days",
        "It is:\n```\n45 days\n```",
        "It is 45 days",
        "",
    ],
)
def test_what_an_answer_leaves_open_ends_with_it(record: AnswerRecord, answer: str) -> None:
    record = replace(record, checked=replace(record.checked, text=answer, unquoted=()))
    text, page = as_markdown(record), as_html(record)
    for shown in (MarkdownIt("commonmark").render(text), page):
        for heading in ("<h2>Quotes</h2>", "<h2>Receipt</h2>"):
            assert heading in shown
            assert shown.index(heading) > shown.rfind("45 days<")
    assert page.count("<article>") == page.count("</article>") == 1
    assert answer in text or answer.startswith("<")


@pytest.mark.parametrize(
    ("state", "finish_reason", "words"),
    [
        ("complete", "length", "was cut off: it ran out of tokens"),
        ("stopped", "stop", "is not complete: it was stopped"),
        ("interrupted", "", "is not complete: it was interrupted"),
    ],
)
def test_an_answer_that_is_not_whole_says_so(
    record: AnswerRecord, state: str, finish_reason: str, words: str
) -> None:
    cut = replace(record, state=state, finish_reason=finish_reason)
    for text in (as_markdown(cut), as_html(cut)):
        assert 0 < text.index("WARNING") < text.index(words) < text.index("It is 45 days")
    made = as_json(cut)
    assert (made["state"], made["finish_reason"]) == (state, finish_reason)
    assert words in str(made["warning"])


def test_a_whole_answer_is_not_warned_of(record: AnswerRecord) -> None:
    made = as_json(record)
    assert (made["state"], made["finish_reason"], made["warning"]) == ("complete", "stop", None)
    assert "WARNING" not in as_markdown(record) + as_html(record)


def test_an_answer_that_was_not_checked_is_not_said_to_quote_nothing() -> None:
    record = AnswerRecord("Q?", CheckedAnswer('"A."', (), ()), "m", 0.0, (), None)
    assert "quotes nothing" in as_markdown(record)
    stopped = as_markdown(replace(record, state="stopped"))
    assert "No quotes were checked." in stopped
    assert "quotes nothing" not in stopped


def test_a_receipt_that_differs_is_loud() -> None:
    words = receipt_words(ReadReceipt(expected_tokens=100, read_tokens=50, reused_tokens=0))
    assert words.startswith("WARNING")
    assert "100 were sent" in words
