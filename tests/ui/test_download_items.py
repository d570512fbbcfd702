"""A download in words: states, figures, what can be done, and time left written calmly."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from m1desk.errors import BadInput, HubError
from m1desk.models import Download, DownloadFailure, DownloadFile, DownloadState
from m1desk.ui.viewmodels.download_items import (
    Start,
    item_of_download,
    item_of_start,
    time_left_text,
)

GIB = 1 << 30
DOWNLOAD = Download(
    id=7,
    repo_id="me/big",
    commit="0" * 40,
    title="me/big · Q4_K_M",
    endpoint="https://huggingface.co",
    folder=Path("/models/me/big"),
    files=(
        DownloadFile("big-00001-of-00002.gguf", 3 * GIB),
        DownloadFile("big-00002-of-00002.gguf", GIB),
    ),
    state=DownloadState.DOWNLOADING,
    bytes_done=GIB,
    bytes_per_second=50.0 * (1 << 20),
    seconds_left=61.0,
)


def test_a_split_model_on_its_way_is_one_item() -> None:
    item = item_of_download(DOWNLOAD)
    assert item.title == "me/big · Q4_K_M"
    assert item.state == "Downloading"
    assert item.figures == "1.0 of 4.0 GiB (25 %) · 50.0 MiB/s · 1 min left"
    assert item.fraction == 0.25
    assert item.actions == ("pause", "show", "cancel")
    assert item.main_path is None


def test_verifying_counts_what_was_verified() -> None:
    item = item_of_download(
        replace(DOWNLOAD, state=DownloadState.VERIFYING, bytes_done=4 * GIB, bytes_verified=GIB)
    )
    assert (item.state, item.figures, item.fraction) == (
        "Verifying",
        "1.0 of 4.0 GiB verified",
        0.25,
    )


def test_a_finished_one_can_be_loaded_and_a_checkpoint_only_shown() -> None:
    done = replace(DOWNLOAD, state=DownloadState.DONE, bytes_done=4 * GIB)
    item = item_of_download(done)
    assert item.actions == ("load", "show", "remove")
    assert item.main_path == Path("/models/me/big/big-00001-of-00002.gguf")
    assert (item.figures, item.fraction) == ("4.00 GiB in 2 files", None)
    checkpoint = replace(done, files=(DownloadFile("model.safetensors", GIB),))
    assert item_of_download(checkpoint).actions == ("show", "remove")


def test_waiting_before_another_try_says_for_what() -> None:
    item = item_of_download(replace(DOWNLOAD, note="The hub has a fault. Trying again in 5 s."))
    assert (item.state, item.note) == (
        "Waiting to try again",
        "The hub has a fault. Trying again in 5 s.",
    )
    assert not item.is_failed


@pytest.mark.parametrize(
    ("kind", "setting"),
    [
        ("unauthorized", "token"),
        ("gated", "token"),
        ("forbidden", "token"),
        ("not_found", "token"),
        ("offline", "offline"),
        ("disk_full", None),
        ("checksum", None),
    ],
)
def test_a_failure_leads_to_the_setting_that_is_in_its_way(kind: str, setting: str | None) -> None:
    failure = DownloadFailure(kind, "It failed.", "For a reason.", "Do this.")
    item = item_of_download(replace(DOWNLOAD, state=DownloadState.FAILED, failure=failure))
    assert item.note == "It failed. For a reason. Do this."
    assert item.setting == setting
    assert "retry" in item.actions
    assert "cancel" in item.actions


def test_a_start_that_failed_can_be_tried_again_or_taken_off() -> None:
    start = Start(-1, "me/big", "Q4_K_M")
    assert item_of_start(start).state == "Asking the hub"
    refused = item_of_start(replace(start, failure=BadInput("Too large.")))
    assert (refused.state, refused.actions) == ("Not started", ("retry", "remove"))
    gated = item_of_start(replace(start, failure=HubError("Gated.", kind="gated")))
    assert gated.setting == "token"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "a few seconds left"),
        (42.0, "40 s left"),
        (180.0, "3 min left"),
        (7800.0, "2 h 10 min left"),
        (400_000.0, "5 days left"),
    ],
)
def test_time_left_is_written_calmly(seconds: float, text: str) -> None:
    assert time_left_text(seconds) == text
