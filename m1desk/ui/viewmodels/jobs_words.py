"""Jobs in words: what a job does, how it is, how far it is, and what it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from m1desk.ui.units import seconds_text, short_count, speed_text, tokens_text

if TYPE_CHECKING:
    from m1desk.jobs.values import (
        JobEstimate,
        JobKind,
        JobProgress,
        JobState,
        JobStepProgress,
        JobSummary,
        StepKind,
        StepState,
    )

KINDS: Final[dict[JobKind, str]] = {
    "questions": "Questions",
    "table": "Table",
    "passes": "Several passes",
    "prompt": "Prompt",
    "benchmark": "Benchmark",
}

KIND_MEANINGS: Final[dict[JobKind, str]] = {
    "questions": "Each question is asked of all documents together. They are read once.",
    "table": "Each question is asked of each document alone. The answers are a table: a row a "
    "document, a column a question.",
    "passes": "For documents larger than the context: they are asked part by part, and the answers "
    "are combined with their quotes.",
    "prompt": "Each question is sent as a chat, without documents.",
    "benchmark": "Measures how fast the model reads and writes on this computer.",
}

STATES: Final[dict[JobState, tuple[str, str, str]]] = {
    "running": ("Running", "play", "accent"),
    "waiting": ("Waiting", "clock", "text_muted"),
    "paused": ("Paused", "pause", "warning"),
    "failed": ("Stopped by a problem", "alert", "danger"),
    "done": ("Done", "check", "success"),
    "cancelled": ("Cancelled", "close", "text_faint"),
}
"""A word, an icon, and the name of a colour of the palette for each state."""

STEP_KINDS: Final[dict[StepKind, str]] = {
    "read": "Read the files",
    "ask": "Ask",
    "combine": "Combine the answers",
    "chat": "Send the prompt",
    "measure": "Measure",
}

STEP_STATES: Final[dict[StepState, tuple[str, str, str]]] = {
    "waiting": ("Waiting", "clock", "text_faint"),
    "running": ("Running", "play", "accent"),
    "done": ("Done", "check", "success"),
    "failed": ("Failed", "alert", "danger"),
}

_SEPARATOR: Final = " · "


def state_words(summary: JobSummary) -> str:
    """Say how a job is: its state, and what it waits for or how it went."""
    words = STATES[summary.state][0]
    if summary.state in {"waiting", "paused"} and summary.note:
        return summary.note[0].upper() + summary.note[1:]
    if summary.state == "failed" and summary.problem is not None:
        return summary.problem.what
    return words


def steps_text(progress: JobProgress) -> str:
    """Write how many steps are done, "" while their number is unknown."""
    if not progress.steps_total:
        return ""
    return f"{progress.steps_done:,} of {progress.steps_total:,} steps"


def fraction_of(progress: JobProgress, step: JobStepProgress | None = None) -> float | None:
    """How much of a job's steps is done, from 0 to 1; None while their number is unknown.

    The running step counts by the share of its prompt that is read, and never as a whole one.
    """
    if not progress.steps_total:
        return None
    done = float(progress.steps_done)
    if step is not None and step.total > 0:
        done += min(1.0, step.done / step.total) * 0.99
    return min(1.0, done / progress.steps_total)


def step_line(step: JobStepProgress, steps_total: int) -> str:
    """Write what the running step does: "Step 3 of 12 · Asking contract.pdf"."""
    place = f"Step {step.step:,} of {steps_total:,}" if steps_total else f"Step {step.step:,}"
    return _SEPARATOR.join(part for part in (place, step.words) if part)


def reading_line(step: JobStepProgress) -> str:
    """Write how far the running step has read, how fast, and how long the job still takes."""
    parts = []
    if step.total:
        parts.append(f"{tokens_text(step.done)} of {tokens_text(step.total)} tokens read")
    if step.tokens_per_second is not None:
        parts.append(speed_text(step.tokens_per_second))
    if step.eta_seconds is not None:
        parts.append(f"about {rough(step.eta_seconds)} left")
    return _SEPARATOR.join(parts)


def row_details(summary: JobSummary, step: JobStepProgress | None) -> str:
    """Write the second line of a job in the list."""
    if summary.state == "running":
        parts = [state_words(summary), steps_text(summary.progress)]
        if step is not None and step.eta_seconds is not None:
            parts.append(f"{rough(step.eta_seconds)} left")
    elif summary.state == "done":
        parts = [state_words(summary), seconds_text(summary.progress.seconds)]
    elif summary.state in {"paused", "cancelled"}:
        parts = [state_words(summary), steps_text(summary.progress)]
    else:
        parts = [state_words(summary)]
    return _SEPARATOR.join([*(part for part in parts if part), KINDS[summary.kind]])


def rough(seconds: float) -> str:
    """Write a time that is only an estimate: "40 s", "12 min", "2 h 10 min"."""
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    if hours >= 24:
        days, hours = divmod(hours, 24)
        return f"{days} d {hours} h"
    return f"{hours} h {rest:02d} min" if rest else f"{hours} h"


def time_range(seconds: tuple[float, float]) -> str:
    """Write a predicted time: "2–5 min", "50 s – 3 min"."""
    return _joined(rough(min(seconds)), rough(max(seconds)))


def energy_range(watt_hours: tuple[float, float]) -> str:
    """Write a predicted energy: "12–20 Wh", "1.2–2.4 kWh"."""
    return _joined(energy_text(min(watt_hours)), energy_text(max(watt_hours)))


def energy_text(watt_hours: float) -> str:
    """Write an energy: "0.4 Wh", "12 Wh", "1.3 kWh"."""
    if watt_hours >= 1000:
        return f"{watt_hours / 1000:.1f} kWh"
    return f"{watt_hours:.0f} Wh" if watt_hours >= 10 else f"{watt_hours:.1f} Wh"


def cost_range(usd: tuple[float, float]) -> str:
    """Write a predicted cost in dollars: "$0.02–0.05"; "under 1 cent" where it is."""
    low, high = min(usd), max(usd)
    if high < 0.01:
        return "under 1 cent"
    if f"{low:.2f}" == f"{high:.2f}":
        return f"${high:.2f}"
    return f"${low:.2f}–{high:.2f}"


def estimate_text(estimate: JobEstimate) -> str:
    """Write an estimate in one line, "" when nothing is known."""
    parts = []
    if estimate.seconds is not None:
        parts.append(time_range(estimate.seconds))
    if estimate.read_tokens is not None:
        parts.append(f"{short_count(estimate.read_tokens)} tokens to read")
    if estimate.watt_hours is not None:
        parts.append(energy_range(estimate.watt_hours))
    if estimate.usd is not None:
        parts.append(cost_range(estimate.usd))
    return _SEPARATOR.join(parts)


def _joined(low: str, high: str) -> str:
    """Write a range, the unit once where both have the same."""
    if low == high:
        return low
    low_value, _, low_unit = low.partition(" ")
    _, _, high_unit = high.partition(" ")
    if low_unit == high_unit and " " not in high_unit:
        return f"{low_value}–{high}"
    return f"{low} – {high}"
