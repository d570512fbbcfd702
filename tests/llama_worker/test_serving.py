"""What a client sees of a real worker on a tiny model: answers, streams, limits, refusals."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx
import pytest
from support.models import SCRIPT, SCRIPTED_ANSWER, SCRIPTED_REASONING
from support.worker import Worker, command, launch, read_events, running_worker

from m1desk.llama_worker.serve import bind
from m1desk.wire import Failed, Listening, Loading, Ready

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HELLO = {"messages": [{"role": "user", "content": "Hello"}], "temperature": 0}


@pytest.fixture(scope="module")
def worker(tiny_llama: Path) -> Iterator[Worker]:
    with running_worker(tiny_llama, alias="tiny") as running:
        yield running


@pytest.fixture(scope="module")
def scripted(scripted_minimax: Path) -> Iterator[Worker]:
    with running_worker(scripted_minimax, context=512) as running:
        yield running


def test_it_says_where_it_listens_how_far_it_is_and_when_it_is_ready(worker: Worker) -> None:
    kinds = [type(event) for event in worker.events]
    assert kinds[0] is Listening
    assert Loading in kinds
    assert worker.events[-1] == Ready("tiny", 1024, 4)


def test_models_lists_the_one_model_with_its_context(worker: Worker) -> None:
    (card,) = worker.client.get("/v1/models").json()["data"]
    assert card["id"] == "tiny"
    assert card["max_model_len"] == 1024
    assert card["meta"]["architecture"] == "llama"


def test_every_path_but_health_wants_the_key(worker: Worker) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        with httpx.Client(base_url=worker.client.base_url, headers=headers) as stranger:
            assert stranger.get("/health").status_code == 200
            for path in ("/v1/models", "/props", "/metrics"):
                assert stranger.get(path).status_code == 401
            refused = stranger.post("/v1/chat/completions", json=HELLO)
            assert refused.status_code == 401
            assert refused.json()["error"]["type"] == "authentication_error"


def test_answer_is_split_into_thinking_and_text(scripted: Worker) -> None:
    answer = scripted.chat("Hello")
    message = answer["choices"][0]["message"]
    assert message["content"] == SCRIPTED_ANSWER
    assert message["reasoning_content"] == SCRIPTED_REASONING
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["usage"]["completion_tokens"] == len(SCRIPT) + 1  # the end is a token too


def test_stream_gives_the_same_as_the_whole_answer(scripted: Worker) -> None:
    body = {**HELLO, "stream_options": {"include_usage": True}}
    chunks = list(scripted.stream("/v1/chat/completions", body))
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    assert deltas[0]["role"] == "assistant"
    assert "".join(delta.get("content") or "" for delta in deltas) == SCRIPTED_ANSWER
    reasoning = "".join(delta.get("reasoning_content", "") for delta in deltas)
    assert reasoning == SCRIPTED_REASONING
    assert [c["finish_reason"] for chunk in chunks for c in chunk["choices"]][-1] == "stop"
    assert chunks[-1]["choices"] == []
    usage, timings = chunks[-1]["usage"], chunks[-1]["timings"]
    assert usage["prompt_tokens"] == timings["prompt_n"] + timings["cache_n"]
    assert usage["completion_tokens"] == timings["predicted_n"]


def test_progress_of_the_prefill_reaches_the_whole_prompt(tiny_minimax: Path) -> None:
    with running_worker(tiny_minimax, ubatch=64) as running:
        body = {
            "messages": [{"role": "user", "content": "word " * 100}],
            "max_tokens": 1,
            "return_progress": True,
        }
        chunks = list(running.stream("/v1/chat/completions", body))
    steps = [chunk["prompt_progress"] for chunk in chunks if "prompt_progress" in chunk]
    assert len(steps) > 3
    assert [step["processed"] for step in steps] == sorted(step["processed"] for step in steps)
    assert steps[0]["processed"] == steps[0]["cache"] == 0
    assert steps[-1]["processed"] == steps[-1]["total"]
    assert all(step["total"] == steps[0]["total"] for step in steps)


def test_stop_texts_end_the_answer_before_them(scripted: Worker) -> None:
    answer = scripted.chat("Hello", stop=["small model"])
    assert answer["choices"][0]["message"]["content"] == "Hello! I am a very "
    assert answer["choices"][0]["finish_reason"] == "stop"


def test_max_tokens_ends_with_length(worker: Worker) -> None:
    answer = worker.chat("Hello", max_tokens=3)
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == 3


def test_same_seed_same_answer_other_seed_another(worker: Worker) -> None:
    def text(seed: int) -> str:
        answer = worker.chat("Hello", temperature=1.0, seed=seed, max_tokens=40)
        content: str = answer["choices"][0]["message"]["content"]
        return content

    assert text(1) == text(1)
    assert text(1) != text(2)


def test_logprobs_are_of_the_chosen_tokens_and_sorted(worker: Worker) -> None:
    answer = worker.chat("Hello", max_tokens=4, logprobs=True, top_logprobs=3)
    entries = answer["choices"][0]["logprobs"]["content"]
    assert len(entries) == 4
    for entry in entries:
        top = [one["logprob"] for one in entry["top_logprobs"]]
        assert top == sorted(top, reverse=True)
        assert entry["logprob"] == top[0]  # temperature 0 takes the likeliest
        assert entry["logprob"] <= 0


def test_json_schema_binds_the_answer(worker: Worker) -> None:
    schema = {
        "type": "object",
        "properties": {"colour": {"enum": ["red", "blue"]}},
        "required": ["colour"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    answer = worker.chat("Hello", temperature=1.0, seed=5, max_tokens=200, response_format=form)
    parsed = json.loads(answer["choices"][0]["message"]["content"])
    assert parsed["colour"] in {"red", "blue"}


def test_grammar_binds_a_completion(worker: Worker) -> None:
    grammar = 'root ::= "yes" | "no"'
    for seed in range(4):
        answer = worker.complete("x", temperature=1.5, seed=seed, max_tokens=20, grammar=grammar)
        assert answer["choices"][0]["text"] in {"yes", "no"}


def test_broken_grammar_is_refused(worker: Worker) -> None:
    answer = worker.client.post("/v1/completions", json={"prompt": "x", "grammar": "root ::= ("})
    assert answer.status_code == 400
    assert "grammar" in answer.json()["error"]["message"].lower()


def test_prompt_longer_than_the_context_is_refused_with_both_numbers(worker: Worker) -> None:
    body = {"messages": [{"role": "user", "content": "x" * 3000}]}
    answer = worker.client.post("/v1/chat/completions", json=body)
    error = answer.json()["error"]
    assert answer.status_code == 400
    assert error["type"] == "exceed_context_size_error"
    assert error["n_ctx"] == 1024
    assert error["n_prompt_tokens"] > 3000
    assert str(error["n_prompt_tokens"]) in error["message"]


def test_answer_that_fills_the_context_ends_with_length(worker: Worker) -> None:
    answer = worker.complete("x" * 990, ignore_eos=True)
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["total_tokens"] == 1024 + 1  # the last one needs no room in the cache


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", b"{"),
        ("/v1/chat/completions", b"[]"),
        ("/v1/chat/completions", b'{"messages": []}'),
        ("/v1/chat/completions", b'{"messages": [{"role": "user"}]}'),
        ("/v1/chat/completions", b'{"messages": 1, "temperature": "hot"}'),
        ("/v1/completions", b"{}"),
        ("/v1/completions", b'{"prompt": [99999999]}'),
        ("/v1/completions", b'{"prompt": "x", "max_tokens": -5}'),
        ("/v1/completions", b'{"prompt": "x", "logit_bias": {"9999999": 1}}'),
        ("/v1/completions", b'{"prompt": "x", "n": 2}'),
        ("/tokenize", b"{}"),
        ("/detokenize", b'{"tokens": ["a"]}'),
        ("/detokenize", b'{"tokens": [-1]}'),
        ("/v1/completions", b"[" * 100_000),
        ("/v1/completions", b'{"prompt": "\xff"}'),
    ],
)
def test_bad_bodies_are_refused_in_words_and_harm_nothing(
    worker: Worker, path: str, body: bytes
) -> None:
    answer = worker.client.post(path, content=body)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert len(error["message"]) > 10
    assert worker.chat("Hello", max_tokens=1)["usage"]["completion_tokens"] == 1


def test_unknown_path_and_method_are_errors_of_the_same_shape(worker: Worker) -> None:
    assert worker.client.get("/nothing").json()["error"]["code"] == 404
    assert worker.client.get("/v1/chat/completions").json()["error"]["code"] == 405


def test_tokenize_and_detokenize_are_each_others_inverse(worker: Worker) -> None:
    text = "naïve 漢字 🙂 <think>"
    tokens = worker.client.post("/tokenize", json={"content": text}).json()["tokens"]
    assert worker.client.post("/detokenize", json={"tokens": tokens}).json()["content"] == text


def test_tokenizing_a_conversation_counts_what_a_prompt_of_it_costs(worker: Worker) -> None:
    counted = worker.client.post("/tokenize", json={"messages": HELLO["messages"]}).json()
    assert counted["max_model_len"] == 1024
    assert counted["count"] == worker.chat("Hello", max_tokens=1)["usage"]["prompt_tokens"]


def test_a_count_alone_comes_without_the_ids(worker: Worker) -> None:
    for what in ({"content": "naïve 漢字"}, {"messages": HELLO["messages"]}):
        whole = worker.client.post("/tokenize", json=what).json()
        counted = worker.client.post("/tokenize", json={**what, "count_only": True}).json()
        assert len(whole.pop("tokens")) == counted["count"] > 0
        assert counted == whole


def test_text_stays_valid_when_a_character_spans_tokens(worker: Worker) -> None:
    grammar = 'root ::= "né 漢字 🙂."'
    body = {"prompt": "x", "grammar": grammar, "temperature": 0, "max_tokens": 60}
    chunks = list(worker.stream("/v1/completions", body))
    texts = [choice["text"] for chunk in chunks for choice in chunk["choices"]]
    assert "".join(texts) == "né 漢字 🙂."
    assert not any("\ufffd" in text for text in texts)


def test_requests_beyond_the_parallel_ones_wait_and_are_served(worker: Worker) -> None:
    with ThreadPoolExecutor(8) as pool:
        prompts = [f"Question {number}" for number in range(8)]
        answers = list(pool.map(lambda text: worker.chat(text, max_tokens=30), prompts))
    assert all(answer["usage"]["completion_tokens"] > 0 for answer in answers)
    assert worker.metric("m1desk_requests_running") == 0


def test_metrics_count_what_was_read_and_written(worker: Worker) -> None:
    before = {
        name: worker.metric(name)
        for name in ("m1desk_prompt_tokens_total", "m1desk_prompt_tokens_reused_total")
    }
    written = worker.metric("m1desk_generated_tokens_total")
    usage = worker.chat("Something not asked before", max_tokens=5)["usage"]
    read = worker.metric("m1desk_prompt_tokens_total") - before["m1desk_prompt_tokens_total"]
    reused = (
        worker.metric("m1desk_prompt_tokens_reused_total")
        - before["m1desk_prompt_tokens_reused_total"]
    )
    assert read + reused == usage["prompt_tokens"]
    assert reused == usage["prompt_tokens_details"]["cached_tokens"]
    assert worker.metric("m1desk_generated_tokens_total") - written == usage["completion_tokens"]


async def test_no_answer_waits_for_the_receipt_of_its_beginning() -> None:
    found: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def on_connection(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted = writer.get_extra_info("socket")
        found.set_result(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    listener = bind(0)
    async with await asyncio.start_server(on_connection, sock=listener):
        _, writer = await asyncio.open_connection(*listener.getsockname())
        assert await found
        writer.close()


def test_port_taken_is_said(tiny_llama: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        process = launch(command(tiny_llama, port=holder.getsockname()[1]))
        (event,) = read_events(process)
        process.communicate()
    assert isinstance(event, Failed)
    assert event.reason == "port_taken"
    assert process.returncode == 1


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "bad_model_file"),
        (b"not a model at all", "bad_model_file"),
        (None, "bad_model_file"),
    ],
)
def test_unusable_file_is_said(
    tmp_path: Path, tiny_llama: Path, content: bytes | None, reason: str
) -> None:
    broken = tmp_path / "broken.gguf"
    whole = tiny_llama.read_bytes()
    broken.write_bytes(whole[: len(whole) // 2] if content is None else content)
    process = launch(command(broken))
    events = list(read_events(process))
    process.communicate()
    assert isinstance(events[-1], Failed)
    assert events[-1].reason == reason
    assert process.returncode == 1


def test_settings_that_contradict_each_other_are_refused(tiny_llama: Path) -> None:
    process = launch(command(tiny_llama, kv_type="q8_0", flash_attention="off"))
    *_, event = read_events(process)
    process.communicate()
    assert isinstance(event, Failed)
    assert event.reason == "bad_settings"
    assert "flash attention" in event.detail


def test_it_ends_on_a_signal_even_in_mid_answer(tiny_llama: Path) -> None:
    with running_worker(tiny_llama, context=4096) as running:
        body = {"prompt": "x", "ignore_eos": True, "stream": True}
        with running.client.stream("POST", "/v1/completions", json=body) as answer:
            next(answer.iter_lines())
            running.process.terminate()
        try:
            running.process.wait(10)
        except subprocess.TimeoutExpired:
            pytest.fail("the worker did not end")
    assert running.process.returncode in {0, -signal.SIGTERM}
