"""The models on this machine as the window lists them, and what a file says when looked into."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from m1desk.errors import M1DeskError, ModelFileError
from m1desk.models import (
    GgufHeader,
    LocalModel,
    ModelSource,
    OtherPlaces,
    check_loadable,
    look_at_checkpoint,
    read_gguf_header,
    scan_library,
)
from m1desk.ui.units import bytes_text, context_text, short_count

if TYPE_CHECKING:
    from collections.abc import Iterable

    from m1desk.models import SafetensorsModel

_SHARD: Final = re.compile(r"-\d{5}-of-\d{5}$")
_TAGS: Final[dict[ModelSource, str]] = {
    "m1desk": "M1 Desk",
    "folder": "Your folder",
    "huggingface": "Hugging Face cache",
    "lmstudio": "LM Studio",
    "jan": "Jan",
    "ollama": "Ollama",
}


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A model in the list.

    Attributes:
        in_folder: it lies in a model folder; others are listed because they were used or added.
        modified: when its file was written last (seconds since the epoch), 0 if unknown.
    """

    model: LocalModel
    in_folder: bool
    modified: float = 0.0

    @property
    def path(self) -> Path:
        """The file to load."""
        return self.model.path

    @property
    def title(self) -> str:
        """The file's name without its ending: what the engine calls the model too.

        Where the file's name means nothing to a person, the model's name.
        """
        if self.model.source == "ollama" or self.model.checkpoint or self.model.is_partial:
            return self.model.name
        return model_title(self.path)

    @property
    def tag(self) -> str:
        """Whose folder it lies in, in a word or two."""
        return _TAGS[self.model.source] if self.in_folder else "Added"

    @property
    def detail(self) -> str:
        """What it is, in a line; only its size when it can't be read."""
        if self.model.is_partial:
            return f"{bytes_text(self.model.size_bytes)} so far"
        known = self.model.header or self.model.checkpoint
        return describe(known) if known is not None else bytes_text(self.model.size_bytes)

    @property
    def problem(self) -> str:
        """What is wrong with it, "" when nothing is."""
        if self.model.is_partial and self.model.source == "m1desk":
            return f"{self.model.error} Start it again under Discover to go on, or delete it."
        return self.model.error

    @property
    def is_whole(self) -> bool:
        """Whether it is something to load, readable or not: no download that has not ended."""
        return not self.model.is_partial

    @property
    def is_gguf(self) -> bool:
        """Whether it is a whole GGUF file, readable or not."""
        return self.is_whole and not self.model.path.is_dir()


@dataclass(frozen=True, slots=True)
class ModelList:
    """The models found, by title, and a note for each place that could not be looked into."""

    entries: tuple[ModelEntry, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FileReport:
    """What looking into a file gave: its header or why there is none, and whether it can load."""

    path: Path
    header: GgufHeader | None
    error: M1DeskError | None


def find_entries(
    own: Path,
    folders: Iterable[Path],
    listed: Iterable[Path],
    others: OtherPlaces | None = None,
) -> ModelList:
    """Look at all models; blocks while the disk is read.

    `own` is the app's folder, `folders` are the user's, `listed` are files wherever they lie,
    `others` are the folders of other programs, by default this user's.
    """
    library = scan_library(own, folders, others)
    found = {model.path.absolute(): _entry(model, in_folder=True) for model in library.models}
    for path in listed:
        if path.absolute() not in found:
            found[path.absolute()] = _entry(_look(path), in_folder=False)
    ordered = sorted(found.values(), key=lambda entry: (entry.title.casefold(), entry.path))
    return ModelList(tuple(ordered), library.notes)


def inspect_file(path: Path) -> FileReport:
    """Read a file's header and ask whether the engine can load it; blocks."""
    try:
        header = read_gguf_header(path)
    except M1DeskError as error:
        return FileReport(path, None, error)
    try:
        check_loadable(header)
    except ModelFileError as error:
        return FileReport(header.path, header, error)
    return FileReport(header.path, header, None)


def model_title(path: Path) -> str:
    """Name a model by its file, without the ending and the numbers of a split one."""
    return _SHARD.sub("", path.stem)


def describe(model: GgufHeader | SafetensorsModel) -> str:
    """Describe a model in a line: architecture, parameters, quantization, size, trained context."""
    parts = [
        model.architecture,
        f"{short_count(model.parameter_count)} parameters" if model.parameter_count else "",
        model.file_type_name if isinstance(model, GgufHeader) else "safetensors",
        bytes_text(model.size_bytes),
    ]
    if model.context_tokens:
        parts.append(f"{context_text(model.context_tokens)} context")
    return " · ".join(part for part in parts if part)


def _entry(model: LocalModel, *, in_folder: bool) -> ModelEntry:
    try:
        modified = model.path.stat().st_mtime
    except OSError:
        modified = 0.0
    return ModelEntry(_checked(model), in_folder, modified)


def _look(path: Path) -> LocalModel:
    if path.is_dir():
        return look_at_checkpoint(path)
    try:
        header = read_gguf_header(path)
    except M1DeskError as error:
        size = path.stat().st_size if path.is_file() else 0
        return LocalModel(path, path.stem, size, error=str(error), files=(path,))
    return LocalModel(header.path, header.name, header.size_bytes, header, files=header.parts)


def _checked(model: LocalModel) -> LocalModel:
    """Note what keeps the engine from loading a file that could be read."""
    if model.header is None or model.error:
        return model
    try:
        check_loadable(model.header)
    except ModelFileError as error:
        return replace(model, error=str(error))
    return model
