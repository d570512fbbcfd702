"""The engine's own account of what a variant takes, from a dry run in a child process."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from m1desk.errors import BadInput, EngineFailed
from m1desk.fit.header_file import write_header
from m1desk.fit.placement import Needs, Wished
from m1desk.fit.variant import Variant

_TIME_LIMIT_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True)
class ExactNeeds:
    """What the engine said (bytes); `compute` is by its buffers ("CPU", "CUDA0" ...)."""

    needs: Needs
    compute: Mapping[str, int]


def exact_needs(
    variant: Variant,
    wished: Wished,
    command: Sequence[str],
    environment: Mapping[str, str] | None = None,
    *,
    outputs: int | None = None,
) -> ExactNeeds:
    """Ask the engine. Takes a second or two, and no memory but one sequence's recurrent state.

    Args:
        variant: one with a header.
        wished: the settings.
        command: what runs the llama worker, without its arguments.
        environment: of the child; None: this process's own.
        outputs: rows of logits in a batch; None: one for each request, as our worker asks for; 0:
            one for each token.

    Raises:
        BadInput: the variant has no table of tensors, or the engine refuses the settings.
        EngineFailed: the child died.
    """
    if variant.header is None:
        raise BadInput(
            f"{variant.model} can't be tried exactly.",
            "Only rough figures of it are known.",
            "Give a GGUF file of it.",
        )
    settings = _arguments(wished, wished.parallel if outputs is None else outputs)
    if all(part.is_file() for part in variant.header.parts):
        file = ["--header", str(variant.header.path.resolve())]
        answer = _ask([*command, "dry-run", *file, *settings], environment)
    else:
        with tempfile.TemporaryDirectory(prefix="m1desk-header-") as folder:
            path = Path(folder) / "header.gguf"
            file = ["--header", str(path), "--size", str(write_header(variant.header, path))]
            answer = _ask([*command, "dry-run", *file, *settings], environment)
    return ExactNeeds(
        Needs(
            weights=_number(answer, "weights_bytes"),
            kv_cache=_number(answer, "kv_cache_bytes"),
            state=_number(answer, "state_bytes"),
            compute=_number(answer, "compute_bytes"),
        ),
        {str(name): int(size) for name, size in dict(answer["compute"]).items()},  # type: ignore[call-overload]
    )


def _arguments(wished: Wished, outputs: int) -> list[str]:
    values: dict[str, object] = {
        "context": wished.context_tokens,
        "parallel": wished.parallel,
        # the engine counts the output as one more layer, and places it first
        "gpu-layers": -1 if wished.gpu_layers is None else wished.gpu_layers + 1,
        "kv-type": wished.kv_type,
        "ubatch": wished.ubatch_tokens,
        "flash-attention": "on" if wished.flash_attention else "off",
        "outputs": outputs,
    }
    return [part for name, value in values.items() for part in (f"--{name}", str(value))]


def _ask(command: Sequence[str], environment: Mapping[str, str] | None) -> dict[str, object]:
    try:
        child = subprocess.run(
            command,
            capture_output=True,
            text=True,
            env=environment,
            timeout=_TIME_LIMIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EngineFailed("The engine's dry run did not end.", f"{error}") from error
    lines = child.stdout.strip().splitlines()
    try:
        answer: dict[str, object] = json.loads(lines[-1]) if lines else {}
    except ValueError:
        answer = {}
    if "error" in answer:
        raise BadInput("The engine refused this model or these settings.", str(answer["error"]))
    if "weights_bytes" not in answer:
        tail = child.stderr.strip().splitlines()[-3:]
        raise EngineFailed(
            f"The engine's dry run ended with {child.returncode} and no answer.", " ".join(tail)
        )
    return answer


def _number(answer: Mapping[str, object], key: str) -> int:
    value = answer[key]
    return value if isinstance(value, int) else 0
