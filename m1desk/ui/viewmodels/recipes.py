"""A model on a cluster: planned as it is described, written as files, and added as a server."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject, QTimer, Signal

from m1desk.engines import ServerProfile
from m1desk.errors import M1DeskError
from m1desk.fit import known_models
from m1desk.recipes import (
    ClusterWish,
    RecipeOptions,
    cluster_of,
    find_served,
    known_gpus,
    make_recipe,
    plan_cluster,
    write_recipe,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from m1desk.models import Hub
    from m1desk.recipes import Recipe, RemoteProposal, ServedModel, Target
    from m1desk.ui.bridge import Bridge, Submission

_TYPING_MS: Final = 300
_MOST_NAME: Final = 64
"""What a server may be called at most."""


@dataclass(frozen=True, slots=True)
class ClusterQuestion:
    """What is to be planned.

    Attributes:
        model: a known name, or owner/name at the Hub.
        gpus: of each node.
        gpu: their kind, one of `RecipesViewModel.gpus`.
    """

    model: str
    nodes: int
    gpus: int
    gpu: str
    target: Target
    wish: ClusterWish = field(default_factory=ClusterWish)
    options: RecipeOptions = field(default_factory=RecipeOptions)


class RecipesViewModel(QObject):
    """Plans whenever it is asked something new; a model of the Hub is looked up once.

    `hub` makes the Hub as the settings want it; it is called on a worker thread.

    Signals:
        opened: what can be chosen is known.
        planned: the Recipe; one that does not fit has no files.
        refused: the M1DeskError that kept it from being planned.
        written: paths (tuple of Path) of the files that were saved.
        failed: the exception that kept them from being saved.
    """

    opened = Signal()
    planned = Signal(object)
    refused = Signal(object)
    written = Signal(object)
    failed = Signal(object)

    def __init__(
        self, bridge: Bridge, hub: Callable[[], Hub], parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._hub = hub
        self._models: tuple[str, ...] = ()
        self._gpus: tuple[str, ...] = ()
        self._question: ClusterQuestion | None = None
        self._served: dict[str, ServedModel] = {}
        self._work: Submission | None = None
        self._due = QTimer(self)
        self._due.setSingleShot(True)
        self._due.setInterval(_TYPING_MS)
        self._due.timeout.connect(self._plan)

    @property
    def models(self) -> tuple[str, ...]:
        """Models that can be planned without asking anybody."""
        return self._models

    @property
    def gpus(self) -> tuple[str, ...]:
        """Kinds of GPUs a cluster can be made of."""
        return self._gpus

    @property
    def is_planning(self) -> bool:
        """Whether an answer is on its way."""
        return self._due.isActive() or self._work is not None

    def open(self) -> None:
        """Read what can be chosen, once."""
        if self._gpus:
            return

        def on_read(read: tuple[tuple[str, ...], tuple[str, ...]]) -> None:
            self._models, self._gpus = read
            self.opened.emit()

        work = asyncio.to_thread(lambda: (known_models(), known_gpus()))
        self._bridge.submit(work, on_read, self.failed.emit)

    def ask(self, question: ClusterQuestion) -> None:
        """Plan this, in place of what was asked before."""
        if question == self._question:
            return
        self._question = question
        if self._work is not None:
            self._work.cancel()
            self._work = None
        self._due.start()

    def write(self, recipe: Recipe, folder: Path) -> None:
        """Save a recipe's files; none that holds something else is replaced."""
        work = asyncio.to_thread(write_recipe, recipe, folder)
        self._bridge.submit(work, self.written.emit, self.failed.emit)

    def _plan(self) -> None:
        question = self._question
        if question is None:
            return

        def on_made(recipe: Recipe) -> None:
            self._work = None
            self.planned.emit(recipe)

        def on_error(error: Exception) -> None:
            self._work = None
            if not isinstance(error, M1DeskError):
                raise error
            self.refused.emit(error)

        work = asyncio.to_thread(self._make, question)
        self._work = self._bridge.submit(work, on_made, on_error)

    def _make(self, question: ClusterQuestion) -> Recipe:
        """Plan and write down; blocks; raises M1DeskError."""
        model = question.model.strip()
        if model not in self._served:
            self._served[model] = find_served(model, self._hub)
        cluster = cluster_of(question.nodes, question.gpus, question.gpu)
        plan = plan_cluster(self._served[model], cluster, question.wish)
        return make_recipe(plan, question.target, question.options)


def proposed_server(remote: RemoteProposal) -> ServerProfile:
    """The server that a recipe makes, as it would be added."""
    return ServerProfile(
        name=remote.name[:_MOST_NAME].strip(),
        base_url=remote.base_url,
        model=remote.model,
        wants_key=True,
        context_tokens=remote.context_tokens,
    )
