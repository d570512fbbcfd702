"""What a job was asked to do, with what, and what it took beside what was estimated."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QFrame,
    QGridLayout,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from m1desk.jobs.energy import actual_energy
from m1desk.jobs.results import model_of
from m1desk.ui.units import context_text, seconds_text, tokens_text
from m1desk.ui.viewmodels.jobs_words import (
    KIND_MEANINGS,
    KINDS,
    cost_range,
    energy_range,
    energy_text,
    time_range,
)
from m1desk.ui.widgets.document_words import count_text
from m1desk.ui.widgets.label import Paragraph
from m1desk.ui.widgets.plain_tip import plain_tip

if TYPE_CHECKING:
    from collections.abc import Callable

    from m1desk.engines import LlamaSettings
    from m1desk.jobs.values import Corpus, Job, Schedule
    from m1desk.ui.theme import Theme

    Fact = tuple[str, str]

_FILES_SHOWN: Final = 12
_PRIORITY_WORDS: Final = {0: "usual", 1: "high", -1: "low"}


class JobFacts(QScrollArea):
    """Shows a job's order and its figures; `set_name` gives the name of a set, "" if unknown."""

    def __init__(
        self, theme: Theme, set_name: Callable[[int], str], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._theme = theme
        self._set_name = set_name
        self._job: Job | None = None
        self._figures = QGridLayout()
        self._facts = QGridLayout()
        self._why = Paragraph(tone="caption")
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWidget(self._make_column())

    def show_job(self, job: Job) -> None:
        """Show a job's order, and what it took so far."""
        if job == self._job:
            return
        self._job = job
        _fill(self._figures, [("", "Estimated", "Actual"), *figures_of(job)], "caption")
        _fill(self._facts, facts_of(job, self._set_name), "")
        energy = actual_energy(job)
        why = " ".join(filter(None, (job.estimate.why, energy.why if energy is not None else "")))
        self._why.setText(why)
        self._why.setVisible(bool(why))

    def _make_column(self) -> QWidget:
        metrics = self._theme.metrics
        card = QFrame()
        card.setProperty("card", True)
        inner = QVBoxLayout(card)
        space = metrics.space_m
        inner.setContentsMargins(metrics.space_l, space, metrics.space_l, space)
        inner.setSpacing(metrics.space_s)
        inner.addLayout(self._figures)
        inner.addWidget(self._why)
        for grid in (self._figures, self._facts):
            grid.setHorizontalSpacing(metrics.space_l)
            grid.setVerticalSpacing(metrics.space_s)
        self._figures.setColumnStretch(2, 1)
        self._facts.setColumnStretch(1, 1)
        column = QWidget()
        column.setMaximumWidth(metrics.text_column + 2 * metrics.space_l)
        layout = QVBoxLayout(column)
        layout.setContentsMargins(0, metrics.space_s, metrics.space_s, metrics.space_l)
        layout.setSpacing(metrics.space_l)
        layout.addWidget(card)
        layout.addLayout(self._facts)
        layout.addStretch(1)
        return column


def figures_of(job: Job) -> list[tuple[str, str, str]]:
    """Write what was estimated beside what it took: name, estimate, actual."""
    estimate, progress = job.estimate, job.summary.progress
    read = f"{tokens_text(progress.read_tokens)}"
    if progress.reused_tokens:
        read += f" and {tokens_text(progress.reused_tokens)} kept from before"
    energy, cost = _electricity(job)
    return [
        (
            "Time",
            "–" if estimate.seconds is None else time_range(estimate.seconds),
            seconds_text(progress.seconds) if progress.seconds else "–",
        ),
        ("Tokens read", _count(estimate.read_tokens), read),
        ("Tokens written", _count(estimate.written_tokens), tokens_text(progress.written_tokens)),
        (
            "Energy",
            "–" if estimate.watt_hours is None else energy_range(estimate.watt_hours),
            energy,
        ),
        ("Cost", "–" if estimate.usd is None else cost_range(estimate.usd), cost),
    ]


def _electricity(job: Job) -> tuple[str, str]:
    """Write the energy that a job took, and its cost; what is assumed is called so."""
    took = actual_energy(job)
    if took is None:
        return ("not known: a server's" if job.spec.engine.server else "–"), "–"
    how = "measured" if took.is_measured else "assumed"
    return f"{energy_text(took.watt_hours)} {how}", cost_range((took.usd, took.usd))


def facts_of(job: Job, set_name: Callable[[int], str]) -> list[Fact]:
    """Write a job's order in lines of a name and a value."""
    spec, summary = job.spec, job.summary
    facts = [("Kind", f"{KINDS[spec.kind]}. {KIND_MEANINGS[spec.kind]}")]
    facts += [("Template", spec.template)] if spec.template else []
    facts += [(one.name, one.text) for one in spec.questions]
    if spec.kind not in {"prompt", "benchmark"}:
        facts.append(("Documents", _documents(spec.corpus, job.set_id, set_name)))
    facts.append(("Model", model_of(job) or _no_model(job)))
    settings = job.settings or spec.engine.settings
    facts += [("Loaded with", _settings(settings))] if settings is not None else []
    facts.append(("Begins", _schedule(spec.schedule)))
    facts.append(("Priority", _PRIORITY_WORDS.get(spec.priority, str(spec.priority))))
    limit = spec.sampling.max_tokens
    facts.append(("Answers", f"at most {limit:,} tokens each" if limit else "as long as they need"))
    thinking = spec.sampling.thinking_tokens
    if thinking is not None:
        facts.append(("Thinking", f"at most {thinking:,} tokens for each answer"))
    facts.append(("Tries", count_text(spec.retry.attempts, "time").replace("times", "times each")))
    facts.append(("Added", _moment(summary.created)))
    facts += [("Started", _moment(summary.started))] if summary.started is not None else []
    facts += [("Ended", _moment(summary.ended))] if summary.ended is not None else []
    return facts


def _documents(corpus: Corpus, set_id: int | None, set_name: Callable[[int], str]) -> str:
    number = corpus.set_id if corpus.set_id is not None else set_id
    name = set_name(number) if number is not None else ""
    lines = [f"The set “{name}”"] if name else []
    lines += [str(path) for path in corpus.files[:_FILES_SHOWN]]
    more = len(corpus.files) - _FILES_SHOWN
    lines += [f"… and {more:,} more"] if more > 0 else []
    return "\n".join(lines) or "A set that is gone"


def _no_model(job: Job) -> str:
    server = job.spec.engine.server
    return f"Server {server}" if server else "Whatever is loaded when its turn comes"


def _settings(settings: LlamaSettings) -> str:
    context = settings.context_tokens
    size = context_text(context) if context else "chosen to fit"
    return f"{settings.model_path.name}, context {size}, KV cache {settings.kv_type}"


def _schedule(schedule: Schedule) -> str:
    begin = schedule.not_before
    parts = ["now" if begin is None else f"not before {_moment(begin)}"]
    parts += ["when the machine is idle"] if schedule.when_idle else []
    parts += ["only on mains power"] if schedule.on_mains else []
    return ", ".join(parts)


def _moment(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))


def _count(tokens: int | None) -> str:
    return "–" if tokens is None else tokens_text(tokens)


def _fill(grid: QGridLayout, rows: list[tuple[str, str, str]] | list[Fact], tone: str) -> None:
    """Put rows of texts into a grid, in place of what is there; the first column is faint."""
    while (item := grid.takeAt(0)) is not None:
        widget = item.widget()
        if widget is not None:
            widget.hide()
            widget.deleteLater()
    for number, row in enumerate(rows):
        for column, text in enumerate(row):
            is_head = bool(tone) and number == 0
            label = Paragraph(text, tone=tone if is_head else "" if column else "muted")
            if column == 0:
                label.setWordWrap(False)
                label.setText(
                    label.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, 150)
                )
                label.setToolTip(plain_tip(text))
            grid.addWidget(label, number, column, Qt.AlignmentFlag.AlignTop)
