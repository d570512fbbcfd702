"""Which models are found on this machine, and which of them the engine can load."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gguf
import pytest
from gguf_making import MINIMAX, finish, write_gguf, write_split

from m1desk.errors import ModelFileError
from m1desk.models import architectures as architectures_module
from m1desk.models import (
    check_loadable,
    engine_version,
    is_known_architecture,
    read_gguf_header,
    scan_models,
)

if TYPE_CHECKING:
    from pathlib import Path


def test_models_below_folders_are_listed_by_name(tmp_path: Path) -> None:
    (tmp_path / "one" / "deep").mkdir(parents=True)
    (tmp_path / "two").mkdir()
    write_gguf(tmp_path / "one" / "deep" / "z.gguf", name="Zebra")
    write_gguf(tmp_path / "two" / "a.gguf", name="ant")
    (tmp_path / "two" / "notes.txt").write_text("no model")
    models = scan_models(tmp_path / "one", tmp_path / "two", tmp_path / "missing")
    assert [model.name for model in models] == ["ant", "Zebra"]
    assert all(model.is_readable for model in models)
    assert models[0].size_bytes == (tmp_path / "two" / "a.gguf").stat().st_size


def test_a_folder_given_twice_lists_its_models_once(tmp_path: Path) -> None:
    write_gguf(tmp_path / "a.gguf")
    assert len(scan_models(tmp_path, tmp_path)) == 1


def test_a_broken_file_is_listed_with_its_fault(tmp_path: Path) -> None:
    (tmp_path / "broken.gguf").write_bytes(b"GGUF")
    (model,) = scan_models(tmp_path)
    assert not model.is_readable
    assert model.name == "broken"
    assert "middle of its header" in model.error


def test_the_parts_of_a_model_are_one_entry(tmp_path: Path) -> None:
    parts = write_split(tmp_path)
    (model,) = scan_models(tmp_path)
    assert model.path == parts[0]
    assert model.size_bytes == sum(part.stat().st_size for part in parts)
    parts[0].unlink()
    (model,) = scan_models(tmp_path)
    assert "big-00001-of-00003.gguf" in model.error


def test_projectors_and_adapters_are_left_out(tmp_path: Path) -> None:
    write_gguf(tmp_path / "mmproj-model.gguf", "clip")
    write_gguf(tmp_path / "vision.gguf", "clip")
    write_gguf(tmp_path / "lora.gguf", kind="adapter")
    assert scan_models(tmp_path) == ()


@pytest.mark.parametrize(
    "name", ["llama", "minimax-01", "minimax-m2", "qwen3moe", "qwen2", "bert", "gpt-oss"]
)
def test_the_engine_knows_current_architectures(name: str) -> None:
    assert is_known_architecture(name)


@pytest.mark.parametrize(
    "name", ["minimax-text-99", "no-such-arch", "", "(unknown)", "a\0b", "LLAMA"]
)
def test_the_engine_does_not_know_others(name: str) -> None:
    assert not is_known_architecture(name)


def test_without_the_library_the_package_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(architectures_module, "_engine_library", lambda: None)
    assert is_known_architecture("minimax-01")
    assert is_known_architecture("llama")
    assert not is_known_architecture("no-such-arch")


def test_a_model_of_m1_is_loadable(tmp_path: Path) -> None:
    check_loadable(read_gguf_header(write_gguf(tmp_path / "m1.gguf", "minimax-01", MINIMAX)))


def test_an_unknown_architecture_names_the_engine(tmp_path: Path) -> None:
    header = read_gguf_header(write_gguf(tmp_path / "a.gguf", "from-next-year"))
    with pytest.raises(ModelFileError, match="from-next-year") as caught:
        check_loadable(header)
    assert engine_version() in caught.value.why
    assert engine_version().startswith("llama-cpp-python 0.")


def test_a_gguf_of_the_early_minimax_fork_is_explained(tmp_path: Path) -> None:
    header = read_gguf_header(write_gguf(tmp_path / "a.gguf", "minimaxtext01"))
    with pytest.raises(ModelFileError, match="early fork"):
        check_loadable(header)


def test_a_projector_is_not_loadable(tmp_path: Path) -> None:
    header = read_gguf_header(write_gguf(tmp_path / "v.gguf", "clip"))
    with pytest.raises(ModelFileError, match="main file"):
        check_loadable(header)


def test_a_file_without_weights_is_not_loadable(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "vocabulary.gguf", "llama")
    finish(writer)
    header = read_gguf_header(tmp_path / "vocabulary.gguf")
    with pytest.raises(ModelFileError, match="no weights"):
        check_loadable(header)
