"""A hub of our own on this machine for a test, and huggingface_hub allowed to reach it.

Registered as a plugin by tests/conftest.py: a test asks for it by naming `hub_server`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.hub_server import HubServer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def hub_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    # Not imported above: when a library is imported, it reads what tests/conftest.py sets.
    from huggingface_hub import close_session, constants  # noqa: PLC0415

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    with HubServer() as server:
        yield server
        close_session()
