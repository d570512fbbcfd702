"""The model files in given folders: found, named, and looked into without reading weights."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from m1desk.errors import ModelFileError
from m1desk.models.gguf import part_number, read_gguf_header

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from m1desk.models.header import GgufHeader

_FILES_LIMIT: Final = 2_000
_PROJECTOR: Final = "mmproj"


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A model on this machine.

    Attributes:
        path: the file to load, of a split model the first part.
        name: as its author named it, or else the file's name.
        size_bytes: of all parts that are there.
        header: what it says of itself, None when it can't be read.
        error: why it can't be read, "" when it can.
    """

    path: Path
    name: str
    size_bytes: int
    header: GgufHeader | None = None
    error: str = ""

    @property
    def is_readable(self) -> bool:
        """Whether its header could be read."""
        return self.header is not None


def scan_models(*folders: Path) -> tuple[LocalModel, ...]:
    """Find the GGUF models below `folders`, by name; parts of one model are one entry.

    Projectors and adapters, which can't answer by themselves, are left out; folders that are
    missing or closed to us are passed over. At most 2,000 files are looked at.
    """
    seen: set[Path] = set()
    models: list[LocalModel] = []
    for path in _model_files(folders):
        model = _look(path)
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


def _look(path: Path) -> LocalModel:
    try:
        header = read_gguf_header(path)
    except ModelFileError as error:
        return LocalModel(path, path.stem, _size_of(path), error=str(error))
    return LocalModel(header.path, header.name, header.size_bytes, header)


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _answers(header: GgufHeader) -> bool:
    return header.kind == "model" and header.architecture != "clip"
