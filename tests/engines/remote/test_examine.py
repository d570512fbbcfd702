"""Each step's verdict on real servers: our worker, behind proxies with every usual fault."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from support.certificates import Authority, CertificateFiles, self_signed
from support.reverse_proxy import ReverseProxy
from support.serving import serving, shaking_hands
from support.worker import KEY, Worker, running_worker

from m1desk.engines import (
    Outcome,
    ServerProfile,
    ServerSecrets,
    Step,
    StepVerdict,
    examine_server,
)
from m1desk.store import Folders

SECRETS = ServerSecrets(KEY)


@pytest.fixture(scope="module")
def worker(tiny_llama: Path) -> Iterator[Worker]:
    with running_worker(tiny_llama) as running:
        yield running


@pytest.fixture(scope="module")
def address(worker: Worker) -> str:
    return str(worker.client.base_url).rstrip("/")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def files(authority: Authority) -> CertificateFiles:
    return authority.issue("server")


async def examine(
    profile: ServerProfile, secrets: ServerSecrets = SECRETS
) -> dict[Step, StepVerdict]:
    async with aclosing(examine_server(profile, secrets, Folders.resolve())) as steps:
        verdicts = [verdict async for verdict in steps]
    assert [one.step for one in verdicts] == sorted(
        {one.step for one in verdicts}, key=list(Step).index
    )
    assert not secrets.key or secrets.key not in repr(verdicts)
    return {one.step: one for one in verdicts}


async def failure(profile: ServerProfile, secrets: ServerSecrets = SECRETS) -> StepVerdict:
    """The step that failed; those before went well, those after were not reached."""
    verdicts = list((await examine(profile, secrets)).values())
    (at,) = [index for index, one in enumerate(verdicts) if one.outcome is Outcome.FAILED]
    assert all(one.outcome in {Outcome.OK, Outcome.WARNING} for one in verdicts[:at])
    assert verdicts[at + 1 :]
    assert all(one.outcome is Outcome.NOT_REACHED for one in verdicts[at + 1 :])
    assert verdicts[at].todo
    return verdicts[at]


async def test_our_own_worker_passes_every_step(address: str) -> None:
    verdicts = await examine(ServerProfile("lab", address))
    assert {one.outcome for one in verdicts.values()} <= {Outcome.OK, Outcome.WARNING}
    assert verdicts[Step.MODELS].what == "tiny llama (1,024 tokens)."
    assert "accepted" in verdicts[Step.KEY].what
    assert verdicts[Step.STREAM].outcome is Outcome.OK
    # started without a folder for prepared documents
    assert verdicts[Step.ABILITIES].outcome is Outcome.WARNING
    assert verdicts[Step.ABILITIES].why.startswith("It keeps no prepared documents")
    assert Step.TLS not in verdicts
    assert Step.TUNNEL not in verdicts


async def test_behind_tls_and_a_prefix_with_a_private_authority(
    address: str, files: CertificateFiles, authority: Authority
) -> None:
    with serving(ReverseProxy(address, prefix="/team/lab").app, files) as url:
        port = url.rpartition(":")[2]
        profile = ServerProfile(
            "lab", f"https://localhost:{port}/team/lab/v1", ca_file=str(authority.file)
        )
        verdicts = await examine(profile)
        pinned = replace(profile, ca_file="", pinned_sha256=files.sha256)
        assert (await examine(pinned))[Step.TLS].what == "The certificate is the pinned one."
    assert {one.outcome for one in verdicts.values()} <= {Outcome.OK, Outcome.WARNING}
    assert verdicts[Step.TLS].outcome is Outcome.OK
    assert "127.0.0.1" in verdicts[Step.NAME].what or "::1" in verdicts[Step.NAME].what


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("expired", "has expired"),
        ("early", "not valid yet"),
        ("other-name", "another name than 127.0.0.1"),
        ("self-signed", "signed by itself"),
        ("server", "authority that is not trusted here"),
        ("re-pinned", "another certificate than the pinned one"),
    ],
)
async def test_certificates_that_are_not_trusted_are_told_apart(
    kind: str, words: str, authority: Authority, files: CertificateFiles, tmp_path: Path
) -> None:
    shown = {
        "expired": lambda: authority.issue("expired", since_days=-9, until_days=-2),
        "early": lambda: authority.issue("early", since_days=2),
        "other-name": lambda: authority.issue("other-name", ["else.example"]),
        "self-signed": lambda: self_signed(tmp_path, "self-signed"),
    }.get(kind, lambda: files)()
    trust = {"server": "", "self-signed": ""}.get(kind, str(authority.file))
    with shaking_hands(shown) as url:
        profile = ServerProfile("lab", url, ca_file=trust)
        if kind == "re-pinned":
            profile = replace(profile, ca_file="", pinned_sha256="ab" * 32)
        verdict = await failure(profile)
    assert verdict.step is Step.TLS
    assert words in verdict.what
    assert shown.sha256 in verdict.why  # what to pin


async def test_a_certificate_that_ends_soon_is_a_warning(
    address: str, authority: Authority
) -> None:
    soon = authority.issue("soon", until_days=3)
    with serving(ReverseProxy(address).app, soon) as url:
        verdicts = await examine(ServerProfile("lab", url, ca_file=str(authority.file)))
    assert verdicts[Step.TLS].outcome is Outcome.WARNING
    assert "ends on" in verdicts[Step.TLS].what


async def test_a_client_certificate_is_asked_for_and_shown(
    address: str, files: CertificateFiles, authority: Authority
) -> None:
    mine = authority.issue("me", ["me.example"])
    with shaking_hands(files, clients=authority.file) as url:
        verdict = await failure(ServerProfile("lab", url, ca_file=str(authority.file)))
        assert verdict.step in {Step.TLS, Step.HTTP}
        assert verdict.what == "The server asks for a client certificate."
    with serving(ReverseProxy(address).app, files, clients=authority.file) as url:
        profile = ServerProfile("lab", url, ca_file=str(authority.file))
        assert "client certificate" in (await failure(profile)).todo
        shown = replace(profile, client_certificate=str(mine.certificate), client_key=str(mine.key))
        assert (await examine(shown))[Step.CHAT].outcome is Outcome.OK


async def test_files_that_are_no_certificates_are_named(address: str, tmp_path: Path) -> None:
    wrong = tmp_path / "ca.pem"
    profile = ServerProfile("lab", address.replace("http:", "https:"), ca_file=str(wrong))
    assert "No such file" in (await failure(profile)).why
    wrong.write_text("not a certificate")
    verdict = await failure(profile)
    assert verdict.step is Step.TLS
    assert str(wrong) in verdict.what


async def test_https_at_a_plain_port_and_the_other_way_round(
    address: str, files: CertificateFiles
) -> None:
    verdict = await failure(ServerProfile("lab", address.replace("http:", "https:")))
    assert verdict.step is Step.TLS
    assert "http://" in verdict.todo
    with shaking_hands(files) as url:
        verdict = await failure(ServerProfile("lab", url.replace("https:", "http:")))
    assert verdict.step is Step.HTTP
    assert "https://" in verdict.todo


async def test_a_key_that_is_absent_or_wrong(address: str) -> None:
    profile = ServerProfile("lab", address)
    absent = await failure(profile, ServerSecrets())
    assert (absent.step, absent.what) == (Step.KEY, "The server wants a key.")
    wrong = await failure(profile, ServerSecrets("not-the-key-at-all"))
    assert (wrong.step, wrong.what) == (Step.KEY, "The server does not accept the key.")


async def test_a_list_of_models_that_is_open_to_anybody_does_not_vouch_for_the_key(
    address: str,
) -> None:
    router = ReverseProxy(address, opens={"/v1/models": KEY})
    with serving(router.app) as url:
        verdict = await failure(ServerProfile("lab", url), ServerSecrets("not-the-key-at-all"))
    assert (verdict.step, verdict.what) == (Step.KEY, "The server does not accept the key.")


async def test_a_key_that_may_not_do_this() -> None:
    with serving(app_that_answers(403, {"error": {"message": "tier too low"}})) as url:
        verdict = await failure(ServerProfile("lab", url))
    assert (verdict.step, verdict.why) == (Step.KEY, "tier too low")


async def test_a_wrong_prefix_is_found_out_and_the_right_place_named(address: str) -> None:
    verdict = await failure(ServerProfile("lab", f"{address}/team"))
    assert verdict.step is Step.PATH
    assert f"use {address}." in verdict.todo
    with serving(ReverseProxy(address, prefix="/team").app) as url:
        verdict = await failure(ServerProfile("lab", url))
    assert (verdict.step, verdict.why) == (Step.PATH, "/v1/models answers 404: 404 Not Found")


async def test_pages_of_proxies_are_told_from_engines(address: str) -> None:
    with serving(ReverseProxy(address, down=True).app) as url:
        verdict = await failure(ServerProfile("lab", url))
    assert verdict.step is Step.HTTP
    assert verdict.why == "502 Bad Gateway"
    page = Response("<html><title>Please log in</title></html>", media_type="text/html")
    with serving(app_of(page)) as url:
        verdict = await failure(ServerProfile("lab", url))
    assert (verdict.step, verdict.why) == (Step.PATH, "Please log in")
    with serving(app_of(RedirectResponse("https://login.example/"))) as url:
        verdict = await failure(ServerProfile("lab", url))
    assert (verdict.step, verdict.why) == (Step.HTTP, "It says: https://login.example/")


async def test_a_port_where_nothing_listens_and_a_name_that_nobody_knows() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    verdict = await failure(ServerProfile("lab", f"http://127.0.0.1:{port}"))
    assert (verdict.step, verdict.todo) == (Step.TCP, "Start the server, or check the port.")
    verdict = await failure(ServerProfile("lab", "http://no-such-host.invalid:8000"))
    assert verdict.step is Step.NAME


async def test_a_bad_address_ends_the_test_at_once() -> None:
    verdict = await failure(ServerProfile("lab", "lab:8000"))
    assert verdict.step is Step.ADDRESS


async def test_what_is_sent_in_clear_to_another_machine_is_a_warning() -> None:
    verdicts = await examine(ServerProfile("lab", "http://no-such-host.invalid:8000"))
    assert verdicts[Step.ADDRESS].outcome is Outcome.WARNING


async def test_a_proxy_that_holds_streams_back_is_a_warning(address: str) -> None:
    for buffers, outcome in ((False, Outcome.OK), (True, Outcome.WARNING)):
        slow = ReverseProxy(address, buffers=buffers, piece_seconds=0.01)
        with serving(slow.app) as url:
            verdict = (await examine(ServerProfile("lab", url)))[Step.STREAM]
        assert verdict.outcome is outcome, verdict
    assert "proxy_buffering off" in verdict.todo


async def test_a_proxy_that_lets_only_the_api_through_leaves_little(address: str) -> None:
    narrow = ReverseProxy(address, only=("/v1", "/health"))
    with serving(narrow.app) as url:
        verdicts = await examine(ServerProfile("lab", url))
    assert verdicts[Step.CHAT].outcome is Outcome.OK
    assert "lengths are estimates" in verdicts[Step.ABILITIES].why
    assert "no counters" in verdicts[Step.ABILITIES].why


async def test_a_model_that_is_not_there_is_named(address: str) -> None:
    verdict = await failure(ServerProfile("lab", address, model="huge"))
    assert (verdict.step, verdict.why) == (Step.MODELS, "There are: tiny llama.")


async def test_secrets_that_a_server_repeats_are_hidden() -> None:
    with serving(app_that_answers(400, {"detail": f"bad header: Bearer {KEY}"})) as url:
        verdict = await failure(ServerProfile("lab", url))
    assert "[secret]" in verdict.why


async def test_extra_headers_are_sent(address: str) -> None:
    proxy = ReverseProxy(address)
    secrets = ServerSecrets(KEY, {"X-Gate": "gate-secret"})
    with serving(proxy.app) as url:
        await examine(ServerProfile("lab", url, headers=(("X-Team", "lab"),)), secrets)
    assert all(one["x-team"] == "lab" and one["x-gate"] == "gate-secret" for one in proxy.heard)


def app_of(response: Response) -> Starlette:
    async def reply(_request: Request) -> Response:
        return response

    return Starlette(routes=[Route("/{path:path}", reply, methods=["GET", "POST"])])


def app_that_answers(status: int, body: object) -> Starlette:
    return app_of(JSONResponse(body, status))
