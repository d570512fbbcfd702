"""Where the variants of a model come from: what the planner knows, or a repository at the Hub."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from m1desk.errors import M1DeskError
from m1desk.fit import (
    Variant,
    is_known,
    known_variants,
    quantizations,
    variant_from_config,
    variant_from_header,
)

if TYPE_CHECKING:
    from m1desk.models import CatalogModel, Hub, HubRepository, HubVariant

_NO_FILE: Final = (
    "No published GGUF of {name} is known. Search the Hub for quantizations of it, or make one "
    "with llama.cpp."
)


@dataclass(frozen=True, slots=True)
class VariantRow:
    """One variant in the list.

    Attributes:
        size_bytes: of the file where it is known, else of the weights.
        variant: what the planner needs; None where only the size is known.
        repository: where it can be fetched; None where `no_download` says why it can't.
        is_listed: the file was seen in the repository; otherwise it is only likely to be there.
    """

    name: str
    size_bytes: int
    bits_per_weight: float | None
    quality: str
    variant: Variant | None
    repository: str | None = None
    no_download: str = ""
    is_listed: bool = False


@dataclass(frozen=True, slots=True)
class VariantList:
    """All variants of one model, the largest first.

    Attributes:
        checkpoint: in 16 bits, as vLLM loads it; None where the architecture is not known.
        note: what there is to know about the list, a sentence; may be empty.
        error: what kept it from being complete.
    """

    rows: tuple[VariantRow, ...]
    checkpoint: Variant | None = None
    note: str = ""
    error: M1DeskError | None = None


def catalog_variants(model: CatalogModel) -> VariantList:
    """The variants llama.cpp's own mixing gives of a model; none if its architecture is unknown.

    Takes up to half a second of computing.
    """
    name = next((name for name in (model.name, model.repo_id) if is_known(name)), None)
    if name is None:
        return VariantList(())
    repository = next(iter(model.gguf_repositories), None)
    refusal = "" if repository else _NO_FILE.format(name=model.name)
    # The tables of twenty variants are tens of thousands of objects, which Python's collector
    # would look through again and again, on the window's thread; they can be made again.
    variants = tuple(replace(one, header=None) for one in known_variants(name))
    rows = tuple(
        VariantRow(
            name=one.name,
            size_bytes=one.weights_bytes,
            bits_per_weight=one.bits_per_weight,
            quality=one.quality,
            variant=one,
            repository=repository,
            no_download=refusal,
        )
        for one in variants
    )
    return VariantList(rows, variants[0])


def has_header(variant: Variant) -> bool:
    """Whether the table of its tensors is at hand, or can be made again."""
    return variant.header is not None or variant.source == "config"


def with_header(variant: Variant) -> Variant:
    """The same variant with its table of tensors, for which `has_header` must hold."""
    if variant.header is not None:
        return variant
    return known_variants(variant.model, (variant.name,))[0]


def hub_variants(hub: Hub, repo_id: str) -> VariantList:
    """The GGUF files of a repository; blocks on the network, raises HubError.

    The header of the smallest is read, for the architecture. The others have the same one, so
    their parts are taken to be in proportion to their files.
    """
    repository = hub.repository(repo_id)
    files = [one for one in repository.variants if one.format == "gguf"]
    if not files:
        return _checkpoint_variants(hub, repository)
    try:
        header = hub.gguf_header(repo_id, files[0].main_file.path, repository.commit)
    except M1DeskError as error:
        rows = tuple(_row(one, repository, None) for one in reversed(files))
        return VariantList(rows, error=error)
    known = variant_from_header(header)
    rows = tuple(_row(one, repository, _sized(known, one)) for one in reversed(files))
    note = f"The header of {files[0].name} was read; the others are taken in proportion to it."
    return VariantList(rows, known, note if len(files) > 1 else "")


def _checkpoint_variants(hub: Hub, repository: HubRepository) -> VariantList:
    """What converting and quantizing a checkpoint would give."""
    config = hub.safetensors_model(repository.repo_id, repository.commit).config
    name = repository.repo_id.rsplit("/", maxsplit=1)[-1]
    variants = tuple(variant_from_config(config, name, one) for one in quantizations())
    rows = tuple(
        VariantRow(
            one.name, one.weights_bytes, one.bits_per_weight, one.quality, one,
            no_download=_NO_FILE.format(name=name),
        )
        for one in variants
    )  # fmt: skip
    note = "This repository holds a checkpoint: these are the sizes converting it would give."
    return VariantList(rows, variants[0], note)


def _row(file: HubVariant, repository: HubRepository, variant: Variant | None) -> VariantRow:
    known = quantizations().get(file.name.upper().removeprefix("UD-"))
    bits = variant.bits_per_weight if variant else repository.bits_per_weight(file)
    return VariantRow(
        name=file.name,
        size_bytes=file.size_bytes,
        bits_per_weight=bits,
        quality=known.quality if known else "",
        variant=variant,
        repository=repository.repo_id,
        is_listed=True,
    )


def _sized(known: Variant, file: HubVariant) -> Variant:
    """The same model in a file of another size."""
    share = file.size_bytes / known.weights_bytes if known.weights_bytes else 1.0
    if file.name == known.name or abs(share - 1) < 0.001:
        return replace(known, name=file.name)
    return replace(
        known,
        name=file.name,
        weights_bytes=file.size_bytes,
        expert_bytes=round(known.expert_bytes * share),
        embedding_bytes=round(known.embedding_bytes * share),
        output_bytes=round(known.output_bytes * share),
        header=None,
    )
