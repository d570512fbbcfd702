"""Models that other programs keep: found in place, said to be broken, deleted only where ours."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from gguf_making import write_gguf, write_split
from huggingface_hub import hf_hub_download
from support.hub_server import HubServer
from test_remote_headers import CONFIG, safetensors_bytes

from m1desk.errors import BadInput
from m1desk.models import (
    Library,
    LocalModel,
    OtherPlaces,
    plan_removal,
    remove_model,
    scan_library,
    verify_model,
)

NOWHERE = OtherPlaces()


def only(library: Library) -> LocalModel:
    (model,) = library.models
    return model


def test_our_own_models_know_their_repository(tmp_path: Path) -> None:
    place = tmp_path / "owner" / "name"
    place.mkdir(parents=True)
    write_gguf(place / "a-Q4_K_M.gguf", name="Ant")
    model = only(scan_library(tmp_path, (), NOWHERE))
    assert (model.name, model.source, model.repo_id) == ("Ant", "m1desk", "owner/name")
    assert model.files == (place / "a-Q4_K_M.gguf",)


def test_what_is_still_being_fetched_is_said_to_be(tmp_path: Path) -> None:
    for name in ("a.gguf.part", "b.gguf.part.json", "c.gguf.part.lock", "downloading_d.gguf.part"):
        (tmp_path / name).write_bytes(b"x" * 10)
    models = scan_library(tmp_path, (), NOWHERE).models
    assert [model.path.name for model in models] == ["a.gguf.part", "downloading_d.gguf.part"]
    assert all(model.is_partial and "not ended" in model.error for model in models)


def test_a_checkpoint_is_a_model(tmp_path: Path) -> None:
    place = tmp_path / "owner" / "check"
    place.mkdir(parents=True)
    (place / "config.json").write_text(json.dumps(CONFIG))
    (place / "model.safetensors").write_bytes(safetensors_bytes({"a": ("F32", [8], 32)}))
    model = only(scan_library(tmp_path, (), NOWHERE))
    assert model.checkpoint is not None
    assert model.checkpoint.architecture == "MiniMaxM1ForCausalLM"
    assert (model.path, model.repo_id, model.error) == (place, "owner/check", "")
    (place / "model.safetensors").write_bytes(b"cut")
    assert "too short" in only(scan_library(tmp_path, (), NOWHERE)).error


def test_a_file_in_two_places_is_listed_once(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "other").mkdir()
    write_gguf(tmp_path / "own" / "a.gguf")
    (tmp_path / "other" / "b.gguf").symlink_to(tmp_path / "own" / "a.gguf")
    library = scan_library(tmp_path / "own", (tmp_path / "other",), NOWHERE)
    assert only(library).path == tmp_path / "own" / "a.gguf"


@pytest.fixture
def ollama(tmp_path: Path) -> OtherPlaces:
    """Ollama's folder with a model, and another whose blob is missing."""
    folder = tmp_path / "ollama"
    blobs, names = folder / "blobs", folder / "manifests" / "registry.ollama.ai"
    blobs.mkdir(parents=True)
    content = write_gguf(tmp_path / "m.gguf", name="inside").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    (blobs / f"sha256-{digest}").write_bytes(content)
    for place, blob in (("library/qwen3/8b", digest), ("someone/gone/latest", "0" * 64)):
        path = names / place
        path.parent.mkdir(parents=True)
        layer = {"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{blob}"}
        path.write_text(json.dumps({"layers": [{"mediaType": "x"}, {**layer, "size": 100}]}))
    (names / "library" / "broken").mkdir()
    (names / "library" / "broken" / "latest").write_bytes(b"\x00 no json")
    (blobs / f"sha256-{'1' * 64}-partial").write_bytes(b"half")
    return OtherPlaces(ollama=(folder,))


def test_ollamas_models_are_found_by_their_names(tmp_path: Path, ollama: OtherPlaces) -> None:
    models = {model.name: model for model in scan_library(tmp_path / "own", (), ollama).models}
    whole, gone = models["qwen3:8b"], models["someone/gone:latest"]
    assert whole.is_readable
    assert whole.source == "ollama"
    assert gone.is_partial
    assert len(models) == 3
    assert verify_model(whole).verdict == "verified"


@pytest.mark.parametrize("source", ["ollama", "lmstudio", "jan"])
def test_files_of_other_programs_are_not_deleted(
    tmp_path: Path, ollama: OtherPlaces, source: str
) -> None:
    write_gguf(tmp_path / "mine.gguf")
    places = {
        "ollama": ollama,
        "lmstudio": OtherPlaces(lmstudio=(tmp_path / "lm",)),
        "jan": OtherPlaces(jan=(tmp_path / "jan",)),
    }
    for folder in (
        tmp_path / "lm" / "pub" / "repo",
        tmp_path / "jan" / "llamacpp" / "models" / "x",
    ):
        folder.mkdir(parents=True)
        shutil.copy(tmp_path / "mine.gguf", folder / "model.gguf")
    models = scan_library(tmp_path / "own", (), places[source]).models
    model = next(model for model in models if model.is_readable)
    assert model.source == source
    removal = plan_removal(model)
    assert removal.refusal
    assert removal.todo
    with pytest.raises(BadInput, match="can't be deleted from here"):
        remove_model(removal)
    assert model.path.exists()


def test_deleting_frees_what_it_said(tmp_path: Path) -> None:
    parts = write_split(tmp_path)
    model = only(scan_library(tmp_path, (), NOWHERE))
    removal = plan_removal(model)
    assert removal.frees_bytes == sum(part.stat().st_size for part in parts)
    assert remove_model(removal) == removal.frees_bytes
    assert not any(part.exists() for part in parts)


def test_deleting_a_checkpoint_leaves_what_else_lies_in_its_folder(tmp_path: Path) -> None:
    own = {
        "config.json": json.dumps(CONFIG).encode(),
        "model.safetensors": safetensors_bytes({"a": ("F32", [8], 32)}),
        "tokenizer.json": b"{}",
        "merges.txt": b"a b",
        "modeling_minimax_m1.py": b"",
        "LICENSE": b"Apache",
    }
    other = ("gemma-Q4_K_M.gguf", "other-Q8_0.gguf.part", "my-notes.txt", "my.json", "my.py")
    for name, content in (own | dict.fromkeys(other, b"1234")).items():
        (tmp_path / name).write_bytes(content)
    models = scan_library(tmp_path, (), NOWHERE).models
    model = next(model for model in models if model.checkpoint is not None)
    removal = plan_removal(model)
    assert {path.name for path in removal.paths} == set(own)
    assert removal.frees_bytes == model.size_bytes == sum(map(len, own.values()))
    remove_model(removal)
    assert {path.name for path in tmp_path.iterdir()} == set(other)


def test_deleting_a_broken_checkpoint_takes_its_weights(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    for name in ("model-00001-of-00002.safetensors", "a.gguf.part", "my-notes.txt"):
        (tmp_path / name).write_bytes(b"1234")
    models = scan_library(tmp_path, (), NOWHERE).models
    remove_model(plan_removal(next(model for model in models if not model.is_partial)))
    assert {path.name for path in tmp_path.iterdir()} == {"a.gguf.part", "my-notes.txt"}


def test_deleting_a_partial_file_takes_its_notes_along(tmp_path: Path) -> None:
    for name in ("a.gguf.part", "a.gguf.part.json", "a.gguf.part.lock", "b.gguf.part"):
        (tmp_path / name).write_bytes(b"1234")
    model = next(m for m in scan_library(tmp_path, (), NOWHERE).models if m.name == "a")
    remove_model(plan_removal(model))
    assert [path.name for path in tmp_path.iterdir()] == ["b.gguf.part"]


def test_a_link_frees_nothing_and_its_target_stays(tmp_path: Path) -> None:
    target = write_gguf(tmp_path / "target.gguf")
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "link.gguf").symlink_to(target)
    removal = plan_removal(only(scan_library(tmp_path / "own", (), NOWHERE)))
    assert removal.frees_bytes == 0
    remove_model(removal)
    assert target.exists()


@pytest.fixture
def cache(tmp_path: Path, hub_server: HubServer) -> OtherPlaces:
    """A cache that huggingface_hub itself has filled with two quantizations."""
    folder = tmp_path / "cache"
    big = {"vocabulary": 20_000}
    files: dict[str, Path | bytes] = {
        "m-Q4_K_M.gguf": write_gguf(tmp_path / "q4.gguf", name="Four", **big),
        "m-Q8_0.gguf": write_gguf(tmp_path / "q8.gguf", name="Eight", **big),
    }
    hub_server.add("maker/m-GGUF", files)
    for name in files:
        hf_hub_download("maker/m-GGUF", name, cache_dir=folder, endpoint=hub_server.endpoint)
    return OtherPlaces(huggingface=(folder,))


def test_the_hubs_cache_is_used_in_place(tmp_path: Path, cache: OtherPlaces) -> None:
    models = scan_library(tmp_path / "own", (), cache).models
    assert [model.name for model in models] == ["Eight", "Four"]
    assert {(model.source, model.repo_id) for model in models} == {("huggingface", "maker/m-GGUF")}
    assert all(verify_model(model).verdict == "verified" for model in models)


def test_deleting_from_the_cache_says_what_goes_with_it(tmp_path: Path, cache: OtherPlaces) -> None:
    model = scan_library(tmp_path / "own", (), cache).models[0]
    removal = plan_removal(model)
    assert "m-Q4_K_M.gguf" in removal.note
    sizes = [path.stat().st_size for path in cache.huggingface[0].rglob("blobs/*")]
    assert removal.frees_bytes == sum(sizes)
    assert remove_model(removal) == sum(sizes)
    assert scan_library(tmp_path / "own", (), cache).models == ()


def test_what_broke_off_in_the_cache_is_listed(tmp_path: Path, cache: OtherPlaces) -> None:
    (blobs,) = cache.huggingface[0].glob("models--*/blobs")
    (blobs / f"{'a' * 64}.1234.incomplete").write_bytes(b"half")
    (model,) = [m for m in scan_library(tmp_path, (), cache).models if m.is_partial]
    assert (model.name, model.repo_id) == ("m-GGUF", "maker/m-GGUF")
    assert remove_model(plan_removal(model)) == 4
    assert not model.path.exists()


def test_a_damaged_blob_is_found(tmp_path: Path, cache: OtherPlaces) -> None:
    model = scan_library(tmp_path / "own", (), cache).models[0]
    blob = model.path.resolve()
    content = bytearray(blob.read_bytes())
    content[-1] ^= 1
    blob.write_bytes(content)
    result = verify_model(model)
    assert result.verdict == "damaged"
    assert model.path.name in result.reason


def test_a_model_whose_checksum_nobody_knows_is_said_to_be_unchecked(tmp_path: Path) -> None:
    write_gguf(tmp_path / "a.gguf")
    model = only(scan_library(tmp_path, (), NOWHERE))
    assert verify_model(model).verdict == "not_known"
    assert verify_model(model, lambda _: "0" * 64).verdict == "damaged"
    (tmp_path / "a.gguf").write_bytes(b"GGUF")
    assert verify_model(only(scan_library(tmp_path, (), NOWHERE))).verdict == "unusable"


def test_other_programs_folders_are_known_on_each_platform(tmp_path: Path) -> None:
    (tmp_path / ".lmstudio").mkdir()
    (tmp_path / ".lmstudio" / "settings.json").write_text('{"downloadsFolder": "/big/disk"}')
    linux = OtherPlaces.of_user({}, tmp_path, "linux")
    assert linux.huggingface == (tmp_path / ".cache" / "huggingface" / "hub",)
    assert Path("/big/disk") in linux.lmstudio
    assert tmp_path / ".local" / "share" / "Jan" / "data" in linux.jan
    assert tmp_path / ".ollama" / "models" in linux.ollama
    chosen = {"HF_HOME": "/hf", "OLLAMA_MODELS": "/o", "APPDATA": "/roaming"}
    windows = OtherPlaces.of_user(chosen, tmp_path, "win32")
    assert windows.huggingface == (Path("/hf/hub"),)
    assert windows.ollama == (Path("/o"),)
    assert Path("/roaming/Jan/data") in windows.jan
    mac = OtherPlaces.of_user({"HF_HUB_CACHE": "/c"}, tmp_path, "darwin")
    assert mac.huggingface == (Path("/c"),)
    assert tmp_path / "Library" / "Application Support" / "Jan" / "data" in mac.jan
