"""Conversations: made, listed, branched, searched, deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from m1desk.chat import (
    DEFAULT_TITLE,
    ConversationStore,
    MessageStats,
    sampling_from_mapping,
    sampling_to_mapping,
)
from m1desk.chat.conversations import title_from
from m1desk.engines.turn import SamplingParameters
from m1desk.errors import BadInput

if TYPE_CHECKING:
    from m1desk.store import Database


def texts(store: ConversationStore, conversation_id: int) -> list[str]:
    return [message.content for message in store.path(conversation_id)]


def test_a_conversation_comes_back_as_it_was_made(store: ConversationStore) -> None:
    sampling = SamplingParameters(temperature=0.3, top_k=5, stop=("END",))
    made = store.create("Plans", system_prompt="Be brief.", sampling=sampling)
    assert store.get(made.id) == made
    assert (made.title, made.system_prompt, made.sampling) == ("Plans", "Be brief.", sampling)
    assert made.leaf_id is None
    assert store.path(made.id) == ()


def test_conversations_are_listed_by_last_use(database: Database) -> None:
    moments = iter(range(1, 100))
    store = ConversationStore(database, clock=lambda: float(next(moments)))
    first, second, third = store.create("1"), store.create("2"), store.create("3")
    store.append(first.id, "user", "hello")
    store.rename(second.id, "renamed, which is no use")
    listed = store.list_conversations()
    assert [conversation.id for conversation in listed] == [first.id, third.id, second.id]
    assert [conversation.id for conversation in store.list_conversations(1)] == [first.id]


def test_the_first_question_gives_the_title(store: ConversationStore) -> None:
    conversation = store.create()
    assert conversation.title == DEFAULT_TITLE
    store.append(conversation.id, "user", "What is a\nKV cache?")
    store.append(conversation.id, "user", "And another thing")
    assert store.get(conversation.id).title == "What is a"


def test_a_title_of_ones_own_stays(store: ConversationStore) -> None:
    conversation = store.create()
    renamed = store.rename(conversation.id, "  My \n title ")
    store.append(conversation.id, "user", "What is a KV cache?")
    assert store.get(conversation.id).title == renamed.title == "My title"
    with pytest.raises(BadInput, match="needs a title"):
        store.rename(conversation.id, "  \n")


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("Short", "Short"),
        ("\n\n# Heading\nrest", "Heading"),
        ("```\n", DEFAULT_TITLE),
        ("", DEFAULT_TITLE),
        ("word " * 30, "word word word word word word word word word word word…"),
        ("x" * 100, "x" * 59 + "…"),
    ],
)
def test_titles_are_short_lines(text: str, title: str) -> None:
    assert title_from(text) == title


def test_system_prompt_and_sampling_can_be_changed(store: ConversationStore) -> None:
    conversation = store.create()
    store.set_system_prompt(conversation.id, "New")
    changed = store.set_sampling(conversation.id, SamplingParameters(seed=7))
    assert changed.system_prompt == "New"
    assert changed.sampling == SamplingParameters(seed=7)


def test_messages_follow_each_other(store: ConversationStore) -> None:
    conversation = store.create()
    question = store.append(conversation.id, "user", "Q")
    stats = MessageStats(10, 20, 5, 0.5, 12.5, 100.0, "stop")
    answer = store.append(
        conversation.id, "assistant", "A", reasoning="hm", model="M1", stats=stats
    )
    assert store.path(conversation.id) == (question, answer)
    assert answer.parent_id == question.id
    assert answer.stats == stats
    assert answer.reasoning == "hm"
    assert store.get(conversation.id).model == "M1"
    assert store.get(conversation.id).leaf_id == answer.id


def test_the_newest_messages_load_first_and_earlier_ones_on_demand(
    store: ConversationStore,
) -> None:
    conversation = store.create()
    for number in range(10):
        store.append(conversation.id, "user", str(number))
    newest = store.path(conversation.id, limit=4)
    assert [message.content for message in newest] == ["6", "7", "8", "9"]
    earlier = store.path(conversation.id, limit=4, before_id=newest[0].id)
    assert [message.content for message in earlier] == ["2", "3", "4", "5"]
    first = store.path(conversation.id, limit=4, before_id=earlier[0].id)
    assert [message.content for message in first] == ["0", "1"]
    assert store.path(conversation.id, before_id=first[0].id) == ()


def branched(store: ConversationStore) -> tuple[int, list[int]]:
    """Q -> A1 -> F1, and Q -> A2; A2 is active."""
    conversation = store.create()
    question = store.append(conversation.id, "user", "Q")
    one = store.append(conversation.id, "assistant", "A1")
    follow = store.append(conversation.id, "user", "F1")
    two = store.append(conversation.id, "assistant", "A2", after_id=question.id)
    return conversation.id, [question.id, one.id, follow.id, two.id]


def test_branches_are_told_apart_and_switched(store: ConversationStore) -> None:
    conversation_id, (_, one, follow, two) = branched(store)
    assert texts(store, conversation_id) == ["Q", "A2"]
    assert (store.message(two).sibling_index, store.message(two).sibling_count) == (1, 2)
    assert store.siblings(two) == store.siblings(one) == (one, two)
    store.switch_branch(one)
    assert texts(store, conversation_id) == ["Q", "A1", "F1"]
    assert store.path(conversation_id)[1].sibling_index == 0
    store.switch_branch(one)
    assert store.get(conversation_id).leaf_id == follow


def test_switching_to_a_message_in_view_changes_nothing(store: ConversationStore) -> None:
    _, (question, _, _, two) = branched(store)
    assert store.switch_branch(question).leaf_id == two


def test_first_messages_can_have_alternatives(store: ConversationStore) -> None:
    conversation = store.create()
    other = store.create()
    store.append(other.id, "user", "elsewhere")
    first = store.append(conversation.id, "user", "one")
    second = store.append(conversation.id, "user", "two", as_first=True)
    assert store.siblings(second.id) == (first.id, second.id)
    assert second.sibling_count == 2
    assert texts(store, conversation.id) == ["two"]


def test_deleting_a_message_takes_what_follows(store: ConversationStore) -> None:
    conversation_id, (question, one, follow, two) = branched(store)
    store.delete_message(two)
    assert texts(store, conversation_id) == ["Q", "A1", "F1"]
    store.delete_message(one)
    assert texts(store, conversation_id) == ["Q"]
    with pytest.raises(BadInput, match="does not exist"):
        store.message(follow)
    store.delete_message(question)
    assert store.get(conversation_id).leaf_id is None


def test_deleting_beside_the_active_branch_leaves_it(store: ConversationStore) -> None:
    conversation_id, (_, one, _, two) = branched(store)
    assert store.delete_message(one).leaf_id == two
    assert texts(store, conversation_id) == ["Q", "A2"]


def test_deleting_a_conversation_takes_its_messages(
    store: ConversationStore, database: Database
) -> None:
    conversation_id, _ = branched(store)
    store.delete(conversation_id)
    store.delete(conversation_id)
    assert database.query("SELECT * FROM messages") == []
    assert store.search("A1") == ()
    with pytest.raises(BadInput, match="does not exist"):
        store.get(conversation_id)


def test_long_conversations_load_and_can_be_deleted(
    store: ConversationStore, database: Database
) -> None:
    kept, gone = store.create("kept"), store.create("gone")
    with database.transaction():
        for conversation in (kept, gone):
            for number in range(3_000):
                store.append(conversation.id, "user", f"number {number}")
    assert len(store.path(kept.id)) == 3_000
    first = store.path(kept.id)[1]
    store.delete_message(first.id)
    assert texts(store, kept.id) == ["number 0"]
    store.delete(gone.id)
    assert database.query_one("SELECT count(*) FROM messages")[0] == 1
    assert len(store.search("number")) == 1
    check_index(database)


@pytest.mark.parametrize("method", ["path", "set_system_prompt", "rename", "append"])
def test_a_conversation_that_is_gone_is_said_so(store: ConversationStore, method: str) -> None:
    values = {"append": ("user", "x"), "path": ()}.get(method, ("x",))
    with pytest.raises(BadInput, match="does not exist"):
        getattr(store, method)(404, *values)


def test_a_message_of_another_conversation_is_no_parent(store: ConversationStore) -> None:
    one, two = store.create(), store.create()
    message = store.append(one.id, "user", "x")
    with pytest.raises(BadInput, match="another conversation"):
        store.append(two.id, "user", "y", after_id=message.id)


def test_unknown_parameters_of_a_newer_version_are_left_out(
    store: ConversationStore, database: Database
) -> None:
    conversation = store.create()
    database.execute("""UPDATE conversations SET sampling = '{"seed": 1, "future": 2}'""")
    assert store.get(conversation.id).sampling == SamplingParameters(seed=1)


def test_sampling_survives_the_settings_and_wrong_values_do_not() -> None:
    chosen = SamplingParameters(temperature=1, top_p=0.95, seed=3, stop=("a", "b"))
    assert sampling_from_mapping(sampling_to_mapping(chosen)) == chosen
    assert sampling_to_mapping(SamplingParameters()) == {}
    wrong = {"temperature": "hot", "top_k": 1.5, "seed": True, "stop": [1], "min_p": None}
    assert sampling_from_mapping({**wrong, "top_p": 0.5}) == SamplingParameters(top_p=0.5)


def test_answers_left_by_a_crash_are_marked(store: ConversationStore) -> None:
    conversation = store.create()
    store.append(conversation.id, "user", "Q")
    empty = store.append(conversation.id, "assistant", "", state="streaming")
    begun = store.append(conversation.id, "assistant", "Half an ans", state="streaming")
    done = store.append(conversation.id, "assistant", "Done")
    assert store.recover_interrupted() == 2
    assert store.message(empty.id).state == "failed"
    assert store.message(begun.id).state == "interrupted"
    assert "ended before" in store.message(begun.id).error
    assert store.message(done.id).state == "complete"
    assert store.recover_interrupted() == 0
    assert store.search("Half")[0].message_id == begun.id


def test_search_finds_words_in_titles_and_messages(store: ConversationStore) -> None:
    one = store.create("Lightning attention")
    other = store.create("Cooking")
    message = store.append(other.id, "user", "How does linear ATTENTION boil pasta?")
    store.append(one.id, "user", "nothing here")
    hits = store.search("attention")
    assert [(hit.conversation_id, hit.message_id) for hit in hits] == [
        (one.id, None),
        (other.id, message.id),
    ]
    for hit in hits:
        assert [hit.snippet[start:end].lower() for start, end in hit.marks] == ["attention"]
    assert hits[1].title == "Cooking"


def test_search_wants_all_words_and_takes_the_last_as_a_beginning(
    store: ConversationStore,
) -> None:
    conversation = store.create()
    store.append(conversation.id, "user", "The Größe of the naïve tensor in long-context mode")
    for found in ("grö", "grosse ten", "naive TENS", "tensor size", "long-con", "NAÏVE"):
        expected = 0 if found in {"grosse ten", "tensor size"} else 1
        messages = [hit for hit in store.search(found) if hit.message_id is not None]
        assert len(messages) == expected, found
    assert store.search("tens ") == ()


def check_index(database: Database) -> None:
    """Have SQLite compare its index of messages with the messages; raises StorageError."""
    database.execute(
        "INSERT INTO message_search(message_search, rank) VALUES ('integrity-check', 1)"
    )


def test_search_follows_changes(store: ConversationStore, database: Database) -> None:
    conversation = store.create("Old name")
    message = store.append(conversation.id, "assistant", "", state="streaming")
    store.update_answer(message.id, content="alpha", reasoning="", state="streaming")
    assert store.search("alpha") == ()
    store.update_answer(message.id, content="alpha beta", reasoning="", state="complete")
    store.update_answer(message.id, content="gamma", reasoning="", state="complete")
    store.rename(conversation.id, "New name")
    assert store.search("alpha") == store.search("Old") == ()
    check_index(database)
    assert len(store.search("gamma")) == len(store.search("New")) == 1
    store.delete_message(message.id)
    check_index(database)
    assert store.search("gamma") == ()


def test_search_reaches_other_branches(store: ConversationStore) -> None:
    conversation_id, (_, _, follow, _) = branched(store)
    (hit,) = store.search("F1")
    assert hit.message_id == follow
    store.switch_branch(follow)
    assert texts(store, conversation_id)[-1] == "F1"


def test_search_gives_no_more_than_asked(store: ConversationStore) -> None:
    conversation = store.create("word")
    for _ in range(5):
        store.append(conversation.id, "user", "word")
    assert len(store.search("word", limit=3)) == 3
    assert store.search("word", limit=0) == ()


@pytest.mark.parametrize(
    "query", ["", "   ", '"', "*", "NEAR(", "a AND", "(", "- -", "\0", "^", "{x}:", '" OR "', "'"]
)
def test_nothing_typed_is_taken_for_query_language(store: ConversationStore, query: str) -> None:
    conversation = store.create("b")
    store.append(conversation.id, "user", "a and b")
    assert isinstance(store.search(query), tuple)


def test_words_of_the_query_language_are_searched_as_words(store: ConversationStore) -> None:
    conversation = store.create()
    message = store.append(conversation.id, "user", 'salt AND "pepper" NOT (sugar)')
    for query in ("AND", 'not "pepper"', "salt* (sugar)"):
        assert message.id in [hit.message_id for hit in store.search(query)], query


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(query=st.text(max_size=30))
def test_any_query_gives_hits_or_none(store: ConversationStore, query: str) -> None:
    for hit in store.search(query):
        assert all(0 <= start < end <= len(hit.snippet) for start, end in hit.marks)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(words=st.lists(st.text("abcäß你ж12", min_size=1, max_size=8), min_size=1, max_size=5))
def test_a_text_is_found_by_its_own_words(store: ConversationStore, words: list[str]) -> None:
    conversation = store.create("title")
    message = store.append(conversation.id, "user", " ".join(words))
    hits = store.search(" ".join(words), limit=1_000)
    assert message.id in [hit.message_id for hit in hits]
    store.delete(conversation.id)
