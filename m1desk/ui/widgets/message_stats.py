"""The figures of an answer and of a prompt being read, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from m1desk.ui.units import seconds_text, speed_text, tokens_text

if TYPE_CHECKING:
    from m1desk.chat import MessageStats
    from m1desk.engines.turn import PrefillProgress

SEPARATOR = "  ·  "

_ENDINGS = {
    "length": "stopped at the token limit",
    "tool_calls": "asked for a tool",
}


def stats_text(stats: MessageStats) -> str:
    """Write one line: prompt and answer tokens, time to first token, speed."""
    prompt = f"{tokens_text(stats.prompt_tokens)} prompt"
    if stats.reused_tokens:
        prompt += f" ({tokens_text(stats.reused_tokens)} reused)"
    parts = [f"{prompt} + {tokens_text(stats.completion_tokens)} tokens"]
    if stats.time_to_first_token is not None:
        parts.append(f"first token {seconds_text(stats.time_to_first_token)}")
    if stats.tokens_per_second is not None:
        parts.append(speed_text(stats.tokens_per_second))
    if stats.finish_reason in _ENDINGS:
        parts.append(_ENDINGS[stats.finish_reason])
    return SEPARATOR.join(parts)


def stats_details(stats: MessageStats) -> str:
    """Write all figures, one a line, for a tooltip."""
    read = stats.prompt_tokens - stats.reused_tokens
    return "\n".join(
        (
            f"Prompt: {tokens_text(stats.prompt_tokens)} tokens",
            f"  read now: {tokens_text(read)}, reused: {tokens_text(stats.reused_tokens)}",
            f"  read at {speed_text(stats.prefill_tokens_per_second)}",
            f"Answer: {tokens_text(stats.completion_tokens)} tokens",
            f"  written at {speed_text(stats.tokens_per_second)}",
            f"Time to first token: {seconds_text(stats.time_to_first_token)}",
            f"Ended with: {stats.finish_reason or 'unknown'}",
        )
    )


def prefill_text(progress: PrefillProgress) -> str:
    """Write how far the prompt is read, how fast, and how long it will still take."""
    parts = [
        f"Reading the prompt: {tokens_text(progress.done)} of {tokens_text(progress.total)} tokens"
    ]
    if progress.reused:
        parts[0] += f" ({tokens_text(progress.reused)} reused)"
    speed = progress.tokens_per_second
    if speed > 0:
        parts.append(speed_text(speed))
        parts.append(f"about {_rough((progress.total - progress.done) / speed)} left")
    return SEPARATOR.join(parts)


def _rough(seconds: float) -> str:
    """Write a time that is only an estimate without decimals."""
    return f"{max(1, round(seconds))} s" if seconds < 60 else seconds_text(seconds)


def thought_text(seconds: float | None, *, running: bool) -> str:
    """Write the title of the thinking: while it runs, or how long it took (seconds)."""
    if running:
        return "Thinking…" if seconds is None or seconds < 1 else f"Thinking… {seconds:.0f} s"
    if seconds is None:
        return "Thoughts"
    return f"Thought for {_rough(seconds)}" if seconds >= 1 else "Thought for a moment"
