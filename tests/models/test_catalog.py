"""The catalog we ship, and what a bad file of it says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from m1desk.errors import BadInput
from m1desk.models import is_known_architecture, load_catalog
from m1desk.store import resource_folder


def test_minimax_m1_comes_first_and_claims_no_gguf() -> None:
    first, second, *_ = load_catalog().models
    assert [first.id, second.id] == ["minimax-m1-80k", "minimax-m1-40k"]
    for model in (first, second):
        assert model.gguf_repositories == ()
        assert model.context_tokens == 1_000_000
        assert model.license == "Apache-2.0"
        vllm = next(way for way in model.ways if way.engine == "vllm" and way.repo_id)
        assert vllm.needs == "vllm>=0.9.2,<=0.23.0"
        assert vllm.size_bytes == 912_200_000_000
        assert model.is_checked


def test_the_ladder_goes_from_a_laptop_to_a_trillion_weights() -> None:
    sizes = [model.parameters for model in load_catalog().models]
    assert min(sizes) < 1e9
    assert max(sizes) >= 1e12
    assert len(sizes) >= 30


def test_every_entry_says_what_it_rests_on_and_can_be_loaded() -> None:
    for model in load_catalog().models:
        assert model.source.startswith("https://huggingface.co/"), model.id
        assert model.checked, model.id
        assert 0 < model.active_parameters <= model.parameters, model.id
        assert model.context_tokens >= 8192, model.id
        assert is_known_architecture(model.architecture), model.id
        assert all(way.repo_id is None or way.repo_id.count("/") == 1 for way in model.ways)


def test_models_are_found_by_any_of_their_names() -> None:
    catalog = load_catalog()
    wanted = catalog.models[0]
    for name in ("minimax-m1-80k", "MiniMax-M1-80K", "minimaxai/minimax-m1-80k"):
        assert catalog.find(name) is wanted
    assert catalog.find("no-such-model") is None
    assert [model.id for model in catalog.search("m1 minimax")] == [
        "minimax-m1-80k",
        "minimax-m1-40k",
    ]


def sound_file() -> dict[str, Any]:
    file: dict[str, Any] = json.loads(
        (resource_folder() / "catalog" / "10-minimax-m1.json").read_bytes()
    )
    return file


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda file: file.pop("order"), "order: Field required"),
        (lambda file: file["models"][0].pop("license"), r"models\.0\.license: Field required"),
        (lambda file: file["models"][0].update(colour="red"), r"models\.0\.colour"),
        (
            lambda file: file["models"][1]["ways"][0].update(engine="x"),
            r"models\.1\.ways\.0\.engine",
        ),
        (lambda file: file.update(format=2), "format"),
        (lambda file: file["models"].append(file["models"][0]), "names a model twice"),
    ],
)
def test_a_bad_file_is_named_with_the_place(
    tmp_path: Path, damage: Callable[[dict[str, Any]], object], words: str
) -> None:
    file = sound_file()
    damage(file)
    (tmp_path / "bad.json").write_text(json.dumps(file))
    with pytest.raises(BadInput, match=words) as caught:
        load_catalog(tmp_path)
    assert "bad.json" in caught.value.what or "twice" in caught.value.what


def test_a_file_that_is_no_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_bytes(b"\xff not json")
    with pytest.raises(BadInput, match=r"bad\.json"):
        load_catalog(tmp_path)
