"""What is left of a real vLLM when its owner, its guard or it itself is killed: nothing.

Of each state several are brought there at the same time, because most of a start is one
processor loading Python modules.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from household import (
    Homes,
    ask_to_unload,
    homes,
    kill_owner_and_guard,
    kill_the_engine,
    kill_the_guard,
    kill_the_owner,
)
from support.tiny_checkpoint import write_tiny_checkpoint

from m1desk.engines.environments.values import EngineEnvironment

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture
def household(cpu_vllm: EngineEnvironment, tmp_path: Path) -> Iterator[Homes]:
    model = write_tiny_checkpoint(tmp_path / "tiny")
    with homes(tmp_path, str(cpu_vllm.python), model) as made:
        yield made


def test_nothing_is_left_of_a_start(household: Homes) -> None:
    asked = household.start("starting", "one_process")
    owner = household.start("starting", "one_process")
    guard = household.start("starting", "one_process")
    engine = household.start("starting", "several")
    ask_to_unload(asked)
    kill_the_owner(owner)
    kill_the_guard(guard)
    kill_the_engine(engine)


def test_nothing_is_left_of_an_idle_engine(household: Homes) -> None:
    owner = household.start("idle", "one_process")
    guard = household.start("idle", "several")
    engine = household.start("idle", "one_process")
    both = household.start("idle", "several")
    kill_the_owner(owner)
    kill_the_guard(guard)
    kill_the_engine(engine)
    record = kill_owner_and_guard(both)
    assert both.shared <= {one.name for one in record.belongings.segments}
    assert both.shared, "this vLLM shares no memory: the tests of what it leaves test nothing"


def test_nothing_is_left_of_an_engine_that_writes(household: Homes) -> None:
    asked = household.start("streaming", "one_process")
    owner = household.start("streaming", "one_process")
    guard = household.start("streaming", "one_process")
    engine = household.start("streaming", "several")
    ask_to_unload(asked)
    kill_the_owner(owner)
    kill_the_guard(guard)
    kill_the_engine(engine)
