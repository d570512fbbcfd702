"""Room on the disk for what an engine keeps of the documents of jobs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from typing import TYPE_CHECKING

from m1desk.errors import StorageError

if TYPE_CHECKING:
    from m1desk.documents import PreparedStates

_log = logging.getLogger(__name__)


class JobStates:
    """Keeps the states that jobs make within what all states together may take."""

    def __init__(
        self,
        states: PreparedStates,
        budget_bytes: Callable[[], int],
        make_room: Callable[[int], Awaitable[object]] | None = None,
    ) -> None:
        """Prepare; nothing is looked at.

        Args:
            states: all that are kept on this machine.
            budget_bytes: says what they may take together.
            make_room: deletes those unused longest beyond so many bytes, and none that somebody
                else uses; None where nobody else is.
        """
        self._states = states
        self._budget_bytes = budget_bytes
        self._make_room = make_room or self._alone

    def has_room(self, names: Collection[str]) -> bool:
        """Whether another state may be kept beside these; blocks; raises StorageError."""
        taken = sum(one.size_bytes for one in self._states.entries() if one.name in names)
        return taken < self._budget_bytes()

    async def make_room(self) -> None:
        """Delete the states unused longest beyond what all may take."""
        try:
            await self._make_room(self._budget_bytes())
        except StorageError as error:  # there is a next time
            _log.warning("no room is made among the prepared states: %s", error)

    async def _alone(self, budget_bytes: int) -> None:
        await asyncio.to_thread(self._states.make_room, budget_bytes)
