"""Deleting models: what would go, how much space that frees, and what is not ours to delete."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from m1desk.errors import BadInput, StorageError
from m1desk.models.downloads.values import side_paths
from m1desk.models.library import LocalModel, size_of
from m1desk.store import resource_folder

if TYPE_CHECKING:
    from huggingface_hub import DeleteCacheStrategy

_OWNERS: Final = {"ollama": "Ollama", "lmstudio": "LM Studio", "jan": "Jan"}
_HOW: Final = {
    "ollama": "Run: ollama rm {name}",
    "lmstudio": "Delete it in LM Studio's list of models.",
    "jan": "Delete it in Jan's settings.",
}


@dataclass(frozen=True, slots=True)
class Removal:
    """What deleting a model would do; nothing has been done yet.

    Attributes:
        paths: what would be deleted.
        frees_bytes: on the disk; a file that is a link elsewhere frees nothing.
        refusal: why it can't be deleted from here, "" when it can.
        todo: how to delete it instead.
        note: what else would go with it, "" for nothing.
    """

    model: LocalModel
    paths: tuple[Path, ...] = ()
    frees_bytes: int = 0
    refusal: str = ""
    todo: str = ""
    note: str = ""


def plan_removal(model: LocalModel) -> Removal:
    """Say what deleting `model` would do; blocks while the disk is read."""
    if model.source in _OWNERS:
        owner = _OWNERS[model.source]
        return Removal(
            model,
            refusal=f"{model.name} belongs to {owner}, which would miss it.",
            todo=_HOW[model.source].format(name=model.name),
        )
    if model.source == "huggingface":
        return _from_cache(model)
    if model.path.absolute().is_relative_to(resource_folder()):
        return Removal(
            model, refusal=f"{model.name} is a part of M1 Desk.", todo="Take it off the list."
        )
    paths = _own_files(model)
    return Removal(model, paths, sum(_freed(path) for path in paths))


def remove_model(removal: Removal) -> int:
    """Do what was planned and give the bytes freed.

    Raises BadInput for a model that is not ours to delete, StorageError when a file stays.
    """
    if removal.refusal:
        raise BadInput("This model can't be deleted from here.", removal.refusal, removal.todo)
    if removal.model.source == "huggingface" and not removal.model.is_partial:
        _cache_strategy(removal.model)[0].execute()
        left = [path for path in removal.paths if path.exists()]
        if left:
            raise StorageError(f"{left[0]} could not be deleted.", "", "Delete it yourself.")
        return removal.frees_bytes
    for path in removal.paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(
                f"{path.name} could not be deleted.",
                f"The system says: {error.strerror or error}.",
                "Check the permissions of its folder, or delete it there yourself.",
            ) from error
    return removal.frees_bytes


def _own_files(model: LocalModel) -> tuple[Path, ...]:
    """A model's files with what an unfinished download left beside them."""
    files = model.files or (model.path,)
    beside = (side for file in files for side in side_paths(_target(file)))
    every = (path for path in (*files, *beside) if path.is_symlink() or path.is_file())
    return tuple(dict.fromkeys(every))


def _target(file: Path) -> Path:
    """The name a partial file of ours will have when it is whole."""
    return file.with_name(file.name.removesuffix(".part"))


def _freed(path: Path) -> int:
    return 0 if path.is_symlink() else size_of(path)


def _from_cache(model: LocalModel) -> Removal:
    if model.is_partial:
        return Removal(model, (model.path,), _freed(model.path))
    try:
        strategy, others = _cache_strategy(model)
    except (OSError, ValueError) as error:
        return Removal(model, refusal=f"The Hugging Face cache can't be read: {error}")
    gone = strategy.snapshots | strategy.repos
    return Removal(
        model,
        tuple(sorted(gone)),
        strategy.expected_freed_size,
        note=f"With it go the other files of this revision: {', '.join(others)}" if others else "",
    )


def _cache_strategy(model: LocalModel) -> tuple[DeleteCacheStrategy, tuple[str, ...]]:
    """huggingface_hub's own way of deleting the revision a model is of, and its other models."""
    from huggingface_hub import scan_cache_dir  # noqa: PLC0415 - slow to import

    snapshot = _snapshot(model.path)
    cache = scan_cache_dir(snapshot.parent.parent.parent)
    for repo in cache.repos:
        for revision in repo.revisions:
            if revision.snapshot_path.absolute() != snapshot.absolute():
                continue
            own = {path.name for path in model.files}
            others = sorted(
                file.file_name
                for file in revision.files
                if file.file_name.endswith((".gguf", ".safetensors")) and file.file_name not in own
            )
            return cache.delete_revisions(revision.commit_hash), tuple(others)
    raise ValueError(f"{snapshot} is not one of its revisions")


def _snapshot(path: Path) -> Path:
    """The folder of the revision that a path in the cache is in."""
    for place in (path, *path.parents):
        if place.parent.name == "snapshots":
            return place
    raise ValueError(f"{path} is not in a snapshot")
