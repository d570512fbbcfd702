"""An engine environment in a line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from m1desk.fit import size_text

if TYPE_CHECKING:
    from m1desk.engines.environments.values import EngineEnvironment, KeptEnvironment


def describe(kept: KeptEnvironment) -> str:
    """What it is, what it takes on the disk, and what is wrong with it."""
    found, answer = kept.environment, kept.answer
    if found is None or answer is None:
        return kept.problem
    parts = [
        f"{found.package} {found.version}",
        f"Python {answer.python}",
        ", ".join(answer.runs_on),
        f"{len(answer.architectures)} architectures" if answer.architectures else "",
        size_words(kept),
        "" if found.managed else _origin(found),
        kept.problem,
        f"It failed its last test: {kept.failed_test}" if kept.failed_test else "",
    ]
    return "; ".join(filter(None, parts))


def size_words(kept: KeptEnvironment) -> str:
    """Such as "3.2 GiB, and 3.1 GiB of the build before (0.31.0)"; "" where nothing was counted."""
    now = _size(kept.environment)
    if kept.before is None:
        return now
    return f"{now}, and {_size(kept.before)} of the build before ({kept.before.version})"


def _origin(environment: EngineEnvironment) -> str:
    image = environment.image
    return f"{image.tool} runs {image.reference}" if image else "installed by you"


def _size(environment: EngineEnvironment | None) -> str:
    return size_text(environment.size_bytes) if environment and environment.size_bytes else ""
