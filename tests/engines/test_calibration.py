"""What is found out about a machine once, and remembered, whatever dies in the process."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from crowd import MARK, Crowd, crowd, standin

from m1desk.engines import (
    CalibrationProgress,
    EngineCalibration,
    LlamaSettings,
    calibrate,
    remembered_calibration,
)
from m1desk.engines.calibration import calibration_key
from m1desk.engines.fingerprint import engine_build, machine_fingerprint
from m1desk.engines.llama import choose_flash_attention, make_spec
from m1desk.store import Database, Folders, Measurements


@pytest.fixture
def folders(home: Path) -> Folders:
    return Folders.under(home)


@pytest.fixture
def measurements(folders: Folders) -> Iterator[Measurements]:
    with closing(Database(folders.database)) as database:
        yield Measurements(database)


@pytest.fixture
def people(monkeypatch: pytest.MonkeyPatch) -> Iterator[Crowd]:
    with crowd() as found:
        monkeypatch.setenv(MARK, found.mark)
        yield found
        assert found.count() == 0


async def test_a_sound_machine_uses_all_it_has(
    folders: Folders, measurements: Measurements, people: Crowd
) -> None:
    told: list[CalibrationProgress] = []
    found = await calibrate(folders, measurements, told.append, worker=standin("measure"))
    assert found.self_test == "passed"
    assert found.is_measured
    assert (found.threads, found.extra_buffers, found.decode_tokens_per_second) == (2, True, 10.0)
    assert found.note == ""
    assert remembered_calibration(measurements) == found
    assert [step.stage for step in told] == ["self_test", "measuring", "measuring", "done"]
    assert told[-1].measured == 1
    assert told[-1].best_decode_tokens_per_second == 10.0


async def test_a_machine_that_dies_with_extra_buffers_gets_the_safe_setting(
    folders: Folders, measurements: Measurements, people: Crowd
) -> None:
    worker = standin("selftest-dies-with-extra-buffers")
    found = await calibrate(folders, measurements, worker=worker)
    assert found.self_test == "safe_only"
    assert found.extra_buffers is False
    assert found.threads == 2
    assert "signal 4" in found.note
    assert remembered_calibration(measurements) == found


async def test_measuring_beside_other_programs_says_so(
    folders: Folders, measurements: Measurements, people: Crowd
) -> None:
    found = await calibrate(folders, measurements, worker=standin("measures-amid-others"))
    assert found.disturbed
    assert "Other programs" in found.note
    assert found.flash_attention_gain == 0.9
    assert remembered_calibration(measurements) == found


async def test_measuring_that_dies_with_extra_buffers_is_done_again_without(
    folders: Folders, measurements: Measurements, people: Crowd
) -> None:
    worker = standin("calibration-dies-with-extra-buffers")
    found = await calibrate(folders, measurements, worker=worker)
    assert found.self_test == "safe_only"
    assert (found.extra_buffers, found.threads) == (False, 2)


@pytest.mark.parametrize("behaviour", ["exits:1", "dies-by:SIGSEGV", "bad-alloc", "loud"])
async def test_a_machine_where_all_dies_gets_the_safe_settings_and_a_note(
    folders: Folders, measurements: Measurements, people: Crowd, behaviour: str
) -> None:
    worker = standin(behaviour)
    found = await calibrate(folders, measurements, worker=worker, time_limit_seconds=0.5)
    assert found.self_test == "failed"
    assert found == EngineCalibration(self_test="failed", note=found.note)
    assert found.note
    assert remembered_calibration(measurements) == found


async def test_a_cancelled_calibration_remembers_nothing(
    folders: Folders, measurements: Measurements, people: Crowd
) -> None:
    task = asyncio.create_task(calibrate(folders, measurements, worker=standin("silent")))
    async with asyncio.timeout(20):
        while people.count() < 2:
            await asyncio.sleep(0.01)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert remembered_calibration(measurements) is None


def test_the_key_names_this_machine_and_this_build() -> None:
    assert calibration_key() == f"engine-calibration/{machine_fingerprint()}/{engine_build()}"
    assert calibration_key() == calibration_key()
    assert "0.3." in engine_build()


@pytest.mark.parametrize("fields", [{}, {"threads": "many"}, {"threads": [1]}])
def test_a_result_of_another_version_is_measured_again(
    measurements: Measurements, fields: dict[str, object]
) -> None:
    whole = EngineCalibration().to_dict()
    measurements.put(calibration_key(), {**whole, **fields} if fields else {})
    assert remembered_calibration(measurements) is None


def test_a_result_is_read_back_as_it_was() -> None:
    found = EngineCalibration(3, False, True, 10.5, 99.0, "passed", "a note", 1.1, True)
    assert EngineCalibration.from_dict(found.to_dict()) == found


def option(settings: LlamaSettings, calibration: EngineCalibration, name: str) -> str | None:
    argv = make_spec(settings, calibration, ("worker",), Path("states")).argv
    return argv[argv.index(name) + 1] if name in argv else None


def test_what_was_measured_is_used_unless_the_user_chose() -> None:
    measured = EngineCalibration(threads=6, flash_attention=False, extra_buffers=True)
    silent = LlamaSettings(Path("m.gguf"))
    assert option(silent, measured, "--threads") == "6"
    assert option(silent, measured, "--extra-buffers") == "on"
    assert option(silent, measured, "--flash-attention") == "off"
    chosen = LlamaSettings(
        Path("m.gguf"), threads=2, flash_attention=True, extra_buffers=False, port=8080
    )
    assert option(chosen, measured, "--threads") == "2"
    assert option(chosen, measured, "--extra-buffers") == "off"
    assert option(chosen, measured, "--flash-attention") == "on"
    assert option(chosen, measured, "--port") == "8080"


def test_nothing_measured_means_the_safe_settings() -> None:
    settings = LlamaSettings(Path("m.gguf"))
    assert option(settings, EngineCalibration(), "--extra-buffers") == "off"
    assert option(settings, EngineCalibration(), "--threads") is None


def test_a_part_of_a_split_model_is_called_by_the_whole_models_name() -> None:
    settings = LlamaSettings(Path("/models/MiniMax-M1-Q4_K_M-00001-of-00006.gguf"))
    assert option(settings, EngineCalibration(), "--alias") == "MiniMax-M1-Q4_K_M"


def test_memory_decides_about_flash_attention_where_it_must() -> None:
    slower = EngineCalibration(flash_attention=False)
    path = Path("m.gguf")
    assert not choose_flash_attention(LlamaSettings(path, context_tokens=8192), slower)
    assert choose_flash_attention(LlamaSettings(path, context_tokens=100_000), slower)
    assert choose_flash_attention(LlamaSettings(path, kv_type="q8_0"), slower)
    wished = LlamaSettings(path, context_tokens=100_000, flash_attention=False)
    assert not choose_flash_attention(wished, slower)
