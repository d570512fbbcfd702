"""Bytes, tokens, seconds and speeds as short text for people."""

from __future__ import annotations

from typing import Final

_BINARY: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def bytes_text(count: float) -> str:
    """Write a number of bytes with three significant digits: "257.9 GiB", "640 MiB"."""
    value, unit = float(count), _BINARY[0]
    for unit in _BINARY:
        if abs(value) < 1024 or unit == _BINARY[-1]:
            break
        value /= 1024
    if unit == "B" or value >= 1000:
        return f"{value:.0f} {unit}"
    return f"{value:.1f} {unit}" if value >= 10 else f"{value:.2f} {unit}"


def bytes_pair(used: float, total: float) -> str:
    """Write "12.1 of 23.4 GiB": both in the unit of the total."""
    value, power = float(total), 0
    while value >= 1024 and power < len(_BINARY) - 1:
        value /= 1024
        power += 1
    return f"{used / 1024**power:.1f} of {value:.1f} {_BINARY[power]}"


def tokens_text(count: int) -> str:
    """Write a number of tokens with separators: "8,192"."""
    return f"{count:,}"


def short_count(count: float) -> str:
    """Write a large number shortly: "456.1B", "7.6M", "8.2K"."""
    for limit, suffix in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K")):
        if count >= limit:
            return f"{count / limit:.1f}{suffix}"
    return f"{count:.0f}"


def context_text(tokens: int) -> str:
    """Write a context length the way models are named: "32K", "1M", "8,000"."""
    for unit, suffix in ((1 << 20, "M"), (1 << 10, "K")):
        if tokens >= unit and tokens % unit == 0:
            return f"{tokens // unit:,}{suffix}"
    return f"{tokens:,}"


def speed_text(tokens_per_second: float | None) -> str:
    """Write a speed in tokens per second: "42.1 tok/s", or a dash where none is known."""
    if tokens_per_second is None:
        return "–"
    digits = 0 if tokens_per_second >= 100 else 1 if tokens_per_second >= 1 else 2
    return f"{tokens_per_second:,.{digits}f} tok/s"


def seconds_text(seconds: float | None) -> str:
    """Write a duration: "0.42 s", "12.3 s", "4 min 05 s", "2 h 10 min"; a dash for None."""
    if seconds is None:
        return "–"
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def loading_text(fraction: float, stage: str) -> str:
    """Write how far a load is, and what is being done where that is said."""
    share = percent_text(fraction)
    return f"{share} · {stage}" if stage else share


def percent_text(fraction: float) -> str:
    """Write a fraction of 0.0 to 1.0 as a whole percentage that says 100 only when done."""
    return f"{min(int(fraction * 100), 100)} %"
