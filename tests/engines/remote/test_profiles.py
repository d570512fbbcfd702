"""What a person may enter for a server, and in which form it is kept."""

from __future__ import annotations

import json

import pytest

from m1desk.engines.remote.profiles import (
    ServerAddress,
    ServerProfile,
    SshTunnel,
    checked,
    looks_secret,
    parse_address,
    parse_fingerprint,
    parse_host_and_port,
    parse_ssh,
    profile_of,
    profile_values,
)
from m1desk.errors import BadInput

LAB = ServerProfile("lab", "https://lab.example/team")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("http://10.0.0.5:8000", ServerAddress("http", "10.0.0.5", 8000)),
        (" https://Example.org/ ", ServerAddress("https", "example.org", 443)),
        ("https://example.org/a/b/v1", ServerAddress("https", "example.org", 443, "/a/b")),
        ("https://h:8443/v1/chat/completions", ServerAddress("https", "h", 8443)),
        ("http://[::1]:8000/v1/", ServerAddress("http", "::1", 8000)),
        ("http://h/v1beta", ServerAddress("http", "h", 80, "/v1beta")),
    ],
)
def test_an_address_is_read_up_to_its_v1(text: str, address: ServerAddress) -> None:
    assert parse_address(text) == address
    assert parse_address(address.base_url) == address


@pytest.mark.parametrize(
    "text",
    ["", "lab:8000", "ftp://h", "http://", "http://h:99999", "http://h:x", "http://h/?q=1",
     "http://h/#there", "http://a b/", "http://h\n/"],
)  # fmt: skip
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        parse_address(text)


def test_a_password_in_an_address_is_refused_without_repeating_it() -> None:
    with pytest.raises(BadInput) as caught:
        parse_address("https://me:hunter2secret@h/")
    assert "hunter2secret" not in str(caught.value)


def test_addresses_say_whether_they_leave_this_machine() -> None:
    assert parse_address("http://127.0.0.1:1").is_this_machine
    assert parse_address("http://localhost:1").is_this_machine
    assert not parse_address("http://192.168.1.9:1").is_this_machine


@pytest.mark.parametrize(
    ("text", "tunnel"),
    [
        ("me@gate", SshTunnel("me@gate")),
        ("me@gate:2222", SshTunnel("me@gate", 2222)),
        ("gate-by-alias", SshTunnel("gate-by-alias")),
    ],
)
def test_ssh_destinations(text: str, tunnel: SshTunnel) -> None:
    assert parse_ssh(text) == tunnel


@pytest.mark.parametrize("text", ["-oProxyCommand=evil", "me@-evil", "a b", "", "me@gate:70000"])
def test_what_ssh_would_take_for_an_option_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        parse_ssh(text)


def test_hosts_and_ports() -> None:
    assert parse_host_and_port("10.0.0.5:8000") == ("10.0.0.5", 8000)
    assert parse_host_and_port("[fd00::1]:8000") == ("fd00::1", 8000)
    for bad in ("10.0.0.5", ":80", "h:0", "h:80/x"):
        with pytest.raises(BadInput):
            parse_host_and_port(bad)


def test_fingerprints_in_the_forms_that_tools_print() -> None:
    digits = "ab" * 32
    colons = ":".join(["AB"] * 32)
    for text in (digits, colons, f"SHA256:{digits}", f"sha256 Fingerprint={colons}"):
        assert parse_fingerprint(text) == digits
    with pytest.raises(BadInput):
        parse_fingerprint("abcd")


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("X-Team", "lab", False),
        ("X-Api-Key", "x", True),
        ("Authorization", "Basic abc", True),
        ("Cookie", "a=b", True),
        ("X-Thing", "sk4f9d8s7f6g5h4j3k2l1m0n9b8v", True),
        ("X-Note", "please answer as quickly as you can", False),
    ],
)
def test_headers_that_look_like_secrets(name: str, value: str, secret: bool) -> None:
    assert looks_secret(name, value) is secret


@pytest.mark.parametrize(
    "profile",
    [
        ServerProfile("", "http://h"),
        ServerProfile("x" * 65, "http://h"),
        ServerProfile("lab", "http://h", headers=(("Host", "other"),)),
        ServerProfile("lab", "http://h", headers=(("X-A", "one\r\nX-B: two"),)),
        ServerProfile("lab", "http://h", headers=(("X A", "one"),)),
        ServerProfile("lab", "https://h", client_certificate="c.pem"),
        ServerProfile("lab", "https://h", ca_file="ca.pem", pinned_sha256="ab" * 32),
        ServerProfile("lab", "https://h", tunnel=SshTunnel("gate", forward_host="h")),
    ],
)
def test_contradictions_are_refused(profile: ServerProfile) -> None:
    with pytest.raises(BadInput):
        checked(profile)


def test_a_profile_survives_its_json() -> None:
    profile = checked(
        ServerProfile(
            "Büro 2",
            "https://h/x",
            model="m",
            wants_key=True,
            headers=(("X-Team", "lab"),),
            secret_headers=("X-Api-Key",),
            ca_file="/etc/ca.pem",
            tunnel=SshTunnel("me@gate", 22, "10.0.0.5", 8000),
        )
    )
    assert profile_of(json.loads(json.dumps(profile_values(profile)))) == profile


@pytest.mark.parametrize(
    "values",
    [None, [], {}, {"name": "lab"}, {**profile_values(LAB), "base_url": "no"},
     {**profile_values(LAB), "surprise": 1}, {**profile_values(LAB), "headers": 3},
     {**profile_values(LAB), "tunnel": "gate"}, {**profile_values(LAB), "name": 7}],
)  # fmt: skip
def test_broken_json_is_a_value_error(values: object) -> None:
    with pytest.raises(ValueError, match="not a"):
        profile_of(values)
