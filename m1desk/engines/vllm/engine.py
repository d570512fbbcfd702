"""vLLM as an engine of this machine: one checkpoint in a guarded child, one at a time."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from m1desk.engines.failure import LoadFacts
from m1desk.engines.managed import ManagedEngine
from m1desk.engines.manner import Manner
from m1desk.engines.progress import Patience
from m1desk.engines.status import EngineFailure, EngineState, EngineStatus
from m1desk.engines.vllm.client import VllmClient
from m1desk.engines.vllm.failure import explain_vllm
from m1desk.engines.vllm.greeting import greet
from m1desk.engines.vllm.launch import make_spec
from m1desk.engines.vllm.refusals import refuse_settings
from m1desk.engines.vllm.settings import VllmSettings
from m1desk.engines.vllm.stages import StageReader
from m1desk.errors import M1DeskError

if TYPE_CHECKING:
    from collections.abc import Callable

    from m1desk.engines.client import EngineClient
    from m1desk.engines.spec import EngineSpec
    from m1desk.engines.status import Endpoint
    from m1desk.fit import PlanMachine
    from m1desk.store import Folders

_LOG_NAME: Final = "vllm.log"
_PATIENCE: Final = Patience(
    silence_seconds=300.0,
    grace_seconds=5.0,
    kill_seconds=60.0,  # giving hundreds of gigabytes back takes the system a while
    heeds_while_starting=False,  # it never ended within reasonable time after a SIGTERM then
)


class VllmEngine(ManagedEngine[VllmSettings]):
    """Loads one checkpoint at a time with a vLLM. Use it on one asyncio loop."""

    def __init__(
        self,
        folders: Folders,
        machine: Callable[[], PlanMachine],
        on_status: Callable[[EngineStatus], None],
        *,
        patience: Patience | None = None,
    ) -> None:
        """Prepare; nothing is started.

        Args:
            folders: for the log and the records of the runs.
            machine: looks at this machine as it is now; may block.
            on_status: called on the loop with every new status.
            patience: when an engine that does nothing counts as stuck.
        """
        super().__init__(folders, on_status, log_name=_LOG_NAME, patience=patience or _PATIENCE)
        self._machine = machine

    def _starting(self, settings: VllmSettings) -> EngineStatus:
        return EngineStatus(
            EngineState.STARTING,
            model_path=settings.model_path,
            model_name=settings.name,
            asked_context_tokens=settings.wish.context_tokens,
            parallel=settings.wish.parallel,
            engine="vLLM",
        )

    def _refuse(self, settings: VllmSettings) -> EngineFailure | None:
        try:
            refuse_settings(settings, self._machine)
        except M1DeskError as error:
            return EngineFailure("refused", error.what, error.why, error.todo)
        return None

    def _prepare(self, settings: VllmSettings) -> tuple[EngineSpec, LoadFacts, Manner]:
        spec = make_spec(settings)
        stages = StageReader(spec.port)
        manner = Manner(
            read=stages.read,
            read_error=stages.read_error,
            explain=explain_vllm,
            greet=partial(greet, settings=settings),
        )
        context = settings.wish.context_tokens
        return spec, LoadFacts(settings.model_path, context, settings.wish.kv_type), manner

    def _make_client(self, endpoint: Endpoint) -> EngineClient:
        return VllmClient(endpoint)

    async def _before_end(self) -> None:
        """Close our streams: a vLLM that is asked to end in the middle of one may hang."""
        await self._close_client()
