"""The conversations in the database: trees of messages, of which one branch is active."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from m1desk.chat.records import (
    MESSAGE_COLUMNS,
    conversation_of,
    message_of,
    sampling_text,
    stats_text,
)
from m1desk.chat.search import search
from m1desk.chat.values import DEFAULT_TITLE
from m1desk.engines.turn import SamplingParameters
from m1desk.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable

    from m1desk.chat.values import Conversation, Message, MessageState, MessageStats, SearchHit
    from m1desk.engines.turn import Role
    from m1desk.store import Database

_TITLE_LENGTH: Final = 60
_NEVER_LIMITED: Final = -1

# From a message up to the root; `depth` restores the order that recursion doesn't promise.
_PATH: Final = f"""
    WITH RECURSIVE branch(id, parent_id, depth) AS (
        SELECT id, parent_id, 0 FROM messages WHERE id = ?
        UNION ALL
        SELECT p.id, p.parent_id, branch.depth + 1
        FROM branch JOIN messages p ON p.id = branch.parent_id
        LIMIT ?)
    SELECT {MESSAGE_COLUMNS} FROM branch JOIN messages m ON m.id = branch.id
    ORDER BY branch.depth DESC"""  # noqa: S608 - put together from constants

_NEWEST_BELOW: Final = """
    WITH RECURSIVE newest(id) AS (
        VALUES (?)
        UNION ALL
        SELECT (SELECT max(m.id) FROM messages m WHERE m.parent_id = newest.id)
        FROM newest WHERE newest.id IS NOT NULL)
    SELECT id FROM newest WHERE id IS NOT NULL ORDER BY id DESC LIMIT 1"""

_DELETE_BELOW: Final = """
    WITH RECURSIVE below(id) AS (
        VALUES (?)
        UNION ALL
        SELECT m.id FROM below JOIN messages m ON m.parent_id = below.id)
    DELETE FROM messages WHERE id IN (SELECT id FROM below)"""

_CRASHED: Final = (
    "M1 Desk ended before this answer was complete.\n"
    "\n"
    "What had arrived is kept; regenerate the answer, or go on from here."
)


class ConversationStore:
    """Conversations and their messages; every method may raise StorageError.

    A message's parent is the one it answers or follows; alternatives (edited or regenerated
    ones) share a parent. The active branch runs from the conversation's `leaf_id` to its root.
    """

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    def create(
        self,
        title: str = "",
        *,
        system_prompt: str = "",
        sampling: SamplingParameters | None = None,
    ) -> Conversation:
        """Make an empty conversation; without a title the first user message gives it one."""
        now = self._clock()
        cursor = self._database.execute(
            "INSERT INTO conversations(title, title_is_automatic, created, updated,"
            " system_prompt, sampling) VALUES (?, ?, ?, ?, ?, ?)",
            (
                title or DEFAULT_TITLE,
                not title,
                now,
                now,
                system_prompt,
                sampling_text(sampling or SamplingParameters()),
            ),
        )
        return self.get(cursor.lastrowid or 0)

    def list_conversations(self, limit: int | None = None) -> tuple[Conversation, ...]:
        """All conversations, or the `limit` used last; most recently used first."""
        rows = self._database.query(
            "SELECT * FROM conversations ORDER BY updated DESC, id DESC LIMIT ?",
            (_NEVER_LIMITED if limit is None else limit,),
        )
        return tuple(conversation_of(row) for row in rows)

    def get(self, conversation_id: int) -> Conversation:
        """One conversation; raises BadInput when there is none of that id."""
        row = self._database.query_one(
            "SELECT * FROM conversations WHERE id = ?", (conversation_id,)
        )
        if row is None:
            raise BadInput("This conversation does not exist any more.")
        return conversation_of(row)

    def message(self, message_id: int) -> Message:
        """One message; raises BadInput when there is none of that id."""
        row = self._database.query_one(
            f"SELECT {MESSAGE_COLUMNS} FROM messages m WHERE m.id = ?",  # noqa: S608 - constants
            (message_id,),
        )
        if row is None:
            raise BadInput("This message does not exist any more.")
        return message_of(row)

    def path(
        self, conversation_id: int, limit: int | None = None, before_id: int | None = None
    ) -> tuple[Message, ...]:
        """Messages of the active branch, oldest first.

        Args:
            conversation_id: whose.
            limit: how many at most, the newest; None for all.
            before_id: only those before this message of the branch, to load earlier ones.
        """
        leaf_id = self.get(conversation_id).leaf_id
        if before_id is not None:
            leaf_id = self.message(before_id).parent_id
        return () if leaf_id is None else self.path_to(leaf_id, limit)

    def path_to(self, message_id: int, limit: int | None = None) -> tuple[Message, ...]:
        """Messages from the root to `message_id`, oldest first, or the `limit` last of them."""
        count = _NEVER_LIMITED if limit is None else limit
        return tuple(message_of(row) for row in self._database.query(_PATH, (message_id, count)))

    def all_messages(self, conversation_id: int) -> tuple[Message, ...]:
        """Messages of every branch, parents before what follows them."""
        rows = self._database.query(
            f"SELECT {MESSAGE_COLUMNS} FROM messages m"  # noqa: S608 - constants
            " WHERE m.conversation_id = ? ORDER BY m.id",
            (conversation_id,),
        )
        return tuple(message_of(row) for row in rows)

    def siblings(self, message_id: int) -> tuple[int, ...]:
        """Ids of the alternatives to a message, itself among them, oldest first."""
        message = self.message(message_id)
        rows = self._database.query(
            "SELECT id FROM messages WHERE parent_id IS ? AND conversation_id = ? ORDER BY id",
            (message.parent_id, message.conversation_id),
        )
        return tuple(row["id"] for row in rows)

    def rename(self, conversation_id: int, title: str) -> Conversation:
        """Give a title; an empty one raises BadInput."""
        clean = " ".join(title.split())
        if not clean:
            raise BadInput("A conversation needs a title.", "", "Type at least one character.")
        self._change(conversation_id, "title = ?, title_is_automatic = 0", clean)
        return self.get(conversation_id)

    def set_system_prompt(self, conversation_id: int, system_prompt: str) -> Conversation:
        """Set what the model is told before the conversation; it counts from the next turn."""
        self._change(conversation_id, "system_prompt = ?", system_prompt)
        return self.get(conversation_id)

    def set_sampling(self, conversation_id: int, sampling: SamplingParameters) -> Conversation:
        """Set how answers are sampled, from the next turn on."""
        self._change(conversation_id, "sampling = ?", sampling_text(sampling))
        return self.get(conversation_id)

    def delete(self, conversation_id: int) -> None:
        """Delete a conversation with all its messages; one that is gone is no error."""
        self._database.execute("DELETE FROM conversations WHERE id = ?", (conversation_id,))

    def append(
        self,
        conversation_id: int,
        role: Role,
        content: str,
        *,
        after_id: int | None = None,
        as_first: bool = False,
        reasoning: str = "",
        state: MessageState = "complete",
        model: str = "",
        stats: MessageStats | None = None,
    ) -> Message:
        """Add a message and make it the end of the active branch.

        It follows `after_id`, or the active branch's end when that is None; `as_first` starts a
        new branch at the root instead. Raises BadInput when either does not exist.
        """
        with self._database.transaction():
            parent_id = self._parent(conversation_id, after_id, as_first=as_first)
            cursor = self._database.execute(
                "INSERT INTO messages(conversation_id, parent_id, role, content, reasoning,"
                " created, state, model, stats) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    conversation_id,
                    parent_id,
                    role,
                    content,
                    reasoning,
                    self._clock(),
                    state,
                    model,
                    stats_text(stats),
                ),
            )
            message = self.message(cursor.lastrowid or 0)
            self._touch(message)
        return message

    def update_answer(
        self,
        message_id: int,
        *,
        content: str,
        reasoning: str,
        state: MessageState,
        error: str = "",
        stats: MessageStats | None = None,
    ) -> Message:
        """Write what has arrived of an answer so far, or how it ended."""
        self._database.execute(
            "UPDATE messages SET content = ?, reasoning = ?, state = ?, error = ?, stats = ?"
            " WHERE id = ?",
            (content, reasoning, state, error, stats_text(stats), message_id),
        )
        return self.message(message_id)

    def delete_message(self, message_id: int) -> Conversation:
        """Delete a message with all that follows it, on every branch.

        If the active branch ran through it, the newest alternative becomes active, or else the
        branch ends before it.
        """
        with self._database.transaction():
            message = self.message(message_id)
            others = [other for other in self.siblings(message_id) if other != message_id]
            leaf_id = self.get(message.conversation_id).leaf_id
            was_active = leaf_id is not None and self._is_on_path(message_id, leaf_id)
            self._database.execute(_DELETE_BELOW, (message_id,))
            if was_active:
                end = self._newest_below(others[-1]) if others else message.parent_id
                self._change(message.conversation_id, "leaf_id = ?", end)
            return self.get(message.conversation_id)

    def switch_branch(self, message_id: int) -> Conversation:
        """Make the branch through `message_id` the active one, down to its newest end.

        Nothing changes when the active branch runs through it already.
        """
        with self._database.transaction():
            conversation_id = self.message(message_id).conversation_id
            leaf_id = self.get(conversation_id).leaf_id
            if leaf_id is None or not self._is_on_path(message_id, leaf_id):
                end = self._newest_below(message_id)
                self._change(conversation_id, "leaf_id = ?", end)
            return self.get(conversation_id)

    def search(self, query: str, limit: int = 50) -> tuple[SearchHit, ...]:
        """Find words in titles and messages of all conversations and branches, best first.

        All words must occur; the last one may be a beginning. Case and accents don't matter.
        """
        return search(self._database, query, limit)

    def recover_interrupted(self) -> int:
        """Mark answers that a crash left unfinished, and return how many; call once at start."""
        cursor = self._database.execute(
            "UPDATE messages SET error = ?, state = CASE WHEN content = '' AND reasoning = ''"
            " THEN 'failed' ELSE 'interrupted' END WHERE state = 'streaming'",
            (_CRASHED,),
        )
        return cursor.rowcount

    def _parent(self, conversation_id: int, after_id: int | None, *, as_first: bool) -> int | None:
        conversation = self.get(conversation_id)
        if as_first:
            return None
        if after_id is None:
            return conversation.leaf_id
        if self.message(after_id).conversation_id != conversation_id:
            raise BadInput("This message belongs to another conversation.")
        return after_id

    def _touch(self, message: Message) -> None:
        """Note in the conversation that `message` was added to it."""
        self._change(message.conversation_id, "leaf_id = ?", message.id)
        self._change(message.conversation_id, "updated = ?", message.created)
        if message.model:
            self._change(message.conversation_id, "model = ?", message.model)
        if message.role == "user":
            self._database.execute(
                "UPDATE conversations SET title = ?, title_is_automatic = 0"
                " WHERE id = ? AND title_is_automatic",
                (title_from(message.content), message.conversation_id),
            )

    def _change(self, conversation_id: int, assignment: str, value: str | float | None) -> None:
        cursor = self._database.execute(
            f"UPDATE conversations SET {assignment} WHERE id = ?",  # noqa: S608 - our own words
            (value, conversation_id),
        )
        if not cursor.rowcount:
            self.get(conversation_id)  # says that it is gone

    def _newest_below(self, message_id: int) -> int:
        row = self._database.query_one(_NEWEST_BELOW, (message_id,))
        return message_id if row is None else int(row["id"])

    def _is_on_path(self, message_id: int, leaf_id: int) -> bool:
        row = self._database.query_one(
            "WITH RECURSIVE branch(id, parent_id) AS ("
            " SELECT id, parent_id FROM messages WHERE id = ?"
            " UNION ALL SELECT p.id, p.parent_id FROM branch JOIN messages p"
            " ON p.id = branch.parent_id)"
            " SELECT 1 FROM branch WHERE id = ?",
            (leaf_id, message_id),
        )
        return row is not None


def title_from(text: str) -> str:
    """Make a title of a first message: its first line, cut at a word, 60 characters at most."""
    lines = (" ".join(line.split()) for line in text.splitlines())
    line = next((line.lstrip("#>*- ") for line in lines if line.strip("#>*-`~ ")), "")
    if not line:
        return DEFAULT_TITLE
    if len(line) <= _TITLE_LENGTH:
        return line
    cut = line[: _TITLE_LENGTH - 1]
    head, space, _ = cut.rpartition(" ")
    return (head if space and len(head) > _TITLE_LENGTH // 2 else cut) + "…"
