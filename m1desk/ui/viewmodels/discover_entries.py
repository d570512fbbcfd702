"""What Discover lists: models of the catalog, and repositories a search of the Hub found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from m1desk.models import CatalogModel, HubModel
from m1desk.ui.units import context_text, short_count


@dataclass(frozen=True, slots=True)
class Entry:
    """A model in the list: of the catalog or, else, of the Hub.

    Attributes:
        key: tells entries apart.
        detail: what it is, in a few words.
        facts: the same, in a line.
        words: what the filter looks through, in lower case.
    """

    key: str
    title: str
    detail: str
    facts: str
    words: str
    catalog: CatalogModel | None = None
    hub: HubModel | None = None

    @property
    def repo_id(self) -> str:
        """Its repository; of a model in the catalog, the maker's checkpoint."""
        if self.hub is not None:
            return self.hub.repo_id
        return self.catalog.repo_id if self.catalog is not None else ""


def catalog_entry(model: CatalogModel) -> Entry:
    """Make the entry of a model in the catalog."""
    size = short_count(model.parameters)
    if model.active_parameters < model.parameters:
        size = f"{size}, {short_count(model.active_parameters)} active"
    context = f"{context_text(model.context_tokens)} context" if model.context_tokens else ""
    gated = "accept its terms at the Hub first" if model.gated else ""
    return Entry(
        key=f"catalog:{model.id}",
        title=model.name,
        detail=_joined(size, model.license),
        facts=_joined(model.maker, size, context, model.license, gated, model.summary),
        words=f"{model.name} {model.maker} {model.repo_id} {model.license}".lower(),
        catalog=model,
    )


def hub_entry(model: HubModel) -> Entry:
    """Make the entry of a repository."""
    owner, _, name = model.repo_id.rpartition("/")
    downloads = f"{short_count(model.downloads)} downloads"
    gated = "" if model.gate == "open" else "accept its terms at the Hub first"
    of = f"made from {', '.join(model.base_models)}" if model.base_models else ""
    return Entry(
        key=f"hub:{model.repo_id}",
        title=name,
        detail=_joined("Hub", owner, downloads),
        facts=_joined(model.repo_id, downloads, model.license, gated, of),
        words=model.repo_id.lower(),
        hub=model,
    )


def filtered(entries: Iterable[Entry], text: str) -> tuple[Entry, ...]:
    """Those in which all words of `text` occur."""
    words = text.lower().split()
    return tuple(entry for entry in entries if all(word in entry.words for word in words))


def _joined(*parts: str) -> str:
    return " · ".join(part for part in parts if part)
