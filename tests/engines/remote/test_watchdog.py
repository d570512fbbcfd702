"""A silent answer is waited for while the server works, and given up when it does nothing."""

from __future__ import annotations

from contextlib import aclosing

import pytest
from support.lost_node import LostNode
from support.serving import serving

from m1desk.engines import ServerProfile, ServerSecrets, StallPatience, connect
from m1desk.engines.turn import ChatMessage, ChatRequest, TextDelta, TurnEvent, TurnFinished
from m1desk.errors import EngineStalled
from m1desk.store import Folders

HELLO = ChatRequest((ChatMessage("user", "hello"),))
IMPATIENT = StallPatience(
    first_seconds=2.0, silence_seconds=2.0, blind_seconds=2.0, look_seconds=0.2, answer_seconds=5.0
)


async def ask(node: LostNode, patience: StallPatience = IMPATIENT) -> list[TurnEvent]:
    with serving(node.app) as url:
        profile = ServerProfile("cluster", url)
        async with (
            connect(profile, ServerSecrets(), Folders.resolve(), patience=patience) as client,
            aclosing(client.stream_turn(HELLO)) as turn,
        ):
            return [event async for event in turn]


async def test_a_server_that_lost_a_node_in_mid_stream_is_told_from_a_slow_one() -> None:
    with pytest.raises(EngineStalled) as caught:
        await ask(LostNode())
    assert caught.value.what == "The engine has stopped working on the answer."
    assert "its counters say" in caught.value.why


async def test_the_counters_that_a_recipes_proxy_shows_are_looked_at() -> None:
    with pytest.raises(EngineStalled, match="its counters say"):
        await ask(LostNode(counters_at="/v1/metrics"))


async def test_a_long_prefill_that_makes_progress_is_no_stall() -> None:
    # silent for 25 looks, 5 seconds: longer than any of the limits
    events = await ask(LostNode(says=(), moves=True, goes_on_after=25))
    assert isinstance(events[-1], TurnFinished)


async def test_a_pause_in_mid_stream_while_the_counters_move_is_no_stall() -> None:
    events = await ask(LostNode(moves=True, goes_on_after=25))
    assert events[0] == TextDelta("Once")
    assert isinstance(events[-1], TurnFinished)


async def test_without_counters_a_long_prompt_is_waited_for() -> None:
    events = await ask(LostNode(says=(), shows_metrics=False, goes_on_after=25))
    assert isinstance(events[-1], TurnFinished)


async def test_without_counters_silence_after_the_first_word_counts_in_the_end() -> None:
    with pytest.raises(EngineStalled, match="shows no counters"):
        await ask(LostNode(shows_metrics=False))


async def test_a_server_that_a_proxy_can_no_longer_reach() -> None:
    with pytest.raises(EngineStalled, match="can't be reached any more"):
        await ask(LostNode(gone=True))


async def test_a_server_that_never_began_is_given_up_later() -> None:
    with pytest.raises(EngineStalled):
        await ask(LostNode(says=()))


def test_a_lost_node_is_told_within_twenty_seconds() -> None:
    usual = StallPatience()
    # the last sign of life, then at worst one look late, which is at worst answered late
    assert usual.silence_seconds + usual.look_seconds + usual.answer_seconds < 20
