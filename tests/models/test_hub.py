"""The hub as a caller meets it: search, repositories, and its refusals in words."""

from __future__ import annotations

from typing import Any

import pytest
from support.hub_server import COMMIT, HubServer

from m1desk.errors import BadInput, HubError
from m1desk.models import Hub, HubFile, HubSettings, hub_settings, token_name
from m1desk.models import hub as hub_module
from m1desk.models.hub_values import variants_of
from m1desk.store import AppSettings

LARGE = b"x" * 100_000


@pytest.fixture
def hub(hub_server: HubServer) -> Hub:
    hub_server.add(
        "maker/Base-7B-GGUF",
        {
            "Base-7B-Q4_K_M.gguf": LARGE,
            "Base-7B-Q8_0-00001-of-00002.gguf": LARGE,
            "Base-7B-Q8_0-00002-of-00002.gguf": LARGE,
            "mmproj-Base-7B-F16.gguf": LARGE,
            "README.md": b"# Base",
        },
        "gguf",
        "license:apache-2.0",
        "base_model:owner/Base-7B",
        "base_model:quantized:owner/Base-7B",
        extra={"gguf": {"total": 400_000, "architecture": "llama", "context_length": 4096}},
    )
    hub_server.add("owner/Base-7B", {"config.json": b"{}"}, "safetensors", gated="manual")
    return Hub(HubSettings(hub_server.endpoint))


def test_a_search_finds_models_with_gguf_files(hub: Hub) -> None:
    (found,) = hub.search("base")
    assert found.repo_id == "maker/Base-7B-GGUF"
    assert found.license == "apache-2.0"
    assert found.base_models == ("owner/Base-7B",)
    assert found.has_gguf
    assert (found.gate, found.downloads, found.likes) == ("open", 7, 3)
    assert found.updated is not None
    every = hub.search("base", gguf_only=False)
    assert [model.gate for model in every] == ["open", "manual"]


def test_quantizations_of_a_model_are_found(hub: Hub) -> None:
    assert [model.repo_id for model in hub.quantizations("owner/Base-7B")] == ["maker/Base-7B-GGUF"]
    assert hub.quantizations("owner/Other") == ()


def test_a_repository_has_variants_with_sizes_and_checksums(
    hub: Hub, hub_server: HubServer
) -> None:
    repository = hub.repository("maker/Base-7B-GGUF")
    assert repository.commit == COMMIT
    assert [variant.name for variant in repository.variants] == ["Q4_K_M", "Q8_0"]
    small, split = repository.variants
    assert split.size_bytes == 2 * len(LARGE)
    assert small.main_file.sha256 == hub_server.sha256("maker/Base-7B-GGUF", "Base-7B-Q4_K_M.gguf")
    assert repository.bits_per_weight(small) == 2.0
    assert (repository.architecture, repository.context_tokens) == ("llama", 4096)
    assert repository.variant("q4_k_m") is small
    assert repository.variant("Base-7B-Q8_0-00002-of-00002.gguf") is split
    assert repository.variant("Q2_K") is None


@pytest.mark.parametrize(
    ("name", "variant"),
    [
        ("gpt-oss-20b-MXFP4.gguf", "MXFP4"),
        ("model-UD-Q4_K_XL.gguf", "UD-Q4_K_XL"),
        ("UD-IQ1_S/model-UD-IQ1_S-00001-of-00003.gguf", "UD-IQ1_S"),
        ("qwen2.5-0.5b-instruct-q4_k_m.gguf", "q4_k_m"),
        ("Model.BF16.gguf", "BF16"),
        ("model-f16.gguf", "f16"),
        ("some model.gguf", "some model"),
    ],
)
def test_variants_are_named_as_their_files_name_them(name: str, variant: str) -> None:
    (found,) = variants_of([HubFile(name, 1)])
    assert found.name == variant


def test_two_models_with_one_quantization_keep_their_names() -> None:
    found = variants_of([HubFile("a-Q8_0.gguf", 1), HubFile("b-Q8_0.gguf", 2)])
    assert [variant.name for variant in found] == ["a-Q8_0", "b-Q8_0"]


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"status": 401, "code": "GatedRepo"}, "gated"),
        ({"status": 401}, "unauthorized"),
        ({"status": 403}, "forbidden"),
        ({"status": 404, "code": "RepoNotFound"}, "not_found"),
        ({"status": 404, "code": "RevisionNotFound"}, "not_found"),
        ({"status": 429, "retry_after": 3600}, "rate_limited"),
        ({"status": 500}, "server"),
        ({"status": 503, "retry_after": 3600}, "server"),
        ({"body": b"<html>sign in to the hotel's network</html>"}, "answer"),
        ({"body": b"[1, 2, 3]"}, "answer"),
        ({"body": b'{"id": "a/b"}'}, "answer"),
        ({"body": b'{"id": "a/b", "sha": "x", "siblings": [{"rfilename": "../x"}]}'}, "answer"),
    ],
)
def test_what_goes_wrong_is_said_at_once(
    hub: Hub, hub_server: HubServer, fault: dict[str, Any], kind: str
) -> None:
    hub_server.fault("api", **fault)
    with pytest.raises(HubError) as caught:
        hub.repository("maker/Base-7B-GGUF")
    assert caught.value.kind == kind
    assert caught.value.what
    assert len(hub_server.requests) == 1
    assert caught.value.retry_after == fault.get("retry_after")


def test_a_search_that_fails_is_not_tried_again_for_minutes(
    hub: Hub, hub_server: HubServer
) -> None:
    hub_server.fault("api", status=429, retry_after=86_400)
    with pytest.raises(HubError, match="86400 seconds"):
        hub.search("base")
    assert len(hub_server.requests) == 1


def test_a_hub_that_is_not_there_is_said(hub_server: HubServer) -> None:
    gone = Hub(HubSettings("http://127.0.0.1:9"))
    for question in (lambda: gone.search("x"), lambda: gone.repository("a/b")):
        with pytest.raises(HubError) as caught:
            question()
        assert caught.value.kind == "network"


def test_a_name_that_is_none_is_refused(hub: Hub) -> None:
    with pytest.raises(BadInput, match="not the name of a repository"):
        hub.repository("a/b/c/..")


def test_offline_nothing_is_asked(hub_server: HubServer) -> None:
    offline = Hub(HubSettings(hub_server.endpoint, offline=True))
    questions = (
        lambda: offline.search("x"),
        lambda: offline.repository("a/b"),
        lambda: offline.gguf_header("a/b", "c.gguf"),
        lambda: offline.safetensors_model("a/b"),
    )
    for question in questions:
        with pytest.raises(HubError) as caught:
            question()
        assert caught.value.kind == "offline"
    assert hub_server.requests == []


def test_the_token_is_sent_when_there_is_one(hub: Hub, hub_server: HubServer) -> None:
    hub.repository("owner/Base-7B")
    assert not hub_server.requests[-1][2]
    Hub(HubSettings(hub_server.endpoint, token="secret")).repository("owner/Base-7B")
    assert hub_server.requests[-1][2]
    assert "secret" not in repr(HubSettings(token="secret"))


def test_settings_come_from_the_environment_then_from_what_was_chosen() -> None:
    chosen = AppSettings(hub_endpoint="https://mirror.example/", offline=True)
    assert hub_settings(chosen, {}) == HubSettings("https://mirror.example", offline=True)
    environment = {"HF_ENDPOINT": "http://other.example", "HF_TOKEN": "t", "HF_HUB_OFFLINE": "1"}
    assert hub_settings(AppSettings(), environment) == HubSettings(
        "http://other.example", True, "t"
    )
    assert hub_settings(None, {}) == HubSettings()
    with pytest.raises(BadInput, match="not the address of a hub"):
        hub_settings(AppSettings(hub_endpoint="ftp://x"), {})


def test_each_hub_has_a_token_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {"hub-token:huggingface.co": "real"}
    monkeypatch.setattr(hub_module, "get_secret", kept.get)
    assert hub_settings(None, {}).token == "real"
    mirror = AppSettings(hub_endpoint="https://mirror.example")
    assert hub_settings(mirror, {}).token is None
    assert token_name("https://mirror.example") == "hub-token:mirror.example"
