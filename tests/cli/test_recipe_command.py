"""`m1desk recipe` as a person or a script sees it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from m1desk.cli.commands import run_command_line

KEYS = {
    "model", "cluster", "target", "context_tokens", "verdict", "vllm_version", "nodes",
    "gpus_per_node", "tensor_parallel", "pipeline_parallel", "quantization",
    "weights_bytes_per_gpu", "cache_tokens", "reasons", "alternatives", "notes", "files", "remote",
}  # fmt: skip


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("M1DESK_HOME", str(tmp_path / "home"))


def run(*words: str) -> int:
    return run_command_line(["recipe", *words])


def test_files_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("MiniMax-M1-80k", "--cluster", "2x8xH100", "--for", "slurm") == 0
    shown = capsys.readouterr().out
    assert "It fits on 2 x 8 GPUs." in shown
    assert "----- serve.sbatch\n#!/usr/bin/env bash\n#SBATCH --job-name=minimax-m1-80k" in shown
    assert "MiniMaxAI/MiniMax-M1-80k" in shown


def test_files_are_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "recipe"
    words = ("--cluster", "8xH100", "--for", "shell", "--out", str(folder), "--json")
    assert run("minimaxai/minimax-m1-40k", *words) == 0
    report = json.loads(capsys.readouterr().out)
    assert set(report) == KEYS
    assert report["tensor_parallel"] == 8
    assert {one["name"] for one in report["files"]} == {path.name for path in folder.iterdir()}
    assert all((folder / one["name"]).read_text() == one["text"] for one in report["files"])
    assert report["remote"]["base_url"] == "https://localhost:8443"


def test_what_does_not_fit_is_refused_with_what_would(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "recipe"
    words = ("--cluster", "4xH100", "--for", "compose", "--out", str(folder))
    assert run("MiniMax-M1-80k", *words) == 1
    said = capsys.readouterr().err
    assert "does not run on 1x4xH100" in said
    assert "missing on each GPU" in said
    assert "1x4xH200 has room." in said
    assert not folder.exists()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("MiniMax-M1-80k", "--cluster", "8xH100", "--for", "nomad"), "no target"),
        (("MiniMax-M1-80k", "--cluster", "eight", "--for", "shell"), "2x8xH100"),
        (("nobody-knows", "--cluster", "8xH100", "--for", "shell"), "not known"),
        (
            ("MiniMax-M1-80k", "--cluster", "8xH100", "--for", "shell", "--quantization", "int2"),
            "experts_int8",
        ),
        (
            ("MiniMax-M1-80k", "--cluster", "8xH100", "--for", "shell", "--vllm-version", "0.30.0"),
            "0.23.0",
        ),
    ],
)
def test_misuse_is_answered(
    words: tuple[str, ...], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*words) == 1
    assert why in capsys.readouterr().err


def test_more_for_vllm(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("Qwen3-32B", "--cluster", "2x8xH100", "--for", "shell", "--model-path", "/models/q")
    given = ("--launcher", "module", "--arguments", "--dtype 'float 32'", "--variable", "A=b=c")
    assert run(*words, *given) == 0
    shown = capsys.readouterr().out
    started = shown.partition("engine=(")[2].split()
    assert started[:5] == ["python3", "-m", "vllm.entrypoints.cli.main", "serve", "/models/q"]
    assert "    --dtype 'float 32'\n" in shown
    assert "\nexport A=b=c\n" in shown


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (("--launcher", "docker"), "no way to start vLLM"),
        (("--arguments", "'open"), "can't be read"),
        (("--variable", "A"), "has no value"),
        (("--variable", "VLLM_API_KEY=x"), "holds no key"),
        (("--arguments", "--api-key=x"), "holds no key"),
        (("--arguments", "--api-key x"), "holds no key"),
    ],
)
def test_more_for_vllm_that_makes_no_sense(
    given: tuple[str, ...], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("MiniMax-M1-80k", "--cluster", "2x8xH100", "--for", "shell", *given) == 1
    assert why in capsys.readouterr().err
