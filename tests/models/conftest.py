"""A hub of our own on this machine, and huggingface_hub allowed to reach it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from huggingface_hub import close_session, constants
from support.hub_server import HubServer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def hub_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    with HubServer() as server:
        yield server
        close_session()
