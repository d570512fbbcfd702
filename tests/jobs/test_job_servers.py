"""Jobs that servers elsewhere answer: kept by name, with TLS, keys, tunnels; nobody is asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.certificates import Authority
from support.job_queue import GREEDY
from support.reverse_proxy import ReverseProxy
from support.serving import serving
from support.sshd import needs_sshd, running_sshd
from support.worker import KEY, Worker, running_worker

from m1desk.engines import ProfileStore, ServerProfile, ServerSecrets, SshTunnel
from m1desk.errors import BadInput
from m1desk.jobs.servers import JobServers, rename_in_jobs
from m1desk.jobs.store import JobStore
from m1desk.jobs.values import EngineChoice, Job, JobEstimate, JobSpec
from m1desk.store import Database, Folders

if TYPE_CHECKING:
    from support.job_queue import Queue
    from support.memory_keyring import MemoryKeyring

LAB = EngineChoice(server="lab")


@pytest.fixture(scope="module")
def worker(quoting_jobs_model: Path) -> Iterator[Worker]:
    with running_worker(quoting_jobs_model, context=4096, parallel=2) as running:
        yield running


@pytest.fixture
def profiles(database: Database) -> ProfileStore:
    return ProfileStore(database)


def address_of(worker: Worker) -> str:
    return str(worker.client.base_url).rstrip("/")


async def done(queue: Queue, *files: Path) -> Job:
    """Work on a job that the server "lab" is to answer, to its end."""
    job_id = queue.add("table", *files, engine=LAB)
    await queue.work()
    return queue.store.job(job_id)


@pytest.mark.usefixtures("memory_keyring")
async def test_a_kept_server_answers_through_tls_a_prefix_and_its_key(
    queue: Queue, contracts: list[Path], worker: Worker, profiles: ProfileStore, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    proxy = ReverseProxy(address_of(worker), prefix="/team")
    with serving(proxy.app, authority.issue("server")) as url:
        profile = ServerProfile("lab", f"{url}/team", ca_file=str(authority.file))
        profiles.add(profile, ServerSecrets(KEY, {"X-Team": "lab"}))
        job = await done(queue, *contracts)
    assert job.summary.problem is None
    assert (job.model, job.settings) == ("quoting", None)
    answers = queue.store.results(job.summary.id).answers
    assert len(answers) == 6
    assert all(one.checked.citations[0].status == "verified" for one in answers)
    assert all(one["x-team"] == "lab" for one in proxy.heard)
    assert not queue.engine.status.is_ready  # no model of this machine was loaded for it


@needs_sshd
@pytest.mark.usefixtures("memory_keyring")
async def test_a_server_behind_another_machine_is_reached_through_its_tunnel(
    queue: Queue, contracts: list[Path], worker: Worker, profiles: ProfileStore, tmp_path: Path
) -> None:
    with running_sshd(tmp_path / "sshd") as sshd:
        way = SshTunnel(sshd.destination, config_file=str(sshd.config))
        profiles.add(ServerProfile("lab", address_of(worker), tunnel=way), ServerSecrets(KEY))
        job = await done(queue, contracts[0])
    assert (job.summary.state, job.summary.progress.steps_done) == ("done", 3)


async def test_a_missing_key_stops_the_job_and_says_the_way_on(
    queue: Queue,
    contracts: list[Path],
    worker: Worker,
    profiles: ProfileStore,
    memory_keyring: MemoryKeyring,
) -> None:
    proxy = ReverseProxy(address_of(worker))
    with serving(proxy.app) as url:
        profiles.add(ServerProfile("lab", url), ServerSecrets(KEY))
        memory_keyring.locked = True
        job = await done(queue, contracts[0])
        assert proxy.heard == []
        problem = job.summary.problem
        assert problem is not None
        assert problem.what == "The key of the server lab is missing."
        assert "m1desk remote add lab" in problem.todo
        memory_keyring.locked = False
        queue.store.retry(job.summary.id)
        await queue.work()
    assert queue.store.state(job.summary.id) == "done"


async def test_a_wrong_key_stops_the_job_at_once(
    queue: Queue, contracts: list[Path], worker: Worker, profiles: ProfileStore
) -> None:
    # As a router does it: its list of models is shown to anybody, but nothing is answered.
    proxy = ReverseProxy(address_of(worker), opens={"/v1/models": KEY, "/tokenize": KEY})
    with serving(proxy.app) as url:
        profiles.add(ServerProfile("lab", url))
        job = await done(queue, *contracts)
    problem = job.summary.problem
    assert problem is not None
    assert "key" in str(problem)
    steps = [one for one in queue.store.steps(job.summary.id) if one.kind == "ask"]
    assert [one.attempts for one in steps] == [1, 0, 0, 0, 0, 0]


async def test_a_server_that_can_not_limit_the_thinking_is_said(
    queue: Queue, contracts: list[Path], worker: Worker, profiles: ProfileStore
) -> None:
    limited = replace(GREEDY, thinking_tokens=100)
    for only in ((), ("/v1",)):  # what is not told, such as who it is, counts as missing
        address = address_of(worker)
        opens = dict.fromkeys(("/v1/models", "/v1/chat/completions", "/props", "/tokenize"), KEY)
        with serving(ReverseProxy(address, only=only, opens=opens).app) as url:
            job_id = queue.add(
                "table", contracts[0], engine=EngineChoice(server=url), sampling=limited
            )
            await queue.work()
        assert queue.store.state(job_id) == "done"
        lines = [one.text for one in queue.store.log_lines(job_id)]
        assert ("This server can't limit how long the model thinks." in lines) is bool(only)


async def test_a_server_that_nobody_added_is_named(queue: Queue, contracts: list[Path]) -> None:
    job = await done(queue, contracts[0])
    assert job.summary.problem is not None
    assert job.summary.problem.what == 'There is no server "lab".'


def test_the_environments_key_is_shown_to_the_one_server_that_wants_one(
    database: Database, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    monkeypatch.setenv("M1DESK_SERVER_KEY", "secret")
    profiles = ProfileStore(database)
    servers = JobServers(profiles, Folders.under(home))
    profiles.add(ServerProfile("lab", "http://127.0.0.1:1", wants_key=True))
    profiles.add(ServerProfile("open", "http://127.0.0.1:2"))
    servers.check("lab")
    servers.check("open")
    servers.check("http://127.0.0.1:3")
    profiles.add(ServerProfile("other", "http://127.0.0.1:4", wants_key=True))
    with pytest.raises(BadInput, match="The key of the server lab is missing"):
        servers.check("lab")
    assert servers.names() == ("lab", "open", "other")


def test_a_missing_secret_header_is_named(database: Database, home: Path) -> None:
    profiles = ProfileStore(database)
    profiles.add(ServerProfile("lab", "http://127.0.0.1:1", secret_headers=("X-Auth",)))
    with pytest.raises(BadInput, match="The value of the header X-Auth of the server lab"):
        JobServers(profiles, Folders.under(home)).check("lab")


def test_jobs_follow_a_server_that_is_renamed(database: Database, profiles: ProfileStore) -> None:
    jobs = JobStore(database)
    profiles.follow_renames(partial(rename_in_jobs, database))
    profiles.add(ServerProfile("lab", "http://127.0.0.1:1"))
    waiting, ended, elsewhere, here = (
        jobs.add(JobSpec("Read it", "prompt", engine=engine), JobEstimate())
        for engine in (LAB, LAB, EngineChoice(server="http://lab"), EngineChoice())
    )
    jobs.cancel(ended)
    profiles.rename("lab", "Küche 2")
    chosen = [jobs.job(one).spec.engine.server for one in (waiting, ended, elsewhere, here)]
    assert chosen == ["Küche 2", "Küche 2", "http://lab", ""]


def test_a_server_that_a_running_job_asks_is_not_renamed(
    database: Database, profiles: ProfileStore
) -> None:
    jobs = JobStore(database)
    profiles.follow_renames(partial(rename_in_jobs, database))
    for name in ("lab", "free"):
        profiles.add(ServerProfile(name, "http://127.0.0.1:1"))
    running = jobs.add(JobSpec("Read it", "prompt", engine=LAB), JobEstimate())
    assert jobs.start(running)
    with pytest.raises(BadInput, match='The job "Read it" is asking it'):
        profiles.rename("lab", "cluster")
    assert [one.name for one in profiles.list()] == ["free", "lab"]
    assert jobs.job(running).spec.engine == LAB
    profiles.rename("free", "other")  # nobody asks that one
    jobs.pause(running)
    profiles.rename("lab", "cluster")
    assert jobs.job(running).spec.engine.server == "cluster"
