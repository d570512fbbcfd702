"""The models in given folders: found, named, and looked into without reading weights."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from m1desk.errors import ModelFileError
from m1desk.models.gguf import part_number, read_gguf_header

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from m1desk.models.header import GgufHeader
    from m1desk.models.safetensors import SafetensorsModel

ModelSource = Literal["m1desk", "folder", "huggingface", "lmstudio", "jan", "ollama"]
"""Whose folder a model lies in; `folder` is one the user chose."""

_FILES_LIMIT: Final = 2_000
_PROJECTOR: Final = "mmproj"


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A model on this machine.

    Attributes:
        path: the file to load, of a split model the first part.
        name: as its author named it, or else the file's name.
        size_bytes: of all parts that are there.
        header: what it says of itself, None when it can't be read, or is no GGUF.
        error: why it can't be used, "" when it can.
        source: whose folder it lies in.
        repo_id: the repository it came from, "" if unknown.
        checkpoint: what a safetensors checkpoint says of itself; its `path` is the folder.
        is_partial: a download that has not ended.
        files: all its files that are there; links of a cache are not followed.
    """

    path: Path
    name: str
    size_bytes: int
    header: GgufHeader | None = None
    error: str = ""
    source: ModelSource = "folder"
    repo_id: str = ""
    checkpoint: SafetensorsModel | None = None
    is_partial: bool = False
    files: tuple[Path, ...] = ()

    @property
    def is_readable(self) -> bool:
        """Whether its header could be read."""
        return self.header is not None or self.checkpoint is not None


def scan_models(*folders: Path) -> tuple[LocalModel, ...]:
    """Find the GGUF models below `folders`, by name; parts of one model are one entry.

    Projectors and adapters, which can't answer by themselves, are left out; folders that are
    missing or closed to us are passed over. At most 2,000 files are looked at.
    """
    seen: set[Path] = set()
    models: list[LocalModel] = []
    for path in _model_files(folders):
        model = look_at_gguf(path)
        first = model.path.absolute()
        if first in seen or (model.header is not None and not _answers(model.header)):
            continue
        seen.add(first)
        models.append(model)
    return tuple(sorted(models, key=lambda model: (model.name.casefold(), str(model.path))))


def _model_files(folders: Iterable[Path]) -> Iterator[Path]:
    """Each model's file once: of a split model the first part that is there."""
    found = 0
    for folder in folders:
        for place, subfolders, names in os.walk(folder):
            subfolders.sort()
            split: set[str] = set()
            for name in sorted(names):
                path = Path(place) / name
                if path.suffix.lower() != ".gguf" or _PROJECTOR in name.lower():
                    continue
                if part_number(path)[1] > 1:
                    stem = name.rsplit("-", 3)[0]
                    if stem in split:
                        continue
                    split.add(stem)
                found += 1
                if found > _FILES_LIMIT:
                    return
                yield path


def look_at_gguf(path: Path) -> LocalModel:
    """A GGUF file as a model, readable or not."""
    try:
        header = read_gguf_header(path)
    except ModelFileError as error:
        return LocalModel(path, path.stem, size_of(path), error=str(error), files=(path,))
    return LocalModel(header.path, header.name, header.size_bytes, header, files=header.parts)


def size_of(path: Path) -> int:
    """Bytes of a file; 0 when it can't be asked."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _answers(header: GgufHeader) -> bool:
    return header.kind == "model" and header.architecture != "clip"
