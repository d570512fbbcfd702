"""What the hub says of its models, as values: repositories, files, variants."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final, Literal

from m1desk.models.gguf import part_number

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

Gate = Literal["open", "automatic", "manual"]
"""Whether anybody may fetch a model, or those who accepted its terms; `manual`: and were let in."""

_SPLIT: Final = re.compile(r"-\d{5}-of-\d{5}$")
_QUANTIZATION: Final = re.compile(
    r"(?:^|[-_.])((?:UD-)?(?:I?Q\d(?:_[A-Za-z0-9]+)*|TQ\d_\d|MXFP4(?:_MOE)?|NVFP4|BF16|FP?16|FP?32))$",
    re.IGNORECASE,
)
_EXTRAS: Final = ("mmproj", "imatrix")


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file in a repository.

    Attributes:
        path: inside the repository, with forward slashes.
        sha256: of the content, "" for small files kept in git itself.
        blob_id: git's own checksum of a small file (SHA-1 of a header and the content), "" if
            unknown; of a large file it means only its pointer.
    """

    path: str
    size_bytes: int
    sha256: str = ""
    blob_id: str = ""


@dataclass(frozen=True, slots=True)
class HubVariant:
    """One way to have a model: a quantization, or the safetensors checkpoint.

    Attributes:
        name: the quantization as the file's name has it ("Q4_K_M"), "safetensors" for the
            checkpoint, else the file's name.
        files: all that is fetched for it, in order.
    """

    name: str
    format: Literal["gguf", "safetensors"]
    files: tuple[HubFile, ...]

    @property
    def size_bytes(self) -> int:
        """Bytes of all its files."""
        return sum(file.size_bytes for file in self.files)

    @property
    def main_file(self) -> HubFile:
        """The file an engine is told to load; of a checkpoint, its config."""
        if self.format == "safetensors":
            return next((file for file in self.files if file.path == "config.json"), self.files[0])
        return self.files[0]


@dataclass(frozen=True, slots=True)
class HubModel:
    """A repository as a search finds it.

    Attributes:
        downloads: in the last 30 days, as the hub counts them.
        base_models: ids of the models this one was made from.
    """

    repo_id: str
    downloads: int = 0
    likes: int = 0
    updated: datetime | None = None
    gate: Gate = "open"
    private: bool = False
    license: str = ""
    tags: tuple[str, ...] = ()
    base_models: tuple[str, ...] = ()

    @property
    def has_gguf(self) -> bool:
        """Whether the hub found GGUF files in it."""
        return "gguf" in self.tags


@dataclass(frozen=True, slots=True)
class HubRepository:
    """A repository with its files, at one commit.

    Attributes:
        commit: the full hash; files are fetched at it and can't change in between.
        parameter_count, architecture, context_tokens: as the hub read them from the first file;
            0 or "" when it does not say.
    """

    model: HubModel
    commit: str
    files: tuple[HubFile, ...]
    parameter_count: int = 0
    architecture: str = ""
    context_tokens: int = 0
    variants: tuple[HubVariant, ...] = field(default=())

    @property
    def repo_id(self) -> str:
        """Its name, owner and all."""
        return self.model.repo_id

    def variant(self, name: str) -> HubVariant | None:
        """The variant of that name or file, in any case of letters; None if there is none."""
        wanted = name.casefold()
        for variant in self.variants:
            names = {variant.name, *(file.path for file in variant.files)}
            if wanted in {each.casefold() for each in names}:
                return variant
        return None

    def bits_per_weight(self, variant: HubVariant) -> float | None:
        """Bits of a variant's files per weight; None when the number of weights is not known."""
        return 8 * variant.size_bytes / self.parameter_count if self.parameter_count else None


def variants_of(files: Iterable[HubFile]) -> tuple[HubVariant, ...]:
    """Sort files into variants, the smallest first; the parts of a split model are one."""
    every = tuple(files)
    models = sorted(filter(_is_model, every), key=lambda file: (_stem(file.path), file.path))
    variants = [_gguf_variant(tuple(group)) for _, group in groupby(models, _stem_of)]
    checkpoint = _checkpoint(every)
    if checkpoint:
        variants.append(HubVariant("safetensors", "safetensors", checkpoint))
    names = [variant.name for variant in variants]
    unique = (
        variant
        if names.count(variant.name) == 1
        else HubVariant(_stem(variant.files[0].path), variant.format, variant.files)
        for variant in variants
    )
    return tuple(sorted(unique, key=lambda variant: (variant.size_bytes, variant.name)))


def missing_parts(variant: HubVariant) -> int:
    """How many parts of a split variant the repository lacks."""
    if variant.format != "gguf":
        return 0
    return part_number(PurePosixPath(variant.files[0].path))[1] - len(variant.files)


def _is_model(file: HubFile) -> bool:
    name = PurePosixPath(file.path).name.lower()
    return name.endswith(".gguf") and not any(extra in name for extra in _EXTRAS)


def _stem(path: str) -> str:
    """Path without the ending and the number of a part."""
    return _SPLIT.sub("", path.removesuffix(PurePosixPath(path).suffix))


def _stem_of(file: HubFile) -> str:
    return _stem(file.path)


def _gguf_variant(files: tuple[HubFile, ...]) -> HubVariant:
    stem = PurePosixPath(_stem(files[0].path))
    match = _QUANTIZATION.search(stem.name)
    return HubVariant(match[1] if match else stem.name, "gguf", files)


def _checkpoint(files: tuple[HubFile, ...]) -> tuple[HubFile, ...]:
    """What vLLM reads: weights, config, tokenizer and code at the repository's top."""
    top = [file for file in files if "/" not in file.path]
    if not any(file.path.endswith(".safetensors") for file in top):
        return ()
    endings = (".safetensors", ".json", ".jinja", ".model", ".py", ".txt", ".tiktoken")
    return tuple(sorted((f for f in top if f.path.endswith(endings)), key=lambda f: f.path))
