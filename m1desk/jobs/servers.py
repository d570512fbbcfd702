"""Lends jobs a server elsewhere: by the name it was added under, or by its bare address."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from m1desk.engines import ServerProfile, ServerSecrets, connect
from m1desk.engines.remote.secrets import KEY, KEY_VARIABLE, missing
from m1desk.errors import BadInput
from m1desk.jobs.desk import JobEngine

if TYPE_CHECKING:
    from m1desk.engines import ProfileStore
    from m1desk.store import Database, Folders


class JobServers:
    """Servers that were added, as jobs use them: nobody is asked for anything."""

    def __init__(self, profiles: ProfileStore, folders: Folders) -> None:
        """Prepare; nothing is asked.

        Args:
            profiles: the servers that were added.
            folders: for the record and the log of a tunnel.
        """
        self._profiles = profiles
        self._folders = folders

    def names(self) -> tuple[str, ...]:
        """Name the servers that were added; blocks; raises StorageError."""
        return tuple(profile.name for profile in self._profiles.list())

    def check(self, server: str) -> None:
        """Refuse a server that a job could not ask; blocks, and sends nothing.

        Raises:
            BadInput: there is none of that name, or one of its secrets is missing.
            StorageError: the database can't be read.
        """
        self._find(server)

    @asynccontextmanager
    async def engine(self, server: str) -> AsyncIterator[JobEngine]:
        """Lend a server for the body of the `async with`.

        Raises:
            BadInput: as for `check`.
            EngineError: it does not answer, or not as an engine does.
        """
        profile, secrets = await asyncio.to_thread(self._find, server)
        async with connect(profile, secrets, self._folders) as client:
            yield JobEngine(
                client=client,
                model=client.model,
                context_tokens=client.context_tokens,
                keeps_states=client.abilities.prepared,
                limits_thinking=bool(client.abilities.thinking_field),
            )

    def _find(self, server: str) -> tuple[ServerProfile, ServerSecrets]:
        if "://" in server:
            return ServerProfile(server, server), ServerSecrets()
        profile = self._profiles.get(server)
        secrets = self._profiles.vault.read(profile)
        if KEY in missing(profile, secrets) and self._is_alone(profile):
            secrets = replace(secrets, key=os.environ.get(KEY_VARIABLE, ""))
        lacking = missing(profile, secrets)
        if lacking:
            raise _lacking(profile, lacking[0])
        return profile, secrets

    def _is_alone(self, profile: ServerProfile) -> bool:
        """Whether the environment's key can only be meant for this server."""
        return all(one.name == profile.name or not one.wants_key for one in self._profiles.list())


def rename_in_jobs(database: Database, name: str, new_name: str) -> None:
    """Let every job that chose a server by its name choose it by another one.

    Raises:
        BadInput: one of them is running.
        StorageError: the database can't be written.
    """
    with database.transaction() as connection:
        running = connection.execute(
            "SELECT title FROM jobs WHERE state = 'running'"
            " AND json_extract(spec, '$.engine.server') = ?",
            (name,),
        ).fetchone()
        if running is not None:
            raise BadInput(
                f"{name} can't be renamed now.",
                f'The job "{running["title"]}" is asking it under this name.',
                "Pause or cancel the job, or wait for its end; then rename the server.",
            )
        connection.execute(
            "UPDATE jobs SET spec = json_set(spec, '$.engine.server', ?)"
            " WHERE json_extract(spec, '$.engine.server') = ?",
            (new_name, name),
        )


def _lacking(profile: ServerProfile, what: str) -> BadInput:
    words = "The key" if what == KEY else f"The value of the header {what}"
    script = f", or set {KEY_VARIABLE} where the jobs run" if what == KEY else ""
    return BadInput(
        f"{words} of the server {profile.name} is missing.",
        "It is not in the system's keyring, and a job asks nobody.",
        f"Enter it on the Servers page, or add the server once more with `m1desk remote add "
        f"{profile.name} {profile.base_url} --replace`{script}; then retry the job.",
    )
