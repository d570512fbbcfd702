"""A real database and the conversations in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from m1desk.chat import ConversationStore
from m1desk.store import Database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database(tmp_path / "chat.db") as database:
        yield database


@pytest.fixture
def store(database: Database) -> ConversationStore:
    return ConversationStore(database)
