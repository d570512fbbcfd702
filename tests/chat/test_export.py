"""Exports: a page to read and a document to read again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from m1desk.chat import MessageStats, export_json, export_markdown
from m1desk.engines.turn import SamplingParameters
from m1desk.errors import BadInput

if TYPE_CHECKING:
    from m1desk.chat import ConversationStore


@pytest.fixture
def conversation_id(store: ConversationStore) -> int:
    conversation = store.create(
        "Étude", system_prompt="Be brief.", sampling=SamplingParameters(seed=3, stop=("X",))
    )
    question = store.append(conversation.id, "user", "What is **this**?")
    store.append(conversation.id, "assistant", "An older answer", model="tiny")
    broken = store.append(
        conversation.id, "assistant", "", after_id=question.id, model="tiny", state="streaming"
    )
    store.update_answer(
        broken.id,
        content="```python\nprint()\n```",
        reasoning="Let me see.",
        state="interrupted",
        error="The engine died.\n\nLoad it again.",
        stats=MessageStats(1200, 30, time_to_first_token=0.5, tokens_per_second=12.34),
    )
    return conversation.id


def test_markdown_has_the_active_branch_with_all_that_belongs_to_it(
    store: ConversationStore, conversation_id: int
) -> None:
    text = export_markdown(store, conversation_id)
    assert text.startswith("# Étude\n")
    order = [
        "## System\n\nBe brief.",
        "## You\n",
        "What is **this**?",
        "## Assistant\n",
        "· tiny*",
        "<details>\n<summary>Thinking</summary>\n\nLet me see.\n\n</details>",
        "```python\nprint()\n```",
        "> **This answer was interrupted.** The engine died. Load it again.",
        "1,200 prompt tokens · 30 completion tokens · 0.50 s to first token · 12.3 tok/s",
    ]
    places = [text.index(part) for part in order]
    assert places == sorted(places)
    assert "An older answer" not in text


def test_json_has_every_branch_and_can_be_read_again(
    store: ConversationStore, conversation_id: int
) -> None:
    document = json.loads(export_json(store, conversation_id))
    assert (document["format"], document["version"]) == ("m1desk-conversation", 1)
    assert (document["title"], document["system_prompt"]) == ("Étude", "Be brief.")
    assert document["sampling"] == {"seed": 3, "stop": ["X"]}
    assert len(document["messages"]) == 3
    copy = store.create(document["title"])
    ids: dict[int | None, int | None] = {None: None}
    for record in document["messages"]:
        parent = ids[record["parent_id"]]
        stats = record["stats"] and MessageStats(**record["stats"])
        made = store.append(
            copy.id,
            record["role"],
            record["content"],
            after_id=parent,
            as_first=parent is None,
            reasoning=record["reasoning"],
            state=record["state"],
            model=record["model"],
            stats=stats,
        )
        ids[record["id"]] = made.id
    assert [ids[number] for number in document["active_path"]] == [
        message.id for message in store.path(copy.id)
    ]
    originals = store.all_messages(conversation_id)
    for original, made in zip(originals, store.all_messages(copy.id), strict=True):
        assert (original.content, original.stats) == (made.content, made.stats)
        assert (original.sibling_index, original.sibling_count) == (
            made.sibling_index,
            made.sibling_count,
        )


def test_a_conversation_that_is_gone_is_said_so(store: ConversationStore) -> None:
    for export in (export_markdown, export_json):
        with pytest.raises(BadInput, match="does not exist"):
            export(store, 404)
