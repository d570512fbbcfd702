"""A limit on thinking: told by a request, kept by the worker, and the answer comes all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.models import SCRIPTED_ANSWER, SCRIPTED_REASONING
from support.worker import Worker, running_worker

from m1desk.llama_worker.output import OutputParser, Piece, Reasoning, Text
from m1desk.llama_worker.thinking import ThinkingBudget

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CLOSE = [b"\n", b"</think>", b"\n\n"]


@pytest.fixture(scope="module")
def scripted(scripted_minimax: Path) -> Iterator[Worker]:
    with running_worker(scripted_minimax, context=512) as running:
        yield running


def written(tokens: int, wanted: list[bytes], *, in_think: bool = False) -> list[Piece]:
    """What is written by a model that wants to write this, within a budget."""
    output = OutputParser(
        stops=(), starts_in_think=in_think, parse_think=True, parse_tool_calls=False
    )
    budget = ThinkingBudget(tokens, range(len(CLOSE)))
    pieces: list[Piece] = []
    while wanted:
        forced = budget.next_token(output)
        pieces += output.feed(wanted.pop(0) if forced is None else CLOSE[forced])
    return pieces


def told(pieces: list[Piece]) -> tuple[str, str]:
    reasoning = "".join(one.text for one in pieces if isinstance(one, Reasoning))
    return reasoning, "".join(one.text for one in pieces if isinstance(one, Text))


def test_the_end_of_thinking_is_written_after_so_many_tokens() -> None:
    thinking = [b"<think>", b"One", b" two", b" three"]
    assert told(written(2, [*thinking, b" four"])) == ("One two\n", " three four")
    assert told(written(0, [*thinking])) == ("", "One two three")
    assert told(written(1, [b"One", b" two", b" three"], in_think=True)) == ("One\n", " two three")


def test_thinking_that_ends_in_time_is_left_alone() -> None:
    wanted = [b"<think>", b"One", b"</think>", b"Yes", b" indeed", b" it", b" is"]
    assert told(written(2, wanted)) == ("One", "Yes indeed it is")


def test_an_answer_without_thinking_is_left_alone() -> None:
    assert told(written(0, [b"Yes", b" <think>", b" is a tag"])) == ("", "Yes <think> is a tag")


def test_a_character_is_not_cut() -> None:
    euro = "€".encode()
    thinking = [b"<think>", euro[:1], euro[1:2], euro[2:], b" more"]
    assert told(written(1, thinking)) == ("€\n", " more")


@pytest.mark.parametrize(("budget", "thought"), [(2, "The person greets me."), (0, "")])
def test_a_request_limits_the_thinking(scripted: Worker, budget: int, thought: str) -> None:
    answer = scripted.chat("Hello", thinking_budget_tokens=budget, max_tokens=60)
    message = answer["choices"][0]["message"]
    assert (message.get("reasoning_content") or "").strip() == thought
    # (This model begins its script anew after an empty line; the answer is what follows.)
    assert message["content"].endswith(SCRIPTED_ANSWER)
    assert answer["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize("budget", [-1, 5, 500])
def test_a_limit_that_is_not_reached_changes_nothing(scripted: Worker, budget: int) -> None:
    message = scripted.chat("Hello", thinking_budget_tokens=budget)["choices"][0]["message"]
    assert message["reasoning_content"] == SCRIPTED_REASONING
    assert message["content"] == SCRIPTED_ANSWER


def test_a_limit_that_is_none_is_refused(scripted: Worker) -> None:
    body = {"messages": [{"role": "user", "content": "Hello"}], "thinking_budget_tokens": -2}
    refused = scripted.client.post("/v1/chat/completions", json=body)
    assert refused.status_code == 400
    assert "thinking_budget_tokens" in refused.json()["error"]["message"]
