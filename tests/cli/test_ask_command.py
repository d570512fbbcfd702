"""`m1desk ask` on documents that do not fit: refused, loaded again with more, or in passes."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import psutil
import pytest
from support.quoting import QUOTE, SCRIPT
from support.windows import alive
from test_command_line import m1desk

from m1desk.documents import DocumentSets, read_documents
from m1desk.engines.calibration import EngineCalibration, calibration_key
from m1desk.llama_worker.tiny_model import TinyModelSpec, write_tiny_model
from m1desk.store import Database, Folders, Measurements

if TYPE_CHECKING:
    from pathlib import Path

PAGE = "This clause of the contract is dull, and so is the next one.\n"


@pytest.fixture(autouse=True)
def _calibrated(home: Path) -> None:
    with Database(Folders.under(home).database) as database:
        safe = EngineCalibration(threads=1, self_test="safe_only")
        Measurements(database).put(calibration_key(), safe.to_dict())


@pytest.fixture(scope="session")
def model(tiny_models: Path) -> Path:
    spec = TinyModelSpec(
        architecture="minimax-01", name="quoting", script=SCRIPT, context_tokens=32_768
    )
    return write_tiny_model(tiny_models / "quoting-cli-F32.gguf", spec)


@pytest.fixture
def contract(tmp_path: Path) -> Path:
    path = tmp_path / "contract.txt"
    path.write_text(f"{PAGE * 60}{QUOTE}\n{PAGE * 180}")
    return path


def test_what_does_not_fit_is_refused_and_the_option_is_named(model: Path, contract: Path) -> None:
    done = m1desk("ask", contract, "-q", "How long?", "--model", model, "--context", 2048)
    assert done.returncode == 1
    assert "tokens are too many" in done.stderr
    assert "--passes" in done.stderr


def test_in_passes_it_is_answered_with_what_each_pass_said(model: Path, contract: Path) -> None:
    done = m1desk(
        "ask", contract, "-q", "How long?", "--model", model, "--context", 2048, "--passes",
        "--max-tokens", 100, "--temperature", 0, "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    read = [one for one in answer["passes"] if not one["combines"]]
    assert len(read) > 1
    assert answer["outcome"] == "combined"
    assert answer["pages_left_out"] == []
    assert [one["status"] for one in answer["citations"]] == ["verified"]
    assert all(one["receipt"]["agrees"] for one in answer["passes"])
    assert answer["receipt"]["expected_tokens"] == sum(
        one["receipt"]["expected_tokens"] for one in answer["passes"]
    )
    assert "Pass 1 of" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")
def test_a_killed_call_leaves_its_passes_to_the_next_one(
    model: Path, home: Path, tmp_path: Path
) -> None:
    long = tmp_path / "contract.txt"
    long.write_text(f"{PAGE * 60}{QUOTE}\n{PAGE * 600}")
    with Database(Folders.under(home).database) as database:
        sets = DocumentSets(database)
        set_id = sets.create("Contract")
        sets.add(set_id, asyncio.run(read_documents([long])))
        words = (
            "ask", "--prepared", "Contract", "-q", "How long?", "--model", model,
            "--context", 2048, "--passes", "--max-tokens", 100, "--temperature", 0, "--json",
        )  # fmt: skip

        kill_in_its_third_pass(words)
        (question,) = sets.questions(set_id)
        kept = question.details.passes
        assert len(kept) >= 2

        done = m1desk(*words)
        assert done.returncode == 0, done.stderr
        passes = json.loads(done.stdout)["passes"]
        assert len(passes) > len(kept)
        assert [one["seconds"] for one in passes[: len(kept)]] == [
            one.details.seconds for one in kept
        ]
        assert f"Pass {len(kept)} of" not in done.stderr
        assert f"Pass {len(kept) + 1} of" in done.stderr
        (question,) = sets.questions(set_id)
        assert question.state == "complete"
        assert len(question.details.passes) == len(passes)


def kill_in_its_third_pass(words: tuple[object, ...]) -> None:
    line = [sys.executable, "-m", "m1desk", *map(str, words)]
    with psutil.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as call:
        try:
            assert any("Pass 3 of" in said for said in call.stderr)
            family = call.children(recursive=True)
        finally:
            call.kill()
    assert alive(family) == []


def test_a_context_guessed_too_small_is_loaded_again_with_what_is_needed(
    model: Path, tmp_path: Path
) -> None:
    signs = tmp_path / "signs.txt"
    signs.write_text(f"{'~!@#$%^&*()_+|}{' * 800}\n{QUOTE}\n")  # each a token, or more, of its own
    done = m1desk("ask", signs, "-q", "How long?", "--model", model, "--temperature", 0, "--json")
    assert done.returncode == 0, done.stderr
    assert "loaded again with a context of" in done.stderr
    assert json.loads(done.stdout)["receipt"]["agrees"]
