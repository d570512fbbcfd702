"""`m1desk remote` and `m1desk chat --server` as a person or a script meets them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.models import SCRIPTED_ANSWER
from support.worker import KEY, Worker, running_worker

from m1desk.jobs.store import JobStore
from m1desk.jobs.values import EngineChoice, JobEstimate, JobSpec
from m1desk.store import Database, Folders


@pytest.fixture(scope="module")
def worker(scripted_llama: Path) -> Iterator[Worker]:
    with running_worker(scripted_llama) as running:
        yield running


def m1desk(*arguments: object, given: str = "", key: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "m1desk", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
        input=given,
        env={**os.environ, "M1DESK_SERVER_KEY": key} if key else None,
    )


def as_json(done: subprocess.CompletedProcess[str]) -> Any:
    return json.loads(done.stdout)


def test_a_server_is_added_listed_tested_asked_and_removed(worker: Worker, home: Path) -> None:
    url = str(worker.client.base_url).rstrip("/")
    added = m1desk("remote", "add", "lab", f"{url}/v1", "--key", given=f"{KEY}\n")
    assert added.returncode == 0, added.stderr
    assert "no usable keyring" in added.stderr  # the tests have none
    (listed,) = as_json(m1desk("remote", "list", "--json"))
    assert (listed["name"], listed["base_url"]) == ("lab", url)
    assert listed["wants_key"] is True

    tested = m1desk("remote", "test", "lab", "--json", key=KEY)
    assert tested.returncode == 0, tested.stderr
    outcomes = {one["step"]: one["outcome"] for one in as_json(tested)}
    assert outcomes["chat"] == "ok"
    assert "failed" not in outcomes.values()
    shown = m1desk("remote", "test", "lab", key="not-the-right-key")
    assert shown.returncode == 1
    assert "Key         FAILED" in shown.stdout
    assert "can't be used" in shown.stderr

    asked = m1desk("chat", "--server", "lab", "-p", "Hello", "--temperature", 0, key=KEY)
    assert asked.stdout == SCRIPTED_ANSWER + "\n"
    assert f"{url} (lab) answers." in asked.stderr
    unasked = m1desk("chat", "--server", "lab", "-p", "Hello")
    assert unasked.returncode == 1
    assert "Key of lab is missing" in unasked.stderr

    assert m1desk("remote", "remove", "lab").returncode == 0
    assert as_json(m1desk("remote", "list", "--json")) == []
    kept = [path for path in home.rglob("*") if path.is_file()]
    assert kept
    assert not any(KEY.encode() in path.read_bytes() for path in kept)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("add", "lab", "lab:8000"), "is not the address of a server"),
        (("add", "lab", "http://h", "--header", "X-Api-Key: abc"), "--secret-header X-Api-Key"),
        (("add", "lab", "http://h", "--key"), "Key of lab is missing"),
        (("add", "lab", "http://h", "--ssh-to", "h:1"), "need --ssh"),
        (("add", "lab", "http://h", "--ssh", "-oProxyCommand=x"), "nothing that ssh can log in to"),
        (("test", "nobody"), 'There is no server "nobody"'),
        (("remove", "nobody"), 'There is no server "nobody"'),
    ],
)
def test_what_can_not_be_done_is_explained(arguments: tuple[str, ...], words: str) -> None:
    done = m1desk("remote", *arguments)
    assert done.returncode == 1
    assert words in done.stderr


def test_a_server_is_changed_only_when_that_is_asked_for() -> None:
    assert m1desk("remote", "add", "lab", "http://one.example").returncode == 0
    assert "already" in m1desk("remote", "add", "lab", "http://two.example").stderr
    done = m1desk("remote", "add", "lab", "http://two.example", "--replace", "--json")
    assert as_json(done)["base_url"] == "http://two.example"


def test_a_server_is_renamed_and_its_jobs_with_it(home: Path) -> None:
    assert m1desk("remote", "add", "lab", "http://one.example").returncode == 0
    spec = JobSpec("Read it", "prompt", engine=EngineChoice(server="lab"))
    with Database(Folders.under(home).database) as database:
        job = JobStore(database).add(spec, JobEstimate())
    done = m1desk("remote", "rename", "lab", "cluster")
    assert (done.returncode, done.stderr) == (0, "lab is called cluster now.\n")
    assert [one["name"] for one in as_json(m1desk("remote", "list", "--json"))] == ["cluster"]
    with Database(Folders.under(home).database) as database:
        assert JobStore(database).job(job).spec.engine.server == "cluster"
    again = m1desk("remote", "rename", "lab", "cluster")
    assert again.returncode == 1
    assert 'There is no server "lab"' in again.stderr


def test_a_model_and_a_server_together_are_a_misuse() -> None:
    assert m1desk("chat", "model.gguf", "--server", "lab", "-p", "x").returncode == 2
