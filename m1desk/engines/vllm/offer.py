"""What can be chosen for a checkpoint before it is loaded, and what a choice would mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from m1desk.engines.environments.values import VLLM
from m1desk.engines.environments.versions import choose_environment, refuse_environment
from m1desk.engines.vllm.checkpoint import Checkpoint, read_checkpoint
from m1desk.engines.vllm.planned import ServeWish, VllmPlan, plan_for
from m1desk.engines.vllm.settings import is_cpu_build
from m1desk.errors import BadInput
from m1desk.models import read_safetensors_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from m1desk.engines.environments.store import EnvironmentStore
    from m1desk.engines.environments.values import EngineEnvironment, KeptEnvironment
    from m1desk.fit import PlanMachine
    from m1desk.models import SafetensorsModel


@dataclass(frozen=True, slots=True)
class EnvironmentOffer:
    """An environment with vLLM.

    Attributes:
        version: "" where its installation has not come to its end.
        on_processors: it computes with the processor, not with GPUs.
        refusal: why it can't run the model, "" when it can.
    """

    name: str
    version: str = ""
    on_processors: bool = False
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class CheckpointOffer:
    """What there is to choose for a checkpoint.

    Attributes:
        environments: all with vLLM, by name.
        best: name of the one that is taken where nobody chooses; "" where none will do.
        gpus: how many this machine has.
        problem: why none will do, and what to do then.
    """

    folder: Path
    model: SafetensorsModel
    environments: tuple[EnvironmentOffer, ...]
    best: str
    gpus: int
    problem: str = ""


class CheckpointDesk:
    """Says how the checkpoints of this machine can be loaded with vLLM. Methods block."""

    def __init__(self, store: EnvironmentStore, machine: Callable[[], PlanMachine]) -> None:
        """Use the environments of `store`; `machine` looks at this machine as it is now."""
        self._store = store
        self._machine = machine

    def look(self, folder: Path) -> CheckpointOffer:
        """Say what can be chosen.

        Raises:
            ModelFileError: the folder holds no checkpoint.
            StorageError: the environments can't be read.
        """
        model = read_safetensors_folder(folder)
        kept = [one for one in self._store.list() if _may_be_vllm(one)]
        choice = choose_environment(model.architecture, kept)
        return CheckpointOffer(
            folder=folder,
            model=model,
            environments=tuple(_offer(one, model.architecture) for one in kept),
            best=choice.environment.name if choice.environment else "",
            gpus=len(self._machine().devices),
            problem="" if choice.environment else " ".join(choice.reasons),
        )

    def plan(self, folder: Path, environment: str, wish: ServeWish) -> VllmPlan:
        """Say what a choice means; an empty `environment` is chosen by the model.

        Raises:
            ModelFileError: the folder holds no usable checkpoint.
            BadInput: there is no such environment, or none that runs the model.
            EngineFailed: it can't work; the message says what would have to change.
            StorageError: the environments can't be read.
        """
        checkpoint = read_checkpoint(folder)
        chosen = self._environment(checkpoint, environment)
        return plan_for(chosen, checkpoint, wish, self._machine())

    def _environment(self, checkpoint: Checkpoint, name: str) -> EngineEnvironment:
        folder, architecture = checkpoint.folder, checkpoint.architecture
        if name:
            refusal = refuse_environment(architecture, self._store.find(name))
            if refusal:
                raise BadInput(f"{folder.name} does not run in {name}.", refusal)
            return self._store.get(name)
        choice = choose_environment(architecture, self._store.list())
        if choice.environment is None:
            *reasons, todo = choice.reasons
            raise BadInput(f"No engine environment runs {folder.name}.", " ".join(reasons), todo)
        return choice.environment


def _offer(kept: KeptEnvironment, architecture: str) -> EnvironmentOffer:
    refusal = refuse_environment(architecture, kept)
    one = kept.environment
    if one is None:
        return EnvironmentOffer(kept.name, refusal=refusal)
    return EnvironmentOffer(kept.name, one.version, is_cpu_build(one), refusal)


def _may_be_vllm(kept: KeptEnvironment) -> bool:
    return kept.environment is None or kept.environment.engine == VLLM
