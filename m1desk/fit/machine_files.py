"""Machines from files: presets that come with the program, and the user's own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from m1desk.errors import BadInput
from m1desk.fit.data import read_resource
from m1desk.fit.machines import PlanMachine
from m1desk.store import resource_folder


def preset_names() -> tuple[str, ...]:
    """Names of the machines that come with the program."""
    return tuple(sorted(path.stem for path in (resource_folder() / "machines").glob("*.json")))


def load_machine(name_or_path: str) -> PlanMachine:
    """A preset by its name, or a machine from a user's JSON file of the same form.

    Raises:
        BadInput: there is no such preset or file, or the file says something impossible.
    """
    if name_or_path in preset_names():
        return _machine(name_or_path, read_resource(f"machines/{name_or_path}.json"))
    path = Path(name_or_path)
    if not path.is_file():
        raise BadInput(
            f'There is no machine called "{name_or_path}", and no such file.',
            f"Machines that come with the program: {', '.join(preset_names())}.",
            "Choose one of these, or give a JSON file (docs/fit.md says what is in it).",
        )
    try:
        return _machine(path.stem, json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise BadInput(f"The machine in {path} can't be read.", f"{error}") from error


def machine_from_json(identifier: str, fields: Mapping[str, Any]) -> PlanMachine:
    """Make a machine of a preset's fields; raises BadInput when they make no sense."""
    return _machine(identifier, fields)


def _machine(identifier: str, data: object) -> PlanMachine:
    from m1desk.fit.machine_schema import machine_of  # noqa: PLC0415 - pydantic is slow to import

    return machine_of(identifier, data)
