"""The record of an environment: which build of it counts, and which one counted before."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from m1desk.engines.environments.asking import answer_fields, answer_of
from m1desk.engines.environments.values import (
    ContainerImage,
    EngineEnvironment,
    EnvironmentAnswer,
    InstallRequest,
)
from m1desk.errors import BadInput

_RECORD: Final = "environment.json"


@dataclass(frozen=True, slots=True)
class Build:
    """One build of an environment, or what the user named in its place.

    Attributes:
        answer: what it said when it passed its last test.
        request: how it was installed; None where the user named it.
        failed_test: why it failed its last test; "" when it passed.
    """

    environment: EngineEnvironment
    answer: EnvironmentAnswer
    request: InstallRequest | None = None
    failed_test: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether it was made here and is still there."""
        return self.environment.managed and self.environment.is_there


@dataclass(frozen=True, slots=True)
class Record:
    """What is kept of an environment.

    Attributes:
        now: the build that counts; None until an installation has come to its end.
        before: the one that counted before, for a rollback.
        begun: what the installation was to be, until something counts.
    """

    now: Build | None = None
    before: Build | None = None
    begun: InstallRequest | None = None


def read_record(folder: Path) -> Record:
    """Read an environment's record; an empty one where there is nothing that can be read."""
    try:
        fields = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return Record()
    if not isinstance(fields, dict):
        return Record()
    now = _build(folder, fields)
    if now is None:
        return Record(begun=_request(folder.name, fields.get("request")))
    before = fields.get("before")
    return Record(now, _build(folder, before) if isinstance(before, dict) else None)


def write_record(folder: Path, record: Record) -> None:
    """Write it so that a reader sees all of it or what was there before; raises OSError."""
    fields: dict[str, object] = {}
    if record.now is not None:
        fields = _build_fields(folder, record.now)
        if record.before is not None:
            fields["before"] = _build_fields(folder, record.before)
    elif record.begun is not None:
        fields["request"] = _request_fields(record.begun)
    part = folder / f"{_RECORD}.part"
    part.write_text(json.dumps(fields, indent=1), encoding="utf-8")
    part.replace(folder / _RECORD)


def python_in(build: Path) -> Path:
    """The interpreter of a virtual environment."""
    return build / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def build_folder(folder: Path, environment: EngineEnvironment) -> Path:
    """Where a build of an environment that was made here lies."""
    return folder / environment.python.relative_to(folder).parts[0]


def _build(folder: Path, fields: Mapping[str, Any]) -> Build | None:
    try:
        answer = answer_of(fields["answer"])
        environment = _environment(folder, fields, answer)
    except (KeyError, TypeError, ValueError):
        return None
    return Build(
        environment,
        answer,
        _request(folder.name, fields.get("request")),
        str(fields.get("failed_test", "")),
    )


def _environment(
    folder: Path, fields: Mapping[str, Any], answer: EnvironmentAnswer
) -> EngineEnvironment:
    build, size, image = fields.get("build"), fields.get("size_bytes"), fields.get("image")
    return EngineEnvironment(
        name=folder.name,
        engine=str(fields["engine"]),
        package=answer.package,
        version=answer.version,
        python=python_in(folder / str(build)) if build else Path(str(fields["python"])),
        managed=bool(build),
        size_bytes=size if isinstance(size, int) else None,
        image=ContainerImage(**image) if isinstance(image, dict) else None,
    )


def _build_fields(folder: Path, build: Build) -> dict[str, object]:
    environment = build.environment
    fields: dict[str, object] = {
        "engine": environment.engine,
        "size_bytes": environment.size_bytes,
        "answer": answer_fields(build.answer),
    }
    if environment.image is not None:
        fields["image"] = asdict(environment.image)
    if environment.managed:
        fields["build"] = build_folder(folder, environment).name
    else:
        fields["python"] = str(environment.python)
    if build.request is not None:
        fields["request"] = _request_fields(build.request)
    if build.failed_test:
        fields["failed_test"] = build.failed_test
    return fields


def _request_fields(request: InstallRequest) -> dict[str, object]:
    """All but the name, which is the folder's."""
    python = None if request.python is None else str(request.python)
    fields = {**asdict(request), "python": python}
    del fields["name"]
    return fields


def _request(name: str, fields: object) -> InstallRequest | None:
    """Read it back; None where there is none, or none that this program could carry out."""
    if not isinstance(fields, dict):
        return None
    python = fields.get("python")
    try:
        return InstallRequest(
            **{**fields, "name": name, "python": None if python is None else Path(python)}
        )
    except (BadInput, TypeError):
        return None
