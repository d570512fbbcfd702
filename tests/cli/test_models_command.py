"""`m1desk models` as a person or a script meets it: real processes and a hub of our own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.hub_server import HubServer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def hub(tiny_llama: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    with HubServer() as server:
        files: dict[str, Path | bytes] = {"tiny-F32.gguf": tiny_llama, "tiny-Q8_0.gguf": b"x" * 99}
        server.add("me/tiny-GGUF", files, "gguf", "license:mit", "base_model:quantized:me/tiny")
        monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
        monkeypatch.setenv("HF_HUB_OFFLINE", "0")
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
        monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "ollama"))
        monkeypatch.setenv("HOME", str(tmp_path))
        yield server


def models(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "m1desk", "models", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def as_json(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_model_is_found_fetched_listed_checked_and_removed(hub: HubServer, home: Path) -> None:
    found = as_json(models("search", "tiny", "--json"))
    assert [entry["repo_id"] for entry in found["hub"]] == ["me/tiny-GGUF"]
    got = as_json(models("download", "me/tiny-GGUF", "f32", "--json"))
    assert got["path"] == str(home / "models" / "me" / "tiny-GGUF" / "tiny-F32.gguf")
    (listed,) = as_json(models("list", "--json"))["models"]
    assert listed["source"] == "m1desk"
    assert listed["architecture"] == "llama"
    checked = as_json(models("verify", "tiny-F32", "--json"))
    assert checked["verdict"] == "verified"
    refused = models("remove", "tiny-F32")
    assert refused.returncode == 1
    assert "--yes" in refused.stderr
    removed = as_json(models("remove", "tiny-F32", "--yes", "--json"))
    assert removed["freed_bytes"] == got["size_bytes"]
    assert as_json(models("list", "--json"))["models"] == []


def test_quantizations_of_a_model_are_listed(hub: HubServer) -> None:
    done = models("search", "--quantizations-of", "me/tiny")
    assert done.returncode == 0
    assert "me/tiny-GGUF" in done.stdout


def test_a_damaged_model_fails_the_check(hub: HubServer) -> None:
    path = Path(as_json(models("download", "me/tiny-GGUF", "F32", "--json"))["path"])
    with path.open("r+b") as file:
        file.seek(-8, os.SEEK_END)
        file.write(b"\xff" * 8)
    done = models("verify", path)
    assert done.returncode == 1
    assert "is not sound" in done.stderr


def test_without_a_variant_those_there_are_are_named(hub: HubServer) -> None:
    done = models("download", "me/tiny-GGUF")
    assert done.returncode == 1
    assert "F32" in done.stderr
    assert "Q8_0" in done.stderr


def test_minimax_m1_is_in_the_catalog_and_says_that_there_is_no_gguf(hub: HubServer) -> None:
    found = as_json(models("search", "MiniMax-M1", "--json"))
    assert [entry["id"] for entry in found["catalog"]] == ["minimax-m1-80k", "minimax-m1-40k"]
    done = models("download", "minimax-m1-80k")
    assert done.returncode == 1
    assert "No GGUF of MiniMax-M1-80k is known" in done.stderr


def test_offline_the_catalog_still_answers(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    done = models("search", "MiniMax-M1", "--json")
    assert "Offline mode" in as_json(done)["note"]
    assert models("search", "no-such-model").returncode == 1
    assert hub.requests == []


def test_interrupted_and_asked_again_it_goes_on(hub: HubServer, home: Path) -> None:
    slow = hub.fault("storage", bytes_per_second=200_000)
    command = [sys.executable, "-m", "m1desk", "models", "download", "me/tiny-GGUF", "F32"]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as running:
        part = home / "models" / "me" / "tiny-GGUF" / "tiny-F32.gguf.part"
        while running.poll() is None and not hub.served:
            time.sleep(0.02)
        time.sleep(0.3)
        running.send_signal(signal.SIGINT)
        assert running.wait(20) == 130
        assert running.stderr is not None
        assert b"Traceback" not in running.stderr.read()
    there = part.stat().st_size
    slow.times = 0
    assert models("download", "me/tiny-GGUF", "F32").returncode == 0
    assert hub.served[-1].start == there
