"""The models the window fetches: the hub with its token, and the queue of downloads."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from m1desk.errors import BadInput, M1DeskError
from m1desk.models import DownloadManager, Hub, HubSettings, hub_settings
from m1desk.models.downloads.manager import DownloadLimits, free_bytes
from m1desk.models.downloads.records import DownloadRecords
from m1desk.store import AppSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from m1desk.models import Download
    from m1desk.store import Database


class ModelDownloads:
    """Keeps downloads to the settings; used on one asyncio loop.

    `own` is the app's folder for models. `post` takes every Download that changed.
    """

    def __init__(self, database: Database, own: Path, post: Callable[[object], None]) -> None:
        self.manager = DownloadManager(database, self.hub, post)
        self._own = own
        self._settings = AppSettings()
        self._hub: HubSettings | M1DeskError | None = None
        self._reading = asyncio.Lock()
        self._records = DownloadRecords(database)
        self.checksum_of = self._records.checksum_of

    def hub(self) -> HubSettings:
        """How the hub is reached now; raises BadInput when its address is unusable."""
        if self._hub is None:
            raise BadInput("The settings of the model hub have not been read yet.")
        if isinstance(self._hub, M1DeskError):
            raise self._hub
        return self._hub

    async def begin(self, settings: AppSettings) -> None:
        """Go on with what an earlier run left under way; raises StorageError."""
        self._keep_to(settings)
        if self._records.all():
            async with self._reading:
                await self._read_hub()
        await self.manager.recover()

    async def apply(self, settings: AppSettings) -> None:
        """Keep to other settings, or to another token, from now on."""
        self._keep_to(settings)
        async with self._reading:
            if self._hub is None:
                return
            await self._read_hub()
        if isinstance(self._hub, HubSettings) and self._hub.offline:
            await self._stop_all()
        else:
            await self._go_on()

    async def fetch(self, repository: str, variant_name: str) -> Download:
        """Look a variant up on the hub and queue it; raises HubError, BadInput, StorageError."""
        async with self._reading:
            if self._hub is None:
                await self._read_hub()
        found = await asyncio.to_thread(Hub(self.hub()).repository, repository)
        variant = found.variant(variant_name)
        if variant is None:
            names = ", ".join(each.name for each in found.variants) or "none"
            raise BadInput(
                f'{repository} has no variant "{variant_name}".',
                f"The hub lists: {names}.",
                "Look at the model again; its owner may have changed the files.",
            )
        return await self.manager.add(found, variant, self._settings.models_place(self._own))

    async def resume(self, number: int) -> None:
        """Go on with a paused or failed download, with the settings and the token of now."""
        async with self._reading:
            await self.manager.resume(number)

    async def free_space(self) -> tuple[Path, int]:
        """The folder models are fetched to, and the bytes free on its disk."""
        folder = self._settings.models_place(self._own)
        return folder, await asyncio.to_thread(free_bytes, folder)

    async def close(self) -> None:
        """End the transfers; they go on at the next start."""
        await self.manager.close()

    def _keep_to(self, settings: AppSettings) -> None:
        self._settings = settings
        self.manager.set_limits(DownloadLimits(at_once=settings.parallel_downloads))

    async def _read_hub(self) -> None:
        """Take on how the hub is reached. It is not asked for until it is needed.

        The keyring, which has the token, may ask the person for a password: hence a thread.
        """
        try:
            self._hub = await asyncio.to_thread(hub_settings, self._settings)
        except M1DeskError as error:
            self._hub = error

    async def _stop_all(self) -> None:
        """End what runs; each download is started anew only to say that offline mode is on."""
        for download in self.manager.downloads:
            if download.state.is_unfinished:
                await self.manager.pause(download.id)
                await self.manager.resume(download.id)

    async def _go_on(self) -> None:
        """Resume what only offline mode had stopped."""
        for download in self.manager.downloads:
            if download.failure is not None and download.failure.kind == "offline":
                await self.manager.resume(download.id)
