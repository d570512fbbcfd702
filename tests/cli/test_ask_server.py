"""`m1desk ask --server`: questions about documents, answered by a remote server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from support.quoting import QUOTE, SCRIPT
from support.reverse_proxy import ReverseProxy
from support.serving import serving
from support.worker import KEY, Worker, running_worker

from m1desk.engines import ProfileStore, ServerProfile
from m1desk.llama_worker.tiny_model import TinyModelSpec, write_tiny_model
from m1desk.store import Database, Folders

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGE = "This clause of the contract is dull, and so is the next one.\n"
QUIET = ("--max-tokens", "100", "--temperature", "0", "--json")


@pytest.fixture(scope="module")
def worker(tiny_models: Path) -> Iterator[Worker]:
    spec = TinyModelSpec(
        architecture="minimax-01", name="quoting", script=SCRIPT, context_tokens=32_768
    )
    model = write_tiny_model(tiny_models / "quoting-server-F32.gguf", spec)
    with running_worker(model, context=2048) as running:
        yield running


@pytest.fixture
def url(worker: Worker) -> str:
    return str(worker.client.base_url).rstrip("/")


@pytest.fixture
def contract(tmp_path: Path) -> Path:
    path = tmp_path / "contract.txt"
    path.write_text(f"{PAGE * 4}{QUOTE}\n{PAGE * 4}")
    return path


def add(home: Path, name: str, url: str) -> None:
    with Database(Folders.under(home).database) as database:
        ProfileStore(database).add(ServerProfile(name, url, wants_key=True))


def ask(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "m1desk", "ask", *map(str, arguments), "-q", "How long?"],
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
        env={**os.environ, "M1DESK_SERVER_KEY": KEY},
    )


def test_a_server_answers_with_checked_quotes(url: str, contract: Path, home: Path) -> None:
    add(home, "lab", url)
    done = ask(contract, "--server", "lab", *QUIET)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["model"] == "quoting on lab"
    assert [one["status"] for one in answer["citations"]] == ["verified"]
    assert answer["receipt"]["agrees"]  # our worker counts as it reads
    assert f"{url} (lab) answers." in done.stderr


def test_documents_too_long_for_it_are_asked_in_passes(
    url: str, contract: Path, home: Path
) -> None:
    contract.write_text(f"{PAGE * 60}{QUOTE}\n{PAGE * 180}")
    add(home, "lab", url)
    refused = ask(contract, "--server", "lab", *QUIET)
    assert refused.returncode == 1
    assert "--passes" in refused.stderr
    done = ask(contract, "--server", "lab", "--passes", *QUIET)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert len(answer["passes"]) > 2
    assert answer["outcome"] == "combined"


def test_estimates_are_called_so(url: str, contract: Path, home: Path) -> None:
    with serving(ReverseProxy(url, only=("/v1", "/health")).app) as behind:
        add(home, "bare", behind)
        done = ask(contract, "--server", "bare", *QUIET)
    assert done.returncode == 0, done.stderr
    assert "lengths are estimates" in done.stderr
    receipt = json.loads(done.stdout)["receipt"]
    assert (receipt["estimated"], receipt["agrees"]) == (True, True)
    assert receipt["read_tokens"] + receipt["reused_tokens"] > 0


def test_a_model_and_a_server_are_not_both_asked(contract: Path) -> None:
    assert ask(contract, "--server", "lab", "--model", contract).returncode == 2


def test_a_server_nobody_added_is_refused(contract: Path) -> None:
    done = ask(contract, "--server", "nobody")
    assert done.returncode == 1
    assert 'There is no server "nobody"' in done.stderr
