"""The catalog: well-known open models as data in resources/catalog, each with its source."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from m1desk.errors import BadInput
from m1desk.store import resource_folder

if TYPE_CHECKING:
    from pydantic import TypeAdapter, ValidationError

_FILE_LIMIT: Final = 4 * 1024 * 1024
_STRICT: Final = {"extra": "forbid"}
"""For pydantic, which checks the files against the dataclasses below: nothing else may be there."""

Evidence = Literal["measured", "file_read", "page_read", "not_checked_live"]
"""How a statement was checked: by running it, by reading the model's own file, by reading a copy
of its page, or not: it is general knowledge."""


@dataclass(frozen=True, slots=True)
class CatalogWay:
    """One way to run a model.

    Attributes:
        repo_id: at Hugging Face; None where no published one was found.
        size_bytes: to fetch; None where it depends on the variant or is not known.
        needs: what it asks for ("vllm<=0.23.0"), "" for nothing special.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT

    engine: Literal["llama.cpp", "vllm"]
    format: Literal["gguf", "safetensors"]
    repo_id: str | None
    note: str = ""
    size_bytes: int | None = None
    needs: str = ""


@dataclass(frozen=True, slots=True)
class CatalogCheck:
    """What was checked of an entry, how, and when ("2026-09")."""

    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT

    what: str
    how: Evidence
    when: str


@dataclass(frozen=True, slots=True)
class CatalogModel:
    """A model in the catalog.

    Attributes:
        id: for the command line, unique, such as "minimax-m1-80k".
        repo_id: of the maker's own checkpoint.
        architecture: llama.cpp's name, "" where it has none.
        license: as SPDX has it, or the maker's own name for it.
        gated: whether the maker asks to accept terms before the checkpoint is given out.
        parameters, active_parameters: weights in all and at work on each token.
        context_tokens: trained context length.
        source: the page the entry rests on.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT

    id: str
    name: str
    maker: str
    summary: str
    repo_id: str
    architecture: str
    license: str
    parameters: int
    active_parameters: int
    context_tokens: int
    ways: tuple[CatalogWay, ...]
    source: str
    checked: tuple[CatalogCheck, ...]
    thinks: bool = False
    gated: bool = False
    sampling: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def gguf_repositories(self) -> tuple[str, ...]:
        """Repositories with GGUF files that are known; none does not mean that there are none."""
        return tuple(way.repo_id for way in self.ways if way.format == "gguf" and way.repo_id)

    @property
    def is_checked(self) -> bool:
        """Whether anything of it rests on more than general knowledge."""
        return any(check.how != "not_checked_live" for check in self.checked)


@dataclass(frozen=True, slots=True)
class CatalogFile:
    """One file of the catalog; `order` sorts the files."""

    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT

    format: Literal[1]
    order: int
    models: tuple[CatalogModel, ...]


@dataclass(frozen=True, slots=True)
class Catalog:
    """All models of the catalog, in the order they are shown."""

    models: tuple[CatalogModel, ...]

    def find(self, name: str) -> CatalogModel | None:
        """The model with this id, name or repository, in any case of letters."""
        wanted = name.casefold()
        for model in self.models:
            known = (model.id, model.name, model.repo_id, *model.gguf_repositories)
            if wanted in {each.casefold() for each in known}:
                return model
        return None

    def search(self, text: str) -> tuple[CatalogModel, ...]:
        """Models in whose name, maker or repository all words of `text` occur."""
        words = text.casefold().split()
        return tuple(
            model
            for model in self.models
            if all(
                word in f"{model.name} {model.maker} {model.repo_id}".casefold() for word in words
            )
        )


def load_catalog(folder: Path | None = None) -> Catalog:
    """Read all files of the catalog; raises BadInput that names the file and the place in it."""
    place = folder or resource_folder() / "catalog"
    try:
        paths = sorted(place.glob("*.json"))
        files = [_read(path) for path in paths]
    except OSError as error:
        raise BadInput(
            f"The catalog {place} can't be read.",
            f"The system says: {error.strerror or error}.",
            "Install M1 Desk again.",
        ) from error
    models = tuple(m for file in sorted(files, key=lambda each: each.order) for m in file.models)
    ids = [model.id for model in models]
    double = sorted({each for each in ids if ids.count(each) > 1})
    if double:
        raise BadInput(f"The catalog {place} names a model twice: {', '.join(double)}.")
    return Catalog(models)


def _read(path: Path) -> CatalogFile:
    from pydantic import ValidationError  # noqa: PLC0415 - slow to import, needed here alone

    try:
        return _schema().validate_json(path.read_bytes()[:_FILE_LIMIT])
    except ValidationError as error:
        raise BadInput(
            f"The catalog file {path.name} can't be used.", _explained(error), "Correct it."
        ) from error


def _schema() -> TypeAdapter[CatalogFile]:
    """The dataclasses above are the schema; what they don't name is refused."""
    from pydantic import TypeAdapter  # noqa: PLC0415 - as above

    return TypeAdapter(CatalogFile)


def _explained(error: ValidationError) -> str:
    """The first three faults, each with its place."""
    faults = [
        f"{'.'.join(map(str, fault['loc'])) or 'the file'}: {fault['msg']}"
        for fault in error.errors(include_url=False)[:3]
    ]
    more = error.error_count() - len(faults)
    return "; ".join(faults) + (f"; and {more} more" if more else "") + "."
