"""What pip and uv say, read: how far an installation is, why it failed, and what must be hidden."""

from __future__ import annotations

from pathlib import Path

import pytest

from m1desk.engines.environments import pip, uv
from m1desk.engines.environments.faults import explain
from m1desk.engines.environments.redaction import redacted
from m1desk.engines.environments.values import VLLM, InstallProgress, InstallRequest

REQUEST = InstallRequest("vllm-0.32.0", VLLM, "vllm", "0.32.0")

NO_NETWORK = """\
WARNING: Retrying (Retry(total=4, connect=None, read=None, redirect=None, status=None)) after \
connection broken by 'NewConnectionError('<pip._vendor.urllib3.connection.HTTPSConnection object>: \
Failed to establish a new connection: [Errno -3] Temporary failure in name resolution')': /simple/
ERROR: Could not find a version that satisfies the requirement vllm==0.32.0 (from versions: none)
ERROR: No matching distribution found for vllm==0.32.0"""

NO_VERSION = """\
ERROR: Could not find a version that satisfies the requirement vllm==0.32.0 (from versions: \
0.9.2, 0.10.0, 0.30.0, 0.31.0)
ERROR: No matching distribution found for vllm==0.32.0"""

OTHER_PYTHON = """\
ERROR: Ignored the following versions that require a different python version: 0.32.0 \
Requires-Python <3.14,>=3.10
ERROR: Could not find a version that satisfies the requirement vllm==0.32.0 (from versions: none)
ERROR: No matching distribution found for vllm==0.32.0"""

NO_PART = """\
ERROR: Ignored the following versions that require a different python version: 0.52.0 \
Requires-Python >=3.6,<3.9
ERROR: Could not find a version that satisfies the requirement torch==2.13.0+cpu; platform_machine \
== "x86_64" (from vllm) (from versions: 2.12.0, 2.13.0)
ERROR: No matching distribution found for torch==2.13.0+cpu; platform_machine == "x86_64"
"""

NO_WHEEL = """\
      RuntimeError: Unknown runtime environment
ERROR: Failed building wheel for vllm
ERROR: Could not build wheels for vllm, which is required"""

UV_OFFLINE = """\
error: Failed to fetch: `https://index.example/simple/vllm/`
  Caused by: error sending request for url (https://index.example/simple/vllm/)
  Caused by: dns error: failed to lookup address information"""

UV_NO_VERSION = """\
  × No solution found when resolving dependencies:
  ╰─▶ Because there is no version of vllm==0.32.0 and you require vllm==0.32.0, we can conclude \
that your requirements are unsatisfiable."""

UV_NO_WHEEL = """\
  × No solution found when resolving dependencies:
  ╰─▶ Because vllm==0.32.0 has no wheels with a matching platform tag (e.g., \
`macosx_15_0_arm64`) and you require vllm==0.32.0, we can conclude that your requirements are \
unsatisfiable."""

FULL = "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device"
PROXY = "WARNING: Retrying after connection broken by 'ProxyError('Cannot connect to proxy.')'"
CERTIFICATE = "SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate"
LOGIN = "ERROR: HTTP error 401 while getting x: 401 Client Error: Unauthorized for url: https://x"
DENIED = "ERROR: Could not install packages due to an OSError: [Errno 13] Permission denied: '/x'"
NO_VENV = "The virtual environment was not created successfully because ensurepip is not available."
HASHES = "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE."
CONFLICT = "ERROR: ResolutionImpossible: for help visit https://pip.pypa.io/en/latest/topics"


@pytest.mark.parametrize(
    ("said", "why", "todo"),
    [
        (NO_NETWORK, "could not be reached", "Check the network"),
        (NO_VERSION, "There is no vllm==0.32.0.", "0.30.0, 0.31.0"),
        (OTHER_PYTHON, "not made for this version of Python", "--python"),
        (NO_PART, "needs torch==2.13.0+cpu, a build that PyTorch keeps", "extra-index-url"),
        (NO_PART.replace("torch==2.13.0+cpu", "numba==9"), "needs numba==9, which your", "another"),
        (NO_WHEEL, "no ready-made build", "--python"),
        (UV_OFFLINE, "could not be reached", "Check the network"),
        (UV_NO_VERSION, "The index has no vllm==0.32.0", "Check the name"),
        (UV_NO_WHEEL, "no ready-made build", "--python"),
        (FULL, "The disk is full.", "Make room"),
        (PROXY, "proxy could not be used", "HTTPS_PROXY"),
        (CERTIFICATE, "certificate is not trusted", "global.cert"),
        (LOGIN, "wants a login", "keyring or netrc"),
        (DENIED, "can't be written", "permissions"),
        (NO_VENV, "can't make virtual environments", "python3-venv"),
        (HASHES, "not the one that was announced", "Try again"),
        (CONFLICT, "can't be had together", "PIP_CONSTRAINT"),
        ("ERROR: something new", "It says: something new", "/tmp/install.log"),
        ("", "The installer ended with signal 9.", "/tmp/install.log"),
    ],
)
def test_failures_become_words(said: str, why: str, todo: str) -> None:
    error = explain(REQUEST, said.splitlines(), "signal 9", Path("/tmp/install.log"))
    assert error.what == "vllm==0.32.0 could not be installed."
    assert why in error.why
    assert todo in error.todo


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("Looking in indexes: https://me:hunter2@index.example/simple", "hunter2"),
        ("Downloading https://hunter2@index.example/a.whl (1 kB)", "hunter2"),
        ("from https://index.example/a.whl?X-Token=hunter2&v=1", "hunter2"),
        ("proxy http://user:hunter2@10.0.0.1:3128 refused", "hunter2"),
        ("GET /a.whl?expires=3&Signature=hunter2 HTTP/1.1", "hunter2"),
    ],
)
def test_what_opens_an_index_is_hidden(text: str, hidden: str) -> None:
    shown = redacted(text)
    assert hidden not in shown
    assert "[secret]" in shown
    assert redacted(shown) == shown


def test_addresses_without_secrets_stay_as_they_are() -> None:
    text = "Looking in links: /srv/wheels, https://index.example/simple?version=3"
    assert redacted(text) == text


def follow(reader: object, lines: list[str]) -> list[InstallProgress]:
    now, told = InstallProgress("resolving", "vllm"), []
    for line in lines:
        now = reader(now, line)  # type: ignore[operator]
        told.append(now)
    return told


def test_pip_tells_packages_sizes_and_bytes() -> None:
    told = follow(
        pip.read_line,
        [
            "Collecting vllm==0.32.0",
            "  Downloading vllm-0.32.0-cp38-abi3-manylinux_2_31_x86_64.whl.metadata (19 kB)",
            "WARNING: Location 'x' is ignored: it is neither a file nor a directory.",
            "Collecting torch==2.13.0",
            "  Downloading torch-2.13.0-cp311-none-linux_x86_64.whl (888.1 MB)",
            "Progress 444000000 of 888100000",
            "Installing collected packages: torch, triton, vllm",
        ],
    )
    assert (told[0].stage, told[0].package, told[0].packages) == ("resolving", "vllm", 1)
    assert told[2] == told[1]
    assert (told[4].stage, told[4].package, told[4].total_bytes) == (
        "downloading", "torch", 888_100_000,
    )  # fmt: skip
    assert (told[5].done_bytes, told[5].total_bytes) == (444_000_000, 888_100_000)
    assert (told[6].stage, told[6].packages, told[6].total_bytes) == ("installing", 3, None)


def test_uv_tells_packages_and_sizes() -> None:
    told = follow(
        uv.read_line,
        [
            "Resolved 151 packages in 2.31s",
            "Downloading torch (846.9MiB)",
            "Prepared 151 packages in 1m 02s",
            "Installed 151 packages in 512ms",
        ],
    )
    assert [step.stage for step in told] == [
        "downloading", "downloading", "installing", "installing",
    ]  # fmt: skip
    assert (told[1].package, told[1].total_bytes) == ("torch", round(846.9 * 2**20))
    assert told[-1].packages == 151


def test_secrets_and_settings_stay_out_of_the_command_lines() -> None:
    python = Path("/env/bin/python")
    old = pip.install_command(python, REQUEST, "23.2.1.dist-info")
    new = pip.install_command(python, REQUEST, "24.1")
    assert old[-4:] == ("--no-input", "--progress-bar", "off", "vllm==0.32.0")
    assert new[-2:] == ("raw", "vllm==0.32.0")
    every = (*old, *uv.install_command("uv", python, REQUEST))
    assert not {"--isolated", "--index-url", "-i", "--proxy", "--cert", "--no-config"} & set(every)


def test_the_versions_that_pip_lists_are_read() -> None:
    lines = ["WARNING: pip index is experimental", "vllm (0.3)", "Available versions: 0.3, 0.2"]
    assert pip.parse_versions(lines) == ("0.3", "0.2")
    assert pip.parse_versions(["ERROR: No matching distribution found"]) == ()
