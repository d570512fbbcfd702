"""All models on this machine: ours, the user's folders', and those other programs have fetched."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from m1desk.errors import ModelFileError
from m1desk.models.downloads.values import PART_ENDING
from m1desk.models.library import LocalModel, look_at_gguf, scan_models, size_of
from m1desk.models.places import OtherPlaces
from m1desk.models.safetensors import read_safetensors_folder

if TYPE_CHECKING:
    from m1desk.models.library import ModelSource
    from m1desk.models.safetensors import SafetensorsModel

_OLLAMA_MODEL: Final = "application/vnd.ollama.image.model"
_MANIFEST_BYTES: Final = 1024 * 1024
_LIMIT: Final = 2_000
# Endings that programs give to files that are still being fetched.
_PARTIAL: Final = (PART_ENDING, ".incomplete", "-partial", ".download", ".tmp")
_NOT_ENDED: Final = "Its download has not ended."
# What belongs to a checkpoint besides its weights, by the names that its makers use; whatever else
# lies in its folder may be another model's, or the user's own.
_SIDE_FILE: Final = re.compile(
    r"(?:model|consolidated)\.safetensors\.index\.json|consolidated(?:-\d+-of-\d+)?\.safetensors"
    r"|(?:config|configuration|generation_config|params|quantize_config|hf_quant_config)\.json"
    r"|(?:tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab|tekken)\.json"
    r"|(?:chat_template|(?:video_)?preprocessor_config|processor_config)\.json"
    r"|chat_template\.jinja|merges\.txt|vocab\.txt|\w+\.tiktoken"
    r"|(?:tokenizer|tiktoken|spiece|sentencepiece\.bpe)\.model"
    r"|(?:configuration|modeling|modular|tokenization)_\w+\.py"
    r"|(?:(?:image_|video_)?processing|feature_extraction)_\w+\.py"
    r"|README\.md|LICENSE(?:\.md|\.txt)?"
)


@dataclass(frozen=True, slots=True)
class Library:
    """The models found.

    Attributes:
        notes: a line for each place that could not be looked into.
    """

    models: tuple[LocalModel, ...]
    notes: tuple[str, ...] = ()

    def find(self, name: str) -> tuple[LocalModel, ...]:
        """Models by path, file name, repository or name, in any case of letters."""
        wanted = name.casefold()
        path = str(Path(name).expanduser().absolute())
        exact = [model for model in self.models if str(model.path.absolute()) == path]
        return tuple(exact) or tuple(
            model
            for model in self.models
            if wanted
            in {
                model.name.casefold(),
                model.path.name.casefold(),
                model.path.stem.casefold(),
                model.repo_id.casefold(),
            }
        )


def scan_library(
    own: Path, folders: Iterable[Path] = (), others: OtherPlaces | None = None
) -> Library:
    """Look at all places where models may lie; blocks while the disk is read. Copies nothing.

    `own` is the app's folder, `folders` are those the user chose. A file that lies in two of the
    places is listed once.
    """
    places = OtherPlaces.of_user() if others is None else others
    notes: list[str] = []
    found: dict[Path, LocalModel] = {}
    for model in _all_models(own, folders, places, notes):
        found.setdefault(_identity(model), model)
    ordered = sorted(found.values(), key=lambda model: (model.name.casefold(), str(model.path)))
    return Library(tuple(ordered), tuple(notes))


def _all_models(
    own: Path, folders: Iterable[Path], places: OtherPlaces, notes: list[str]
) -> Iterator[LocalModel]:
    yield from _from_folder(own, "m1desk")
    for folder in folders:
        yield from _from_folder(folder, "folder")
    for folder in places.lmstudio:
        yield from _from_folder(folder, "lmstudio")
    for folder in places.jan:
        yield from _from_folder(folder / "llamacpp" / "models", "jan")
        yield from _from_folder(folder / "models", "jan")
    for folder in places.ollama:
        yield from _from_ollama(folder)
    for folder in places.huggingface:
        yield from _from_cache(folder, notes)


def _identity(model: LocalModel) -> Path:
    """The real file behind a path, so that a link to it is no second model."""
    try:
        return model.path.resolve()
    except OSError:
        return model.path.absolute()


def _from_folder(folder: Path, source: ModelSource) -> Iterator[LocalModel]:
    """GGUF files, checkpoints and partial files below a folder laid out as owner/name/file."""
    for model in scan_models(folder):
        yield _told(model, folder, source)
    for path in _walk(folder):
        if path.name == "config.json" and any(path.parent.glob("*.safetensors")):
            yield _told(look_at_checkpoint(path.parent), folder, source)
        elif path.name.endswith(_PARTIAL) and _is_of_model(path.name):
            yield _told(_partial(path), folder, source)


def _told(model: LocalModel, folder: Path, source: ModelSource) -> LocalModel:
    place = model.path if model.checkpoint or model.path.is_dir() else model.path.parent
    try:
        parts = place.relative_to(folder).parts
    except ValueError:
        parts = ()
    return replace(model, source=source, repo_id="/".join(parts[:2]) if len(parts) > 1 else "")


def _walk(folder: Path) -> Iterator[Path]:
    count = 0
    for place, subfolders, names in os.walk(folder):
        subfolders.sort()
        for name in sorted(names):
            count += 1
            if count > _LIMIT:
                return
            yield Path(place) / name


def _is_of_model(name: str) -> bool:
    return ".gguf" in name or ".safetensors" in name or name.startswith("downloading_")


def _partial(path: Path) -> LocalModel:
    name = path.name
    for ending in _PARTIAL:
        name = name.removesuffix(ending)
    return LocalModel(
        path, Path(name).stem, size_of(path), error=_NOT_ENDED, is_partial=True, files=(path,)
    )


def look_at_checkpoint(folder: Path) -> LocalModel:
    """A folder with a safetensors checkpoint as a model, readable or not."""
    model, error = None, ""
    try:
        model = read_safetensors_folder(folder)
    except ModelFileError as raised:
        error = str(raised)
    files = tuple(path for path in sorted(folder.iterdir()) if _is_of_checkpoint(path, model))
    size = sum(size_of(path) for path in files)
    name = checkpoint_name(folder)
    return LocalModel(folder, name, size, error=error, checkpoint=model, files=files)


def _is_of_checkpoint(path: Path, model: SafetensorsModel | None) -> bool:
    """Whether a file belongs to the checkpoint; one that can't be read owns all weights there."""
    is_weights = path.suffix == ".safetensors" if model is None else path.name in model.shards
    return path.is_file() and (is_weights or _SIDE_FILE.fullmatch(path.name) is not None)


def _from_ollama(folder: Path) -> Iterator[LocalModel]:
    """Ollama's models: a manifest for each name, and blobs named by their SHA-256."""
    manifests, blobs = folder / "manifests", folder / "blobs"
    for path in _walk(manifests):
        digest, size = _ollama_blob(path)
        if not digest:
            continue
        blob = blobs / digest.replace(":", "-")
        name = _ollama_name(path.relative_to(manifests).parts)
        if not blob.is_file() or size_of(blob) < size:
            there = size_of(blob)
            yield LocalModel(blob, name, there, error=_NOT_ENDED, source="ollama", is_partial=True)
            continue
        yield replace(look_at_gguf(blob), name=name, source="ollama", repo_id=name)
    for path in _walk(blobs):
        if path.name.endswith("-partial"):
            yield replace(_partial(path), source="ollama")


def _ollama_blob(manifest: Path) -> tuple[str, int]:
    """Digest and size of the model in a manifest; "" when it names none."""
    try:
        data: Any = json.loads(manifest.read_bytes()[:_MANIFEST_BYTES])
        layers = [layer for layer in data["layers"] if layer["mediaType"] == _OLLAMA_MODEL]
        digest, size = layers[0]["digest"], layers[0]["size"]
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        return "", 0
    usable = isinstance(digest, str) and digest.startswith("sha256:") and digest[7:].isalnum()
    return (digest, size) if usable and isinstance(size, int) else ("", 0)


def _ollama_name(parts: tuple[str, ...]) -> str:
    """As Ollama shows it: registry and the default namespace are left out."""
    shown = parts[1:] if parts[0] == "registry.ollama.ai" else parts
    shown = shown[1:] if shown[0] == "library" else shown
    return f"{'/'.join(shown[:-1])}:{shown[-1]}" if len(shown) > 1 else shown[-1]


def _from_cache(folder: Path, notes: list[str]) -> Iterator[LocalModel]:
    """The Hub's cache, through huggingface_hub's own account of it."""
    if not folder.is_dir():
        return
    from huggingface_hub import scan_cache_dir  # noqa: PLC0415 - slow to import
    from huggingface_hub.errors import CacheNotFound  # noqa: PLC0415 - slow to import

    try:
        cache = scan_cache_dir(folder)
    except (CacheNotFound, OSError, ValueError) as error:
        notes.append(f"The Hugging Face cache {folder} can't be read: {error}")
        return
    notes.extend(f"In the Hugging Face cache: {warning}" for warning in cache.warnings)
    for repo in sorted(cache.repos, key=lambda repo: repo.repo_id):
        if repo.repo_type != "model":
            continue
        for revision in sorted(repo.revisions, key=lambda each: each.last_modified, reverse=True):
            for model in _from_folder(revision.snapshot_path, "huggingface"):
                yield replace(model, repo_id=repo.repo_id)
        for path in sorted((repo.repo_path / "blobs").glob("*.incomplete")):
            name = repo.repo_id.rpartition("/")[2]
            yield replace(_partial(path), name=name, source="huggingface", repo_id=repo.repo_id)


def checkpoint_name(folder: Path) -> str:
    """Name a checkpoint by its folder; in the Hub's cache that is a commit, no name for people."""
    if folder.parent.name != "snapshots":
        return folder.name
    return folder.parent.parent.name.removeprefix("models--").rpartition("--")[2]
