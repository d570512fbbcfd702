"""`m1desk models`: what there is on the hub and on this machine, fetched, checked and removed."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from m1desk.cli.session import say
from m1desk.errors import BadInput, HubError
from m1desk.models import (
    Download,
    DownloadManager,
    DownloadState,
    Hub,
    HubModel,
    HubRepository,
    HubSettings,
    HubVariant,
    Library,
    LocalModel,
    hub_settings,
    load_catalog,
    plan_removal,
    remove_model,
    scan_library,
    verify_model,
)
from m1desk.models.downloads.records import DownloadRecords
from m1desk.store import AppSettings, Database, Folders, SettingsStore

if TYPE_CHECKING:
    from m1desk.models import CatalogModel

_TABLE_ROWS = 200


@dataclass(frozen=True, slots=True)
class _Desk:
    """What the commands work with."""

    folders: Folders
    database: Database
    settings: AppSettings
    hub: HubSettings


@contextmanager
def _desk() -> Iterator[_Desk]:
    folders = Folders.resolve()
    with Database(folders.database) as database:
        settings = SettingsStore(database).load()
        yield _Desk(folders, database, settings, hub_settings(settings))


def search(
    text: str, *, limit: int, quantizations_of: str | None, every_format: bool, as_json: bool
) -> None:
    """Print what the catalog and the hub have; without the network, the catalog alone."""
    catalog = load_catalog().search(text) if not quantizations_of else ()
    found: tuple[HubModel, ...] = ()
    note = ""
    with _desk() as desk:
        hub = Hub(desk.hub)
        try:
            if quantizations_of:
                found = hub.quantizations(quantizations_of, limit=limit, gguf_only=not every_format)
            else:
                found = hub.search(text, limit=limit, gguf_only=not every_format)
        except HubError as error:
            if not catalog:
                raise
            note = str(error)
    if as_json:
        report = {
            "catalog": [_catalog_json(model) for model in catalog],
            "hub": [_hub_json(model) for model in found],
            "note": note,
        }
        typer.echo(json.dumps(report, indent=2))
        return
    for model in catalog:
        typer.echo(f"{model.repo_id}  ({model.name}, {_count(model.parameters)} parameters)")
        for way in model.ways:
            typer.echo(f"    {way.format:<12} {way.repo_id or '-'}  {way.note}".rstrip())
    for each in found:
        gate = "" if each.gate == "open" else "  gated"
        typer.echo(f"{each.repo_id}  {each.downloads:,} downloads  {each.license}{gate}".rstrip())
    if note:
        say(note)
    elif not found:
        say("The hub has nothing of that name.")


def list_models(*, as_json: bool) -> None:
    """Print the models on this machine."""
    with _desk() as desk:
        library = _library(desk)
    if as_json:
        report = {
            "models": [_local_json(model) for model in library.models],
            "notes": list(library.notes),
        }
        typer.echo(json.dumps(report, indent=2))
        return
    for model in library.models[:_TABLE_ROWS]:
        what = model.header.file_type_name if model.header else _kind(model)
        typer.echo(f"{_size(model.size_bytes):>9}  {what:<12} {model.source:<11} {model.path}")
        if model.error:
            typer.echo(f"           {model.error}")
    if not library.models:
        say("No models were found. Fetch one: m1desk models search NAME")
    for note in library.notes:
        say(note)


def download(
    repo_id: str, variant_name: str | None, revision: str | None, *, as_json: bool
) -> None:
    """Fetch a variant, going on from where an earlier try stopped."""
    with _desk() as desk:
        repository = Hub(desk.hub).repository(_repository_of(repo_id), revision)
        variant = _chosen(repository, variant_name)
        done = asyncio.run(_download(desk, repository, variant))
    if done.failure is not None:
        raise done.failure.error()
    if as_json:
        report = {
            "repo_id": done.repo_id,
            "commit": done.commit,
            "variant": variant.name,
            "path": str(done.main_path),
            "files": [str(done.target(file)) for file in done.files],
            "size_bytes": done.bytes_total,
        }
        typer.echo(json.dumps(report, indent=2))
    else:
        typer.echo(done.main_path)


async def _download(desk: _Desk, repository: HubRepository, variant: HubVariant) -> Download:
    line = _ProgressLine()
    manager = DownloadManager(desk.database, lambda: desk.hub, line)
    try:
        place = desk.settings.models_place(desk.folders.models)
        begun = await manager.add(repository, variant, place)
        return await manager.wait(begun.id)
    finally:
        line.end()
        await manager.close()


def remove(name: str, *, yes: bool, as_json: bool) -> None:
    """Delete a model and print the space that freed; asks first."""
    with _desk() as desk:
        model = _one(_library(desk), name)
    removal = plan_removal(model)
    if not removal.refusal and not yes:
        for path in removal.paths:
            say(str(path))
        if removal.note:
            say(removal.note)
        question = f"Delete {model.name} and free {_size(removal.frees_bytes)}?"
        if not sys.stdin.isatty() or not typer.confirm(question, err=True):
            raise BadInput("Nothing was deleted.", "", "Say --yes to delete without a question.")
    freed = remove_model(removal)
    if as_json:
        report = {"removed": [str(path) for path in removal.paths], "freed_bytes": freed}
        typer.echo(json.dumps(report, indent=2))
    else:
        typer.echo(f"{model.name} is deleted; {_size(freed)} are free again.")


def verify(name: str, *, as_json: bool) -> None:
    """Read a model and compare its checksums; raises BadInput when it is not sound."""
    with _desk() as desk:
        model = _one(_library(desk), name)
        records = DownloadRecords(desk.database)
        if model.size_bytes > 1 << 30:
            say(f"Reading {_size(model.size_bytes)} ...")
        result = verify_model(model, records.checksum_of)
    if as_json:
        report = {
            "name": model.name,
            "path": str(model.path),
            "verdict": result.verdict,
            "reason": result.reason,
            "files": [
                {
                    "path": str(check.path),
                    "size_bytes": check.size_bytes,
                    "verdict": check.verdict,
                    "sha256": check.found_sha256 or None,
                    "expected_sha256": check.expected_sha256 or None,
                }
                for check in result.files
            ],
        }
        typer.echo(json.dumps(report, indent=2))
    elif result.verdict in {"verified", "not_known"}:
        typer.echo(f"{model.name}: {result.reason or 'every checksum is right.'}")
    if result.verdict in {"damaged", "unusable"}:
        raise BadInput(
            f"{model.name} is not sound.", result.reason, "Remove it and fetch it again."
        )


def _library(desk: _Desk) -> Library:
    own = desk.folders.models
    return scan_library(own, desk.settings.folders_beside(own))


def _one(library: Library, name: str) -> LocalModel:
    found = library.find(name)
    if len(found) == 1:
        return found[0]
    if not found:
        raise BadInput(
            f'No model here is called "{name}".', "", "m1desk models list shows those there are."
        )
    raise BadInput(
        f'{len(found)} models are called "{name}".',
        ", ".join(str(model.path) for model in found[:4]) + ".",
        "Give the path of one.",
    )


def _repository_of(name: str) -> str:
    """A repository's own name; a catalog model's name stands for its first GGUF repository."""
    if "/" in name:
        return name
    model = load_catalog().find(name)
    if model is None:
        raise BadInput(
            f'"{name}" is neither owner/name of a repository nor in the catalog.',
            "",
            f"Look for it: m1desk models search {name}",
        )
    if not model.gguf_repositories:
        raise BadInput(
            f"No GGUF of {model.name} is known.",
            model.ways[0].note,
            f"m1desk models search --quantizations-of {model.repo_id}",
        )
    return model.gguf_repositories[0]


def _chosen(repository: HubRepository, name: str | None) -> HubVariant:
    names = ", ".join(
        f"{variant.name} ({_size(variant.size_bytes)})" for variant in repository.variants
    )
    if not repository.variants:
        raise BadInput(f"{repository.repo_id} holds no GGUF or safetensors model.")
    if name is None:
        if len(repository.variants) == 1:
            return repository.variants[0]
        raise BadInput(f"{repository.repo_id} has several variants.", f"{names}.", "Name one.")
    variant = repository.variant(name)
    if variant is None:
        raise BadInput(f'{repository.repo_id} has no variant "{name}".', f"It has {names}.")
    return variant


class _ProgressLine:
    """Shows a download on a terminal as one line; elsewhere each new state once."""

    def __init__(self) -> None:
        self._on_line = False
        self._state: DownloadState | None = None

    def __call__(self, download: Download) -> None:
        if sys.stderr.isatty():
            self._on_line = True
            say(f"\r\033[K{_progress_text(download)}", end="")
        elif download.state is not self._state:
            say(_progress_text(download))
        self._state = download.state

    def end(self) -> None:
        if self._on_line:
            say("")


def _progress_text(download: Download) -> str:
    done, total = _size(download.bytes_done), _size(download.bytes_total)
    text = f"{download.title}: {download.state}, {done} of {total} ({download.fraction:.0%})"
    if download.bytes_per_second:
        text += f", {_size(int(download.bytes_per_second))}/s"
    if download.seconds_left is not None and download.seconds_left >= 1:
        minutes, seconds = divmod(round(download.seconds_left), 60)
        text += f", {minutes}:{seconds:02} left"
    return f"{text} {download.note}".rstrip()


def _catalog_json(model: CatalogModel) -> dict[str, Any]:
    return {
        "id": model.id,
        "name": model.name,
        "repo_id": model.repo_id,
        "license": model.license,
        "parameters": model.parameters,
        "active_parameters": model.active_parameters,
        "context_tokens": model.context_tokens,
        "gated": model.gated,
        "checked": [{"what": c.what, "how": c.how, "when": c.when} for c in model.checked],
        "ways": [
            {
                "engine": way.engine,
                "format": way.format,
                "repo_id": way.repo_id,
                "size_bytes": way.size_bytes,
                "needs": way.needs,
                "note": way.note,
            }
            for way in model.ways
        ],
    }


def _hub_json(model: HubModel) -> dict[str, Any]:
    return {
        "repo_id": model.repo_id,
        "downloads": model.downloads,
        "likes": model.likes,
        "updated": model.updated.isoformat() if model.updated else None,
        "gate": model.gate,
        "license": model.license,
        "base_models": list(model.base_models),
        "gguf": model.has_gguf,
    }


def _local_json(model: LocalModel) -> dict[str, Any]:
    known = model.header or model.checkpoint
    return {
        "name": model.name,
        "path": str(model.path),
        "source": model.source,
        "repo_id": model.repo_id,
        "format": _kind(model),
        "size_bytes": model.size_bytes,
        "architecture": known.architecture if known else None,
        "parameters": known.parameter_count if known else None,
        "quantization": model.header.file_type_name if model.header else None,
        "context_tokens": known.context_tokens if known else None,
        "partial": model.is_partial,
        "error": model.error,
    }


def _kind(model: LocalModel) -> str:
    if model.is_partial:
        return "partial"
    checkpoint = model.checkpoint is not None or model.path.is_dir()
    return "safetensors" if checkpoint else "gguf"


def _size(count: int) -> str:
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.2f} TB"


def _count(number: int) -> str:
    return f"{number / 1e9:.1f} B" if number >= 1e9 else f"{number / 1e6:.0f} M"
