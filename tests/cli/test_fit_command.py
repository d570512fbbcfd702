"""`m1desk fit` as a person or a script sees it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
from huggingface_hub import close_session, constants
from support.hub_server import HubServer

from m1desk.cli.commands import run_command_line
from m1desk.engines.fingerprint import machine_fingerprint
from m1desk.fit import SpeedRecord, keep_record
from m1desk.fit.data import read_resource
from m1desk.llama_worker.tiny_model import TinyModelSpec, write_tiny_model
from m1desk.models import read_gguf_header
from m1desk.store import Database, Folders, Measurements

KEYS = {
    "name", "weights_bytes", "kv_cache_bytes", "state_bytes", "compute_bytes", "total_bytes",
    "verdict", "max_context_tokens", "prefill_tokens_per_second", "decode_tokens_per_second",
    "reasons",
}  # fmt: skip


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("M1DESK_HOME", str(tmp_path / "home"))


def test_m1_on_a_strix_halo_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["fit", "MiniMax-M1-80k", "--machine", "strix-halo-128", "--context", "131072"]
    assert run_command_line([*arguments, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    by_name = {one["name"]: one for one in report["variants"]}
    assert all(set(one) == KEYS for one in report["variants"])
    one = by_name["Q4_K_M"]
    assert one["weights_bytes"] / 2**30 == pytest.approx(257.9, rel=0.01)
    assert one["kv_cache_bytes"] == 5 * 2**30
    assert one["state_bytes"] == 293_601_280
    parts = ("weights_bytes", "kv_cache_bytes", "state_bytes", "compute_bytes")
    assert one["total_bytes"] == sum(one[part] for part in parts)
    assert by_name["IQ1_M"]["verdict"] == "fits_gpu"
    low, high = by_name["IQ1_M"]["decode_tokens_per_second"]
    assert 0 < low < high


def test_a_file_on_this_machine_exactly(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_tiny_model(tmp_path / "tiny.gguf", TinyModelSpec(architecture="minimax-01"))
    assert run_command_line(["fit", str(path), "--context", "1024", "--exact", "--json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)["variants"]
    # the engine says sizes in hundredths of a MiB
    assert one["kv_cache_bytes"] == pytest.approx(1024 * 2 * 2 * 16 * 2, abs=10_500)
    assert one["verdict"] in {"fits_gpu", "fits_offload"}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    with HubServer() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
        yield server
        close_session()


def test_a_repository_is_planned_by_its_headers_alone(
    hub: HubServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = TinyModelSpec(architecture="minimax-01", vocabulary_tokens=4096)
    path = write_tiny_model(tmp_path / "tiny.gguf", spec)
    hub.add("maker/Tiny-GGUF", {"Tiny-Q8_0.gguf": path.read_bytes()}, "gguf")
    line = ["fit", "maker/Tiny-GGUF", "--machine", "laptop-16", "--json", "--exact"]
    assert run_command_line(line) == 0
    (one,) = json.loads(capsys.readouterr().out)["variants"]
    assert one["name"] == "Q8_0"
    assert one["weights_bytes"] == read_gguf_header(path).weights_bytes


def test_a_checkpoint_without_ggufs_is_planned_by_its_config(
    hub: HubServer, capsys: pytest.CaptureFixture[str]
) -> None:
    config = read_resource("models/minimax-m1.json")["config"]
    files = {
        "config.json": json.dumps(config).encode(),
        "model.safetensors": b"\2" + bytes(7) + b"{}",
    }
    hub.add("maker/Another-M1", files, "safetensors")
    line = ["fit", "maker/Another-M1", "--machine", "h100-x8", "--json", "--variant", "Q4_K_M"]
    assert run_command_line(line) == 0
    (one,) = json.loads(capsys.readouterr().out)["variants"]
    assert one["weights_bytes"] / 2**30 == pytest.approx(257.9, rel=0.001)


def test_a_table_for_people_with_the_cost(capsys: pytest.CaptureFixture[str]) -> None:
    line = ["fit", "MiniMax-M1-80k", "--variant", "IQ1_M", "--machine", "dgx-spark", "--cost"]
    assert run_command_line(line) == 0
    out = capsys.readouterr().out
    assert "IQ1_M" in out
    assert "It takes" in out
    assert "the first token after" in out
    assert "electricity_usd_kwh" in out


@pytest.fixture
def answered() -> SpeedRecord:
    """A real answer's record, kept in the database of this test."""
    record = SpeedRecord("MiniMax-M1-80k", "IQ1_M", "cpu", 3100, 80.0, 8.0, 100.0, 10.0, 0.5, 1e9)
    with Database(Folders.resolve().database) as database:
        keep_record(Measurements(database), machine_fingerprint(), record)
    return record


def test_what_real_answers_gave_stands_beside_what_is_predicted(
    answered: SpeedRecord, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["fit", "MiniMax-M1-80k", "--variant", "IQ1_M", "--variant", "Q8_0"]
    assert run_command_line(line) == 0
    out = capsys.readouterr().out
    assert "Here, measured: prefill 100.0 tok/s (1 answer), decode 10.0 tok/s (1 answer)." in out
    assert out.count("Here, measured") == 1
    assert run_command_line([*line, "--machine", "dgx-spark"]) == 0
    assert "Here, measured" not in capsys.readouterr().out


def test_predicted_and_actual_speeds_are_listed(
    answered: SpeedRecord, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command_line(["fit", "--history"]) == 0
    out = capsys.readouterr().out
    assert "MiniMax-M1-80k IQ1_M" in out
    assert "8.0 / 10.0 -20%" in out
    assert run_command_line(["fit", "--history", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [asdict(answered)]


def test_without_answers_the_history_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["fit", "--history"]) == 0
    assert "No answer" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [["fit"], ["fit", "no-such-model"], ["fit", "MiniMax-M1-80k", "--machine", "cray-1"],
     ["fit", "MiniMax-M1-80k", "--variant", "Q9"], ["fit", "no-such-file.gguf"]],
)  # fmt: skip
def test_mistakes_are_explained(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(arguments) == 1
    assert "Error:" in capsys.readouterr().err
