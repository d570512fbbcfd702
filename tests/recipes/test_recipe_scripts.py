"""The scripts, run for real, with a vLLM that misbehaves as facts say it does."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from m1desk.recipes import ClusterPlan, make_recipe, write_recipe

Planner = Callable[..., ClusterPlan]
SHARED = Path("/dev/shm")
STUBBORN = """\
#!/usr/bin/env bash
# Never ends by SIGTERM, has a child that is orphaned by SIGKILL, and leaves shared memory behind.
trap '' TERM
printf '%s\\n' "$@" >argv
printf '%s' "${VLLM_API_KEY:-}" >key
printf '%s' "${VLLM_HOST_IP:-} ${GLOO_SOCKET_IFNAME:-}" >network
: >"/dev/shm/psm_SEGMENT"
sleep 300 &
printf '%s %s' "$$" "$!" >pids.new
mv pids.new pids
wait
"""

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="vLLM's clusters are Linux"),
    pytest.mark.skipif(shutil.which("setsid") is None, reason="needs util-linux"),
]


@pytest.fixture
def segment() -> Iterator[str]:
    """A name for shared memory that is ours alone."""
    name = f"m1desk_{secrets.token_hex(8)}"
    yield name
    for path in SHARED.glob(f"psm_{name}*"):
        path.unlink()


@pytest.fixture
def folder(planned: Planner, tmp_path: Path, segment: str) -> Path:
    """A recipe for one node, with a stand-in where install.sh would put vLLM."""
    return prepared(planned("8xH100"), tmp_path, segment)


def prepared(plan: ClusterPlan, place: Path, segment: str) -> Path:
    write_recipe(make_recipe(plan, "shell"), place)
    program = place / "venv" / "bin" / "vllm"
    program.parent.mkdir(parents=True)
    program.write_text(STUBBORN.replace("SEGMENT", segment))
    program.chmod(0o755)
    return place


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )


def test_keys_are_new_and_readable_by_their_owner_alone(folder: Path) -> None:
    assert run(folder, "./new-keys.sh").returncode == 0
    keys = folder / "keys.env"
    first = keys.read_text()
    assert stat.S_IMODE(keys.stat().st_mode) == 0o600
    assert len(first) == len("VLLM_API_KEY=\n") + 64
    again = run(folder, "./new-keys.sh")
    assert again.returncode == 1
    assert "exists" in again.stderr
    assert keys.read_text() == first
    keys.unlink()
    run(folder, "./new-keys.sh")
    assert keys.read_text() != first


def test_without_a_key_nothing_starts(folder: Path) -> None:
    done = run(folder, "./serve.sh")
    assert done.returncode == 1
    assert "./new-keys.sh" in done.stderr
    run(folder, "./new-keys.sh")
    (folder / "keys.env").chmod(0o644)
    done = run(folder, "./serve.sh")
    assert "chmod 600" in done.stderr
    assert not (folder / "argv").exists()


def test_nothing_is_left_of_an_engine_that_does_not_stop(folder: Path, segment: str) -> None:
    others = SHARED / f"psm_{segment}_older"
    others.touch()
    os.utime(others, (1, 1))
    run(folder, "./new-keys.sh")
    serving = subprocess.Popen(["./serve.sh"], cwd=folder)
    try:
        engine, child = started(folder)
        key = (folder / "key").read_text()
        assert len(key) == 64
        for process in (psutil.Process(serving.pid), engine, child):
            assert not any(key in word for word in process.cmdline())
        argv = (folder / "argv").read_text().splitlines()
        assert argv[:2] == ["serve", "owner/MiniMax-M1-80k"]
        assert argv[argv.index("--host") + 1] == "127.0.0.1"
        assert (SHARED / f"psm_{segment}").exists()
        serving.send_signal(signal.SIGTERM)
        assert serving.wait(timeout=60) == 143
    finally:
        serving.kill()
        serving.wait()
    assert not lives(engine)
    assert not lives(child)
    assert not (SHARED / f"psm_{segment}").exists()
    assert others.exists()


def lives(process: psutil.Process) -> bool:
    """A zombie does not."""
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def started(folder: Path) -> tuple[psutil.Process, psutil.Process]:
    until = time.monotonic() + 60
    while not (folder / "pids").exists():
        assert time.monotonic() < until, "the engine did not start"
        time.sleep(0.1)
    engine, child = map(int, (folder / "pids").read_text().split())
    return psutil.Process(engine), psutil.Process(child)


def test_an_engine_that_ends_ends_the_script_with_its_status(folder: Path) -> None:
    (folder / "venv" / "bin" / "vllm").write_text("#!/usr/bin/env bash\nexit 7\n")
    run(folder, "./new-keys.sh")
    assert run(folder, "./serve.sh").returncode == 7


needs_ip = pytest.mark.skipif(shutil.which("ip") is None, reason="needs iproute2")


@pytest.fixture
def group(planned: Planner, tmp_path: Path, segment: str) -> Path:
    """The same for two nodes."""
    return prepared(planned("2x8xH100"), tmp_path, segment)


@needs_ip
@pytest.mark.parametrize(
    ("words", "why"),
    [
        ([], "Which node is this?"),
        (["first"], "Which node is this?"),
        (["2", "10.0.0.1"], "There are 2 nodes"),
        (["0"], "Where is node 0?"),
        (["0", "127.0.0.1"], "only this node's loopback"),
        (["0", "192.0.2.77"], "No interface of this node"),
    ],
)
def test_a_node_says_what_it_was_not_told(words: list[str], why: str, group: Path) -> None:
    done = run(group, "./serve.sh", *words)
    assert done.returncode == 1
    assert why in done.stderr
    assert not (group / "argv").exists()


@needs_ip
def test_a_node_finds_its_interface_and_its_role(group: Path) -> None:
    own = run(group, "./serve.sh", "address").stdout.strip()
    if not own:
        pytest.skip("this machine has no way out, so no address that another node could reach")
    run(group, "./new-keys.sh")
    serving = subprocess.Popen(["./serve.sh", "0", own], cwd=group)
    try:
        started(group)
        argv = (group / "argv").read_text()
        address, interface = (group / "network").read_text().split(" ")
    finally:
        serving.terminate()
        serving.wait(timeout=60)
    assert f"--nnodes\n2\n--node-rank\n0\n--master-addr\n{own}\n" in argv
    assert "--headless" not in argv
    assert address == own
    assert interface not in {"", "lo"}
    assert len((group / "key").read_text()) == 64
