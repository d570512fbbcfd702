"""A job that is put together: templates, what is still missing, the estimate, and adding it."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol

from PySide6.QtCore import QObject, QTimer, Signal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from m1desk.jobs.templates import TemplateProblem
    from m1desk.jobs.values import JobEstimate, JobSpec, JobTemplate
    from m1desk.ui.bridge import Bridge, Submission

    class Templates(Protocol):
        """Keeps templates; `m1desk.jobs.templates.TemplateShelf` does. It blocks.

        Every method raises StorageError, and BadInput for what can't be used.
        """

        def all(self) -> tuple[JobTemplate, ...]:
            """All that can be used."""

        def problems(self) -> tuple[TemplateProblem, ...]:
            """The files that can't be used."""

        def save(self, template: JobTemplate) -> JobTemplate:
            """Keep one of the person's own."""

        def delete(self, name: str) -> None:
            """Delete one of the person's own."""

        def import_file(self, path: Path) -> JobTemplate:
            """Take a file among the person's own."""

        def export_file(self, name: str, path: Path) -> None:
            """Write one to a file."""

    class JobIntake(Protocol):
        """Takes new jobs, on the loop."""

        async def estimate(self, spec: JobSpec) -> JobEstimate:
            """Say what a job will probably take; raises M1DeskError when nothing can be said."""

        async def add(self, spec: JobSpec, estimate: JobEstimate) -> int:
            """Put a job into the queue and return its id; raises StorageError."""


_TYPING_MS: Final = 400
"""How long to wait for another change before the estimate is made anew."""

WITHOUT_DOCUMENTS: Final = frozenset({"prompt", "benchmark"})
"""Kinds of jobs that read no documents."""


class NewJobViewModel(QObject):
    """Keeps the list of templates, estimates what is put together, and adds it.

    Signals:
        templates_changed: all templates (tuple of JobTemplate) that can be used.
        servers_changed: names (tuple of str) of the servers that were added.
        template_saved: the JobTemplate that was just saved or imported.
        template_failed: the exception of something that did not work with templates.
        estimated: the JobEstimate of what was last asked for.
        added: id (int) of the job that was just added.
        failed: the exception that kept a job from being estimated.
        not_added: the exception that kept a job from being added.
    """

    templates_changed = Signal(object)
    servers_changed = Signal(object)
    template_saved = Signal(object)
    template_failed = Signal(object)
    estimated = Signal(object)
    added = Signal(object)
    failed = Signal(object)
    not_added = Signal(object)

    def __init__(
        self,
        bridge: Bridge,
        templates: Templates,
        intake: JobIntake,
        servers: Callable[[], tuple[str, ...]],
        parent: QObject | None = None,
    ) -> None:
        """`servers` names the servers that were added; it blocks, and raises StorageError."""
        super().__init__(parent)
        self._bridge = bridge
        self._shelf = templates
        self._intake = intake
        self._names_servers = servers
        self._servers: tuple[str, ...] = ()
        self._templates: tuple[JobTemplate, ...] = ()
        self._problems: tuple[TemplateProblem, ...] = ()
        self._spec: JobSpec | None = None
        self._estimate: JobEstimate | None = None
        self._work: Submission | None = None
        self._typing = QTimer(self)
        self._typing.setSingleShot(True)
        self._typing.setInterval(_TYPING_MS)
        self._typing.timeout.connect(self._ask)

    @property
    def templates(self) -> tuple[JobTemplate, ...]:
        """All templates that can be used, by title."""
        return self._templates

    @property
    def problems(self) -> tuple[TemplateProblem, ...]:
        """Files among the templates that can't be used, and why."""
        return self._problems

    @property
    def servers(self) -> tuple[str, ...]:
        """Names of the servers that were added."""
        return self._servers

    # -- templates ---------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Read templates and servers anew."""
        work = asyncio.to_thread(self._read)
        self._bridge.submit(work, self._on_templates, self.template_failed.emit)
        names = asyncio.to_thread(self._names_servers)
        self._bridge.submit(names, self._on_servers, self.failed.emit)

    def save(self, template: JobTemplate) -> None:
        """Keep a template of the person's own."""
        work = asyncio.to_thread(self._shelf.save, template)
        self._bridge.submit(work, self._on_saved, self.template_failed.emit)

    def import_file(self, path: Path) -> None:
        """Take a template from a file."""
        work = asyncio.to_thread(self._shelf.import_file, path)
        self._bridge.submit(work, self._on_saved, self.template_failed.emit)

    def export_file(self, name: str, path: Path) -> None:
        """Write a template to a file."""
        work = asyncio.to_thread(self._shelf.export_file, name, path)
        self._bridge.submit(work, on_error=self.template_failed.emit)

    def delete(self, name: str) -> None:
        """Delete a template of the person's own."""
        work = asyncio.to_thread(self._shelf.delete, name)
        self._bridge.submit(work, lambda _: self.refresh(), self.template_failed.emit)

    # -- the job -----------------------------------------------------------------------------------

    def estimate(self, spec: JobSpec) -> None:
        """Estimate a job that can be added, soon; a newer wish takes the place of this one."""
        if spec == self._spec:
            return
        self._spec, self._estimate = spec, None
        if self._work is not None:
            self._work.cancel()
            self._work = None
        self._typing.start()

    def add(self, spec: JobSpec) -> None:
        """Put a job into the queue, with the estimate that was made of it."""
        self._bridge.submit(self._add(spec), self.added.emit, self.not_added.emit)

    def stop(self) -> None:
        """Estimate nothing more."""
        self._typing.stop()
        self._spec = None
        if self._work is not None:
            self._work.cancel()
            self._work = None

    # -- inside ------------------------------------------------------------------------------------

    async def _add(self, spec: JobSpec) -> int:
        known = self._estimate if spec == self._spec else None
        return await self._intake.add(spec, known or await self._intake.estimate(spec))

    def _ask(self) -> None:
        spec = self._spec
        if spec is not None:
            self._work = self._bridge.submit(
                self._intake.estimate(spec), self._on_estimate, self.failed.emit
            )

    def _on_estimate(self, estimate: JobEstimate) -> None:
        self._work = None
        self._estimate = estimate
        self.estimated.emit(estimate)

    def _read(self) -> tuple[tuple[JobTemplate, ...], tuple[TemplateProblem, ...]]:
        return self._shelf.all(), self._shelf.problems()

    def _on_templates(
        self, found: tuple[tuple[JobTemplate, ...], tuple[TemplateProblem, ...]]
    ) -> None:
        self._templates, self._problems = found
        self.templates_changed.emit(self._templates)

    def _on_servers(self, names: tuple[str, ...]) -> None:
        self._servers = names
        self.servers_changed.emit(names)

    def _on_saved(self, template: JobTemplate) -> None:
        self.refresh()
        self.template_saved.emit(template)


def missing(spec: JobSpec) -> str:
    """Say why a job can't be added as it is, "" when it can."""
    if not spec.title.strip():
        return "Give the job a title"
    if spec.kind != "benchmark":
        if not spec.questions:
            return "Add a question"
        if not all(one.text.strip() for one in spec.questions):
            return "Write the question, or remove its line"
        twice = _first_twice([one.name.strip().casefold() for one in spec.questions])
        if twice:
            return "Two questions have the same name"
    corpus = spec.corpus
    if spec.kind not in WITHOUT_DOCUMENTS and corpus.set_id is None and not corpus.files:
        return "Add documents, or choose a set"
    return ""


def question_name(text: str, taken: Callable[[str], bool]) -> str:
    """Make a short name of a question that has none."""
    base = " ".join(text.split()[:3]).rstrip("?.,:;")[:32] or "Question"
    name, number = base, 2
    while taken(name):
        name, number = f"{base} {number}", number + 1
    return name


def next_moment(hour: int, minute: int, now: float) -> float:
    """When it will next be this time of the day here; seconds since the epoch, as `now`."""
    today = datetime.fromtimestamp(now).astimezone()
    wanted = today.replace(hour=hour, minute=minute, second=0, microsecond=0, tzinfo=None)
    if wanted.astimezone().timestamp() <= now:
        wanted += timedelta(days=1)
    return wanted.astimezone().timestamp()


def _first_twice(names: Sequence[str]) -> str:
    return next((name for name, count in Counter(names).items() if count > 1), "")
