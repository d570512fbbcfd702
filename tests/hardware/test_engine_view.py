"""Asking the engine for its devices, also when its child process misbehaves."""

import json
import sys
from pathlib import Path

import psutil
import pytest

from m1desk.hardware.engine_view import ask_engine, devices_command, parse_devices


def script(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


def test_the_real_engine_lists_its_processor_first_or_last() -> None:
    view = ask_engine()
    assert view.note == ""
    cpus = [device for device in view.devices if device.kind == "cpu"]
    assert len(cpus) == 1
    assert cpus[0].backend == "CPU"
    assert cpus[0].total_bytes == psutil.virtual_memory().total


def test_the_command_works_from_any_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert ask_engine().note == ""


def test_a_missing_library_is_said_in_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LLAMA_CPP_LIB_PATH", str(tmp_path))
    view = ask_engine(devices_command())
    assert view.devices == ()
    assert "ggml-base" in view.note
    assert str(tmp_path) in view.note


def test_a_library_of_another_kind_is_said_in_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "libggml-base.so").write_bytes(b"not a library")
    (tmp_path / "ggml-base.dll").write_bytes(b"not a library")
    monkeypatch.setenv("LLAMA_CPP_LIB_PATH", str(tmp_path))
    assert "could not be read" in ask_engine().note


def test_a_crash_names_the_signal_and_the_last_words() -> None:
    view = ask_engine(
        script("import os,sys; print('CUDA error: gone', file=sys.stderr); os.abort()")
    )
    assert view.devices == ()
    assert "SIGABRT" in view.note
    assert "CUDA error: gone" in view.note
    assert "\n" not in view.note


def test_a_hanging_driver_is_given_up() -> None:
    view = ask_engine(script("import time; time.sleep(60)"), timeout=0.5)
    assert "no answer within 0.5 s" in view.note


def test_an_exit_code_without_an_answer_is_told() -> None:
    assert "code 3" in ask_engine(script("raise SystemExit(3)")).note


def test_a_program_that_is_not_there_is_told() -> None:
    assert "could not be read" in ask_engine(("/nowhere/python",)).note


def test_chatter_of_drivers_around_the_answer_is_ignored() -> None:
    answer = {
        "name": "CUDA0",
        "description": "A card",
        "kind": "gpu",
        "free_bytes": 1,
        "total_bytes": 2,
        "pci_id": "0000:0A:00.0",
        "backend": "CUDA",
    }
    output = f"ggml_cuda_init: found 1\n{json.dumps({'devices': [answer]})}\nbye\n"
    (device,) = parse_devices(output).devices
    assert (device.name, device.kind, device.pci_id) == ("CUDA0", "gpu", "0000:0a:00.0")


def test_kinds_of_later_versions_are_unknown_not_an_error() -> None:
    entry = {"name": "X", "description": "", "kind": "npu", "free_bytes": 0, "total_bytes": 0}
    assert parse_devices(json.dumps({"devices": [entry]})).devices[0].kind == "unknown"


@pytest.mark.parametrize("output", ["", "hello", '{"devices": 3}', '{"devices": [{}]}', "{broken"])
def test_nonsense_is_not_understood(output: str) -> None:
    view = parse_devices(output)
    assert view.devices == ()
    assert "not understood" in view.note
