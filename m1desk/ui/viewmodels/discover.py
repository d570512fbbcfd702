"""Discover's list: the catalog at once, the Hub when it is asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from PySide6.QtCore import QObject, Signal

from m1desk.errors import M1DeskError
from m1desk.models import Catalog, HubModel, load_catalog
from m1desk.ui.viewmodels.discover_entries import Entry, catalog_entry, filtered, hub_entry

if TYPE_CHECKING:
    from m1desk.models import Hub
    from m1desk.ui.bridge import Bridge, Submission

SEARCH_LIMIT: Final = 200


@dataclass(frozen=True, slots=True)
class HubSearch:
    """How the last question to the Hub stands.

    Attributes:
        about: what was asked for, in words.
        error: why it failed.
    """

    state: Literal["none", "running", "done", "failed"] = "none"
    about: str = ""
    error: M1DeskError | None = None


class DiscoverViewModel(QObject):
    """Nothing is asked of the network until `search` or `search_quantizations` is called.

    `hub` makes the Hub as the settings want it now; it is called on a worker thread.

    Signals:
        changed: the list is new (read `entries`), or the search stands otherwise.
    """

    changed = Signal()

    def __init__(
        self, bridge: Bridge, hub: Callable[[], Hub], parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._hub = hub
        self._catalog: tuple[Entry, ...] = ()
        self._found: tuple[Entry, ...] = ()
        self._shown_found: tuple[Entry, ...] = ()
        self._filter = ""
        self._opened = False
        self._search = HubSearch()
        self._again: Callable[[], None] | None = None
        self._work: Submission | None = None
        self.error: M1DeskError | None = None
        """Why there is no catalog."""

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The catalog's models that pass the filter, then what the Hub found."""
        return (*filtered(self._catalog, self._filter), *self._shown_found)

    @property
    def hub_search(self) -> HubSearch:
        """How the last question to the Hub stands."""
        return self._search

    @property
    def found_count(self) -> int:
        """How many of `entries`, at their end, are the Hub's."""
        return len(self._shown_found)

    def open(self) -> None:
        """Read the catalog, once."""
        if not self._opened:
            self._opened = True
            self._bridge.submit(
                asyncio.to_thread(load_catalog),
                on_done=self._on_catalog,
                on_error=self._on_no_catalog,
            )

    def filter(self, text: str) -> None:
        """Narrow the list to entries with all these words."""
        self._filter = text
        self._shown_found = filtered(self._found, text)
        self.changed.emit()

    def search(self, text: str) -> None:
        """Ask the Hub for repositories with GGUF files whose name contains `text`."""
        about = f'"{text}"' if text else "what is fetched most"
        self._ask(about, lambda hub: hub.search(text, limit=SEARCH_LIMIT))

    def search_quantizations(self, repo_id: str) -> None:
        """Ask the Hub for GGUF repositories made of this model."""
        self._ask(
            f"quantizations of {repo_id}",
            lambda hub: hub.quantizations(repo_id, limit=SEARCH_LIMIT),
        )

    def search_again(self) -> None:
        """Ask the last question once more."""
        if self._again is not None:
            self._again()

    # -- inside ------------------------------------------------------------------------------------

    def _ask(self, about: str, question: Callable[[Hub], tuple[HubModel, ...]]) -> None:
        if self._work is not None:
            self._work.cancel()
        self._again = lambda: self._ask(about, question)
        self._search = HubSearch("running", about)
        self._work = self._bridge.submit(
            asyncio.to_thread(lambda: question(self._hub())),
            on_done=self._on_found,
            on_error=self._on_not_found,
        )
        self.changed.emit()

    def _on_catalog(self, catalog: Catalog) -> None:
        self._catalog = tuple(catalog_entry(model) for model in catalog.models)
        self.changed.emit()

    def _on_no_catalog(self, error: Exception) -> None:
        if not isinstance(error, M1DeskError):
            raise error
        self._opened = False
        self.error = error
        self.changed.emit()

    def _on_found(self, models: tuple[HubModel, ...]) -> None:
        self._found = tuple(hub_entry(model) for model in models)
        # what was asked for need not contain the filter's words: all of it is shown at first
        self._shown_found = self._found
        self._search = HubSearch("done", self._search.about)
        self.changed.emit()

    def _on_not_found(self, error: Exception) -> None:
        if not isinstance(error, M1DeskError):
            raise error
        self._search = HubSearch("failed", self._search.about, error)
        self.changed.emit()
