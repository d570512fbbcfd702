"""The command line as a person or a script meets it: real processes, real engine, real errors."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import httpx
import psutil
import pytest
from support.gguf_surgery import read_gguf
from support.models import SCRIPTED_ANSWER, SCRIPTED_REASONING

from m1desk.engines.calibration import EngineCalibration, calibration_key
from m1desk.store import Database, Folders, Measurements

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _calibrated(home: Path) -> None:
    """Spare each test the ten seconds of a first start; safe settings run on every machine."""
    folders = Folders.under(home)
    with Database(folders.database) as database:
        safe = EngineCalibration(threads=1, self_test="safe_only")
        Measurements(database).put(calibration_key(), safe.to_dict())


def m1desk(*arguments: object, **more: Any) -> subprocess.CompletedProcess[str]:
    """Run `m1desk` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "m1desk", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **more,
    )


def test_chat_streams_the_answer_to_stdout_and_the_rest_to_stderr(scripted_minimax: Path) -> None:
    done = m1desk("chat", scripted_minimax, "--prompt", "Hello", "--temperature", 0)
    assert done.returncode == 0, done.stderr
    assert done.stdout == SCRIPTED_ANSWER + "\n"
    assert SCRIPTED_REASONING in done.stderr
    assert "prompt tokens" in done.stderr


def test_chat_reads_the_question_from_a_pipe_and_answers_in_json(scripted_minimax: Path) -> None:
    done = m1desk("chat", scripted_minimax, "--json", "--temperature", 0, input="Hello\n")
    answer = json.loads(done.stdout)
    assert answer["answer"] == SCRIPTED_ANSWER
    assert answer["reasoning"] == SCRIPTED_REASONING
    assert answer["finish_reason"] == "stop"
    assert answer["prompt_tokens"] > 0
    assert answer["completion_tokens"] == 15


def test_serve_says_where_in_one_line_and_lives_until_interrupted(tiny_llama: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "m1desk", "serve", str(tiny_llama), "--json", "--context", "512"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        where = json.loads(process.stdout.readline())
        assert set(where) == {"base_url", "api_key", "pid", "model"}
        key = {"Authorization": f"Bearer {where['api_key']}"}
        models = httpx.get(f"{where['base_url']}/v1/models", headers=key, trust_env=False).json()
        assert models["data"][0]["id"] == where["model"]
        assert httpx.get(f"{where['base_url']}/v1/models", trust_env=False).status_code == 401
        assert psutil.pid_exists(where["pid"])
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
        assert not psutil.pid_exists(where["pid"])
    finally:
        process.kill()
        process.communicate()


def test_serve_says_so_when_its_engine_is_killed(tiny_llama: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "m1desk", "serve", str(tiny_llama), "--json", "--context", "512"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        os.kill(json.loads(process.stdout.readline())["pid"], signal.SIGKILL)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 1
    assert errors.startswith("Error: ")
    assert "Traceback" not in errors


def test_serve_dies_with_nothing_left_when_killed(tiny_llama: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "m1desk", "serve", str(tiny_llama), "--json", "--context", "512"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        pid = json.loads(process.stdout.readline())["pid"]
        family = psutil.Process(process.pid).children(recursive=True)
        assert pid in {one.pid for one in family}
        process.kill()
    _, alive = psutil.wait_procs(family, timeout=2)
    assert not [one for one in alive if one.status() != psutil.STATUS_ZOMBIE]


def test_doctor_prints_the_machine_and_the_self_test() -> None:
    done = m1desk("doctor")
    assert done.returncode == 0, done.stderr
    assert "Processor" in done.stdout
    assert "self-test passed with the safe settings only" in done.stdout


def test_doctor_in_json_has_the_documented_keys() -> None:
    report = json.loads(m1desk("doctor", "--json", "--no-measure").stdout)
    assert set(report) == {"version", "machine", "engine", "keyring"}
    assert report["machine"]["ram"]["total_bytes"] == psutil.virtual_memory().total
    assert report["engine"]["threads"] == 1
    assert report["keyring"]["usable"] is False


@pytest.mark.parametrize("command", ["chat", "serve"])
@pytest.mark.parametrize("content", [None, b"", b"GGUF", b"something else"])
def test_unusable_models_end_with_a_message_and_no_traceback(
    tmp_path: Path, command: str, content: bytes | None
) -> None:
    model = tmp_path / "model.gguf"
    if content is not None:
        model.write_bytes(content)
    more = ["--prompt", "Hello"] if command == "chat" else []
    done = m1desk(command, model, *more)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("Error: ")
    assert "Traceback" not in done.stderr


def test_prompt_longer_than_the_context_is_refused_with_both_numbers(tiny_llama: Path) -> None:
    done = m1desk("chat", tiny_llama, "--context", 256, "--prompt", "x" * 1000)
    assert done.returncode == 1
    assert "256" in done.stderr
    assert "1,016" in done.stderr
    assert "Traceback" not in done.stderr


def test_misuse_is_explained_on_stderr_with_status_2() -> None:
    for arguments in (("chat",), ("nonsense",), ("serve", "x.gguf", "--context", "0")):
        done = m1desk(*arguments)
        assert done.returncode == 2
        assert done.stdout == ""
        assert done.stderr


def test_what_is_no_text_is_refused_before_the_model_is_loaded(tiny_llama: Path) -> None:
    odd = os.fsdecode(b"caf\xe9")
    for arguments in (("--prompt", odd), ("--prompt", "Hello", "--system", odd)):
        done = m1desk("chat", tiny_llama, *arguments)
        assert done.returncode == 1
        assert "not readable text" in done.stderr
        assert "Traceback" not in done.stderr
    piped = subprocess.run(
        [sys.executable, "-m", "m1desk", "chat", str(tiny_llama)],
        input=b"caf\xe9",
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert piped.returncode == 1
    assert b"not readable text" in piped.stderr


def test_a_terminal_of_another_encoding_shows_what_it_can(scripted_minimax: Path) -> None:
    plain = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = m1desk(
        "chat", scripted_minimax, "--prompt", "é 漢", "--system", "ü", "--temperature", 0, env=plain
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == SCRIPTED_ANSWER + "\n"


def test_a_model_that_crashes_the_engine_ends_with_the_engines_last_words(
    tmp_path: Path, tiny_minimax: Path
) -> None:
    model = read_gguf(tiny_minimax)
    model.metadata["minimax-01.expert_used_count"] = (4, 2**31)
    done = m1desk("chat", model.write(tmp_path / "hostile.gguf"), "--prompt", "Hello")
    assert done.returncode == 1
    assert "crashed while loading" in done.stderr
    assert "GGML_ASSERT" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_impossible_context_is_refused_not_cut(tiny_llama: Path) -> None:
    done = m1desk("chat", tiny_llama, "--context", 99_999_999_999, "--prompt", "Hello")
    assert done.returncode == 1
    assert "can't be loaded with these settings" in done.stderr
    assert "2,147,483,647" in done.stderr


def test_an_empty_pipe_is_no_question(tiny_llama: Path) -> None:
    done = m1desk("chat", tiny_llama, input="")
    assert done.returncode == 1
    assert "no question" in done.stderr


def test_help_and_version_are_quick_words_on_stdout() -> None:
    assert "doctor" in m1desk("--help").stdout
    assert m1desk("--version").stdout.startswith("m1desk 0.")


def test_demo_answers_without_a_model_or_a_screen() -> None:
    done = m1desk("demo")
    assert done.returncode == 0, done.stderr
    assert "45 days" in done.stdout
    assert "[verified] service-contract.pdf p.3" in done.stderr
    assert "that is all that was sent" in done.stderr
    assert "To see the window" in done.stderr


def test_ctrl_c_stops_an_answer_and_ends(tiny_llama: Path) -> None:
    process = subprocess.Popen(
        [
            sys.executable, "-m", "m1desk", "chat", str(tiny_llama),
            "--prompt", "Hello", "--context", "8192",
        ],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.read(1)
    time.sleep(0.1)
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode in {1, 130}
    assert b"Traceback" not in errors
    _, alive = psutil.wait_procs(family, timeout=2)
    assert not alive


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX")
def test_each_ctrl_c_stops_an_answer_and_the_talk_goes_on(tiny_llama: Path) -> None:
    owner, terminal = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "m1desk", "chat", str(tiny_llama), "--max-tokens", "4000"],
        stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True,
    )  # fmt: skip
    os.close(terminal)
    shown = b""

    def until(count: int, words: bytes) -> None:
        nonlocal shown
        while shown.count(words) < count:
            shown += os.read(owner, 4096)

    try:
        for number in range(1, 4):
            until(number, b"\n> ")
            os.write(owner, b"Hello\n")
            until(number, b"Hello\r\n")
            shown += os.read(owner, 4096)  # it begins to answer
            process.send_signal(signal.SIGINT)
        until(4, b"\n> ")
        assert b"[stopped]" in shown
        said = shown.count(b"Ctrl+D ends.")
        for number in range(1, 4):
            process.send_signal(signal.SIGINT)
            until(said + number, b"Ctrl+D ends.")
        os.write(owner, b"\n")
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        os.close(owner)
