"""Asking an environment what it is, and trying it, with its own interpreter."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from m1desk.engines.environments.containers import run_command
from m1desk.engines.environments.tools import ToolEnd, ToolRunner
from m1desk.engines.environments.values import EngineEnvironment, EnvironmentAnswer
from m1desk.engines.spec import new_scratch
from m1desk.errors import EngineFailed
from m1desk.store import resource_folder

QUIET_VARIABLES: Final = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
}
"""Nothing is sent to anybody, and one process does it all."""

_ISOLATED: Final = ("-I", "-X", "utf8")
_MARK: Final = "M1DESK-ANSWER "
_INQUIRY_SECONDS: Final = 900.0
_TRIAL_SECONDS: Final = 1800.0
_COMPANIONS: Final = ("torchvision", "torchaudio", "torchcodec")


async def ask_vllm(
    environment: EngineEnvironment, runner: ToolRunner, on_line: Callable[[str], None] | None = None
) -> EnvironmentAnswer:
    """What vLLM says of itself; takes seconds to a minute, because all of it is loaded.

    Raises:
        EngineFailed: it can't be loaded, or answers nothing.
    """
    fields = await _answer("vllm_inquiry.py", environment, runner, on_line, _INQUIRY_SECONDS)
    try:
        return answer_of(fields)
    except ValueError as error:
        raise EngineFailed(
            f"vLLM in {_place(environment)} gives no usable answer.",
            f"It lacks: {error}.",
            "Install a version that M1 Desk knows: 0.12.0 or later.",
        ) from error


async def try_vllm(
    environment: EngineEnvironment, runner: ToolRunner, on_line: Callable[[str], None] | None = None
) -> None:
    """Have vLLM write a few tokens with a model made on the spot.

    Raises:
        EngineFailed: it did not.
    """
    fields = await _answer("vllm_trial.py", environment, runner, on_line, _TRIAL_SECONDS)
    if not fields.get("tokens"):
        raise EngineFailed(
            f"vLLM in {_place(environment)} wrote nothing.",
            "It ended without an error.",
            _see(runner),
        )


async def broken_companions(python: Path, runner: ToolRunner) -> tuple[str, ...]:
    """Packages beside torch that are there and can't be loaded.

    They were built for another torch; transformers tries them whenever they are there, and so
    they end vLLM, which needs none of them for text.
    """
    broken = []
    for name in _COMPANIONS:
        is_there = f"import importlib.util as u, sys; sys.exit(u.find_spec({name!r}) is None)"
        if not (await runner.run([*_isolated(python), "-c", is_there])).succeeded:
            continue
        if not (await runner.run([*_isolated(python), "-c", f"import {name}"])).succeeded:
            broken.append(name)
    return tuple(broken)


def answer_of(fields: Mapping[str, Any]) -> EnvironmentAnswer:
    """Read an answer's fields; raises ValueError naming what is missing or of another kind."""
    try:
        return EnvironmentAnswer(
            package=str(fields["package"]),
            version=str(fields["version"]),
            python=str(fields["python"]),
            runs_on=tuple(map(str, fields["runs_on"])),
            architectures=frozenset(map(str, fields["architectures"])),
            removed=tuple((str(name), str(last)) for name, last in fields["removed"].items()),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(str(error)) from error


def answer_fields(answer: EnvironmentAnswer) -> dict[str, object]:
    """The answer as JSON types; `answer_of` reads them back."""
    return {
        "package": answer.package,
        "version": answer.version,
        "python": answer.python,
        "runs_on": list(answer.runs_on),
        "architectures": sorted(answer.architectures),
        "removed": dict(answer.removed),
    }


async def _answer(
    script: str,
    environment: EngineEnvironment,
    runner: ToolRunner,
    on_line: Callable[[str], None] | None,
    limit_seconds: float,
) -> Mapping[str, Any]:
    """Run one of our scripts with the environment's interpreter; it answers with a marked line."""
    said: list[str] = []

    def hear(line: str) -> None:
        if line.startswith(_MARK):
            said.append(line.removeprefix(_MARK))
        elif on_line is not None:
            on_line(line)

    run = partial(runner.run, variables=QUIET_VARIABLES, limit_seconds=limit_seconds)
    path, image = resource_folder() / "engines" / script, environment.image
    if image is None:
        end = await run([*_isolated(environment.python), str(path)], hear)
    else:  # a container sees no file of ours, so it is told the text
        scratch = new_scratch()
        words = (*_ISOLATED, "-c", path.read_text(encoding="utf-8"))
        command = run_command(image, scratch, words, variables=QUIET_VARIABLES)
        end = await run(command, hear, scratch=scratch, container=image.tool)
    try:
        found = json.loads(said[-1]) if said else None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise _silent(environment, end, runner)
    return found


def _silent(environment: EngineEnvironment, end: ToolEnd, runner: ToolRunner) -> EngineFailed:
    place = _place(environment)
    if any("ModuleNotFoundError: No module named 'vllm'" in line for line in end.lines):
        return EngineFailed(
            f"There is no vLLM in {place}.", "", "Name the interpreter that it is installed for."
        )
    return EngineFailed(
        f"vLLM in {place} does not work.",
        f"{end.fate or 'It said nothing'}. {_last_words(end.lines)}".strip(),
        _see(runner),
    )


def _place(environment: EngineEnvironment) -> str:
    return environment.image.reference if environment.image else str(environment.python)


def _see(runner: ToolRunner) -> str:
    return f"All that it said is in {runner.log_path}."


def _last_words(lines: Sequence[str]) -> str:
    found = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return f"Its last words: {found[:300]}" if found else ""


def _isolated(python: Path) -> tuple[str, ...]:
    """An interpreter that sees neither our modules nor those of the folder it is started in."""
    return (str(python), *_ISOLATED)
