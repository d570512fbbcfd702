"""Several requests at once: who waits for whom, whose text is whose, what is not read again."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from support.worker import Worker, running_worker

if TYPE_CHECKING:
    from pathlib import Path

MODELS = ("tiny_llama", "tiny_minimax")


def cached(answer: dict[str, Any]) -> int:
    tokens: int = answer["usage"]["prompt_tokens_details"]["cached_tokens"]
    return tokens


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest) -> Path:
    path: Path = request.getfixturevalue(request.param)
    return path


def test_answers_beside_others_are_those_of_a_request_alone(model: Path) -> None:
    prompts = [f"{'abc ' * number} prompt number {number}" for number in range(6)]
    with running_worker(model, ubatch=32) as worker:
        alone = [worker.complete(text, max_tokens=24)["choices"][0]["text"] for text in prompts]
    with running_worker(model, ubatch=32) as worker, ThreadPoolExecutor(6) as pool:
        together = list(pool.map(lambda text: worker.complete(text, max_tokens=24), prompts))
    assert [answer["choices"][0]["text"] for answer in together] == alone


def test_an_answer_goes_on_while_a_long_prompt_is_read(model: Path) -> None:
    with running_worker(model, context=16384, ubatch=64) as worker:
        order: list[str] = []

        def read_long() -> None:
            worker.complete("y " * 5000, max_tokens=1)
            order.append("long prompt read")

        body = {"prompt": "x", "max_tokens": 200, "ignore_eos": True, "temperature": 0}
        reading = threading.Thread(target=read_long)
        for number, _ in enumerate(worker.stream("/v1/completions", body)):
            if number == 5:
                reading.start()
            order.append("token")
        reading.join()
    while_reading = order[7 : order.index("long prompt read")]
    assert while_reading.count("token") > 20


def test_a_short_question_overtakes_a_long_prompt(model: Path) -> None:
    with running_worker(model, context=32768, ubatch=64) as worker:
        finished: list[str] = []

        def ask(name: str, prompt: str) -> None:
            worker.complete(prompt, max_tokens=1)
            finished.append(name)

        long = threading.Thread(target=ask, args=("long", "y " * 10000))
        long.start()
        while worker.metric("m1desk_prompt_tokens_total") == 0:
            time.sleep(0.001)
        ask("short", "z")
        long.join()
    assert finished == ["short", "long"]


def test_a_request_whose_client_leaves_is_given_up(model: Path) -> None:
    with running_worker(model, context=32768, parallel=1) as worker:
        body = {"prompt": "x", "ignore_eos": True, "stream": True}
        with worker.client.stream("POST", "/v1/completions", json=body) as answer:
            next(answer.iter_lines())
        assert worker.complete("another", max_tokens=2)["usage"]["completion_tokens"] == 2


def test_a_whole_answer_is_given_up_too_when_nobody_waits_for_it(tiny_llama: Path) -> None:
    import httpx  # noqa: PLC0415 - for its time-out alone

    with running_worker(tiny_llama, context=32768, parallel=1) as worker:
        with pytest.raises(httpx.ReadTimeout):
            worker.client.post(
                "/v1/completions", json={"prompt": "x", "ignore_eos": True}, timeout=0.3
            )
        assert worker.complete("another", max_tokens=2)["usage"]["completion_tokens"] == 2
        assert worker.metric("m1desk_generated_tokens_total") < 30000


def test_second_turn_reads_only_what_is_new(model: Path) -> None:
    with running_worker(model, context=4096) as worker:
        history = [{"role": "user", "content": "A first question. " * 20}]
        first = worker.client.post(
            "/v1/chat/completions",
            json={"messages": history, "max_tokens": 20, "temperature": 0},
        ).json()
        history.append(first["choices"][0]["message"])
        history.append({"role": "user", "content": "And now?"})
        second = worker.client.post(
            "/v1/chat/completions",
            json={"messages": history, "max_tokens": 4, "temperature": 0},
        ).json()
    assert cached(first) == 0
    assert cached(second) >= first["usage"]["prompt_tokens"] - 1


def test_the_same_prompt_again_reads_one_token_and_answers_the_same(model: Path) -> None:
    with running_worker(model, context=4096) as worker:
        first = worker.chat("What is it? " * 30, max_tokens=16)
        again = worker.chat("What is it? " * 30, max_tokens=16)
    assert cached(again) == first["usage"]["prompt_tokens"] - 1
    assert again["choices"][0]["message"] == first["choices"][0]["message"]


def test_an_edited_last_message_keeps_the_history(model: Path) -> None:
    history = [
        {"role": "user", "content": "Long introduction. " * 30},
        {"role": "assistant", "content": "I see."},
    ]

    def ask(worker: Worker, text: str) -> dict[str, Any]:
        messages = [*history, {"role": "user", "content": text}]
        body = {"messages": messages, "max_tokens": 8, "temperature": 0}
        answer: dict[str, Any] = worker.client.post("/v1/chat/completions", json=body).json()
        return answer

    with running_worker(model, context=4096) as worker:
        ask(worker, "The first wording")
        edited = ask(worker, "Something else entirely")
    with running_worker(model, context=4096) as worker:
        fresh = ask(worker, "Something else entirely")
    assert cached(edited) > 450  # of about 520
    assert edited["choices"][0]["message"] == fresh["choices"][0]["message"]


def test_more_than_the_cache_holds_waits_and_is_served(model: Path) -> None:
    with running_worker(model, context=512, parallel=4) as worker, ThreadPoolExecutor(4) as pool:
        prompts = [chr(97 + number) * 300 for number in range(4)]
        answers = list(pool.map(lambda text: worker.complete(text, max_tokens=8), prompts))
        assert [answer["usage"]["completion_tokens"] for answer in answers] == [8, 8, 8, 8]
        assert worker.metric("m1desk_kv_cache_tokens_used") <= 512
