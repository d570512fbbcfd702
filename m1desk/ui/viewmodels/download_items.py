"""A download as the list shows it: its state in words, its figures, and what can be done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from m1desk.errors import HubError
from m1desk.models import Download, DownloadState
from m1desk.ui.units import bytes_pair, bytes_text, percent_text, seconds_text

if TYPE_CHECKING:
    from pathlib import Path

    from m1desk.errors import M1DeskError

DownloadAction = Literal["pause", "resume", "retry", "load", "settings", "show", "cancel", "remove"]
"""`cancel` gives up what has arrived; `remove` takes a line off the list and no file away."""

HubPart = Literal["token", "offline"]
"""A setting of the hub that stands in the way of a download."""

_STATES: Final = {
    DownloadState.QUEUED: ("Waiting for its turn", "muted"),
    DownloadState.DOWNLOADING: ("Downloading", "muted"),
    DownloadState.VERIFYING: ("Verifying", "muted"),
    DownloadState.PAUSED: ("Paused", "warning"),
    DownloadState.DONE: ("Finished", "success"),
    DownloadState.FAILED: ("Failed", "danger"),
}
_ACTIONS: Final[dict[DownloadState, tuple[DownloadAction, ...]]] = {
    DownloadState.QUEUED: ("pause", "show", "cancel"),
    DownloadState.DOWNLOADING: ("pause", "show", "cancel"),
    DownloadState.VERIFYING: ("pause", "show", "cancel"),
    DownloadState.PAUSED: ("resume", "show", "cancel"),
    DownloadState.DONE: ("load", "show", "remove"),
    DownloadState.FAILED: ("retry", "show", "cancel"),
}
_TOKEN_KINDS: Final = frozenset({"unauthorized", "gated", "forbidden", "not_found"})
"""Refusals that an access token may lift: a private repository is "not found" to strangers."""


@dataclass(frozen=True, slots=True)
class DownloadItem:
    """One line of the list.

    Attributes:
        key: the download's number; below 0 while the hub is only asked about it.
        state, tone: a word for it, and the look of that word.
        figures: bytes, speed and time left, "" when there is nothing to count.
        fraction: how full its bar is, from 0 to 1; None for no bar.
        note: what it waits for, or what went wrong and what to do about it; "" for nothing.
        setting: of the hub that stands in the way, None when none does.
        folder: where its files are, None while that is open.
        main_path: the file to load, None while there is none.
        bytes_done: what giving it up would delete.
    """

    key: int
    title: str
    state: str
    tone: str
    actions: tuple[DownloadAction, ...]
    figures: str = ""
    fraction: float | None = None
    note: str = ""
    setting: HubPart | None = None
    folder: Path | None = None
    main_path: Path | None = None
    bytes_done: int = 0

    @property
    def is_failed(self) -> bool:
        """Whether its note tells of something wrong."""
        return self.tone == "danger"


@dataclass(frozen=True, slots=True)
class Start:
    """A wish for a variant that the hub is asked about; with `failure`, what came of it."""

    key: int
    repository: str
    variant_name: str
    failure: M1DeskError | None = None

    @property
    def title(self) -> str:
        """As the download will be called."""
        return f"{self.repository} · {self.variant_name}"


def item_of_start(start: Start) -> DownloadItem:
    """Show a wish that is no download yet."""
    if start.failure is None:
        return DownloadItem(start.key, start.title, "Asking the hub", "muted", ("remove",))
    kind = start.failure.kind if isinstance(start.failure, HubError) else ""
    setting = _setting(kind)
    return DownloadItem(
        start.key,
        start.title,
        "Not started",
        "danger",
        ("retry", "settings", "remove") if setting else ("retry", "remove"),
        note=str(start.failure),
        setting=setting,
    )


def item_of_download(download: Download) -> DownloadItem:
    """Show a download as it is now."""
    state = download.state
    word, tone = _STATES[state]
    actions = _ACTIONS[state]
    if state is DownloadState.DOWNLOADING and download.note:
        word = "Waiting to try again"
    if state is DownloadState.DONE and download.main_path.suffix.lower() != ".gguf":
        actions = ("show", "remove")
    setting = _setting(download.failure.kind) if download.failure else None
    if setting:
        actions = ("retry", "settings", "show", "cancel")
    return DownloadItem(
        download.id,
        download.title,
        word,
        tone,
        actions,
        figures=_figures(download),
        fraction=_fraction(download),
        note=str(download.failure) if download.failure else download.note,
        setting=setting,
        folder=download.folder,
        main_path=download.main_path if state is DownloadState.DONE else None,
        bytes_done=download.bytes_done,
    )


def time_left_text(seconds: float) -> str:
    """Write how long is left, calmly: "a few seconds left", "40 s left", "3 min left"."""
    if seconds < 10:
        return "a few seconds left"
    if seconds < 60:
        return f"{round(seconds / 10) * 10} s left"
    if seconds < 3600:
        return f"{round(seconds / 60)} min left"
    if seconds < 48 * 3600:
        return f"{seconds_text(seconds)} left"
    return f"{round(seconds / 86_400)} days left"


def _setting(kind: str) -> HubPart | None:
    if kind == "offline":
        return "offline"
    return "token" if kind in _TOKEN_KINDS else None


def _figures(download: Download) -> str:
    total = download.bytes_total
    if download.state is DownloadState.DONE:
        count = len(download.files)
        return bytes_text(total) if count == 1 else f"{bytes_text(total)} in {count} files"
    if download.state is DownloadState.VERIFYING:
        return f"{bytes_pair(download.bytes_verified, total)} verified"
    if download.state is DownloadState.FAILED and not download.bytes_done:
        return bytes_text(total)
    figures = [f"{bytes_pair(download.bytes_done, total)} ({percent_text(download.fraction)})"]
    if download.bytes_per_second is not None:
        figures.append(f"{bytes_text(download.bytes_per_second)}/s")
    if download.seconds_left is not None:
        figures.append(time_left_text(download.seconds_left))
    return " · ".join(figures)


def _fraction(download: Download) -> float | None:
    nothing = download.state is DownloadState.FAILED and not download.bytes_done
    if nothing or download.state is DownloadState.DONE:
        return None
    if download.state is DownloadState.VERIFYING and download.bytes_total:
        return download.bytes_verified / download.bytes_total
    return download.fraction
