"""Checking a model on disk against a checksum somebody vouches for, and its own header."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from m1desk.errors import StorageError
from m1desk.models.downloads.following_hash import FollowingHash
from m1desk.models.library import LocalModel, size_of

Verdict = Literal["verified", "damaged", "not_known", "unusable"]
"""`not_known`: whole by its header, but nobody here knows its checksum."""

_SHA256: Final = re.compile(r"(?:sha256-)?([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class FileCheck:
    """One file's result; the checksums are "" where there was none to compare."""

    path: Path
    size_bytes: int
    verdict: Verdict
    expected_sha256: str = ""
    found_sha256: str = ""


@dataclass(frozen=True, slots=True)
class Verification:
    """A model's result.

    Attributes:
        reason: why it is unusable or damaged, or what could not be checked; "" when verified.
    """

    model: LocalModel
    verdict: Verdict
    files: tuple[FileCheck, ...] = ()
    reason: str = ""


def verify_model(
    model: LocalModel,
    known_checksum: Callable[[Path], str] = lambda _: "",
    on_bytes: Callable[[int], None] | None = None,
) -> Verification:
    """Read all of a model and compare; blocks for as long as the disk takes.

    `known_checksum` gives the SHA-256 of a file of ours, or "". Files in the Hugging Face cache
    and Ollama's are named by theirs. `on_bytes` is told how many bytes each step read; what it
    raises ends the check. Raises StorageError when a file can't be read.
    """
    if model.error:
        return Verification(model, "unusable", reason=model.error)
    checks = tuple(_check(path, known_checksum, on_bytes) for path in model.files)
    damaged = [check for check in checks if check.verdict == "damaged"]
    if damaged:
        names = ", ".join(check.path.name for check in damaged)
        return Verification(model, "damaged", checks, f"The checksum is wrong of: {names}.")
    weights = [check for check in checks if check.path.suffix in {".gguf", ".safetensors", ""}]
    if any(check.verdict == "not_known" for check in weights):
        reason = "Whole by its header; no checksum of it is known, so its content is unchecked."
        return Verification(model, "not_known", checks, reason)
    return Verification(model, "verified", checks)


def _check(
    path: Path, known_checksum: Callable[[Path], str], on_bytes: Callable[[int], None] | None
) -> FileCheck:
    expected = known_checksum(path) or _named_checksum(path)
    if not expected:
        return FileCheck(path, size_of(path), "not_known")
    try:
        found = FollowingHash.of_file(path, "sha256", on_bytes=on_bytes)
    except OSError as error:
        raise StorageError(
            f"{path} can't be read.",
            f"The system says: {error.strerror or error}.",
            "Check the disk and the file's permissions.",
        ) from error
    verdict: Verdict = "verified" if found == expected else "damaged"
    return FileCheck(path, size_of(path), verdict, expected, found)


def _named_checksum(path: Path) -> str:
    """The SHA-256 that a content-addressed store gave a file as its name."""
    real = path.resolve()
    match = _SHA256.fullmatch(real.name) if real.parent.name == "blobs" else None
    return match[1] if match else ""
