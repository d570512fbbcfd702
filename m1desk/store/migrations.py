"""The database's schema as numbered steps; a step that was released never changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Migration:
    """One step from schema `number - 1` to `number`, run in one transaction."""

    number: int
    purpose: str
    statements: tuple[str, ...]


_KEY_VALUE: Final = Migration(
    1,
    "settings and measurements",
    (
        "CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
        """CREATE TABLE measurements (
            key TEXT PRIMARY KEY, value TEXT NOT NULL, measured REAL NOT NULL) WITHOUT ROWID""",
    ),
)

_CONVERSATIONS: Final = Migration(
    2,
    "conversations as trees of messages",
    (
        # Deleting doesn't cascade from parent to child: SQLite stops cascades a thousand levels
        # deep, and a conversation may have ten thousand messages in a row.
        # AUTOINCREMENT: an id that was given away once never means another thing.
        """CREATE TABLE conversations (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            title TEXT NOT NULL,
            title_is_automatic INTEGER NOT NULL DEFAULT 1,
            created REAL NOT NULL,
            updated REAL NOT NULL,
            system_prompt TEXT NOT NULL DEFAULT '',
            sampling TEXT NOT NULL DEFAULT '{}',
            model TEXT NOT NULL DEFAULT '',
            leaf_id INTEGER)""",
        "CREATE INDEX conversations_by_use ON conversations(updated DESC, id DESC)",
        """CREATE TABLE messages (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            conversation_id INTEGER NOT NULL REFERENCES conversations(id) ON DELETE CASCADE,
            parent_id INTEGER REFERENCES messages(id),
            role TEXT NOT NULL,
            content TEXT NOT NULL,
            reasoning TEXT NOT NULL DEFAULT '',
            created REAL NOT NULL,
            state TEXT NOT NULL DEFAULT 'complete',
            error TEXT NOT NULL DEFAULT '',
            model TEXT NOT NULL DEFAULT '',
            stats TEXT)""",
        "CREATE INDEX messages_by_parent ON messages(parent_id, conversation_id, id)",
        "CREATE INDEX messages_by_conversation ON messages(conversation_id, id)",
        "CREATE INDEX messages_unfinished ON messages(id) WHERE state = 'streaming'",
    ),
)

# The index keeps no text of its own. An answer that is still being written is left out, so that
# saving it twice a second doesn't index it again each time.
_SEARCH: Final = Migration(
    3,
    "full-text search over messages and titles",
    (
        """CREATE VIRTUAL TABLE message_search USING fts5(
            content, content='messages', content_rowid='id',
            tokenize='unicode61 remove_diacritics 2', prefix='2 3')""",
        """CREATE TRIGGER messages_indexed AFTER INSERT ON messages
            WHEN new.state <> 'streaming' BEGIN
            INSERT INTO message_search(rowid, content) VALUES (new.id, new.content); END""",
        """CREATE TRIGGER messages_unindexed AFTER DELETE ON messages
            WHEN old.state <> 'streaming' BEGIN
            INSERT INTO message_search(message_search, rowid, content)
            VALUES ('delete', old.id, old.content); END""",
        # One trigger, because the order of several is not defined and the old text must go first.
        """CREATE TRIGGER messages_reindexed AFTER UPDATE OF content, state ON messages BEGIN
            INSERT INTO message_search(message_search, rowid, content)
            SELECT 'delete', old.id, old.content WHERE old.state <> 'streaming';
            INSERT INTO message_search(rowid, content)
            SELECT new.id, new.content WHERE new.state <> 'streaming'; END""",
        """CREATE VIRTUAL TABLE title_search USING fts5(
            title, content='conversations', content_rowid='id',
            tokenize='unicode61 remove_diacritics 2', prefix='2 3')""",
        """CREATE TRIGGER titles_indexed AFTER INSERT ON conversations BEGIN
            INSERT INTO title_search(rowid, title) VALUES (new.id, new.title); END""",
        """CREATE TRIGGER titles_unindexed AFTER DELETE ON conversations BEGIN
            INSERT INTO title_search(title_search, rowid, title)
            VALUES ('delete', old.id, old.title); END""",
        """CREATE TRIGGER titles_reindexed AFTER UPDATE OF title ON conversations BEGIN
            INSERT INTO title_search(title_search, rowid, title)
            VALUES ('delete', old.id, old.title);
            INSERT INTO title_search(rowid, title) VALUES (new.id, new.title); END""",
    ),
)

_DOWNLOADS: Final = Migration(
    4,
    "downloads that outlive the app",
    (
        # owner_pid and owner_started name the process that works on a download, so that another
        # one can tell whether it is still being worked on.
        """CREATE TABLE downloads (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            repo_id TEXT NOT NULL,
            commit_hash TEXT NOT NULL,
            title TEXT NOT NULL,
            endpoint TEXT NOT NULL,
            folder TEXT NOT NULL,
            state TEXT NOT NULL,
            failure TEXT,
            created REAL NOT NULL,
            owner_pid INTEGER,
            owner_started REAL)""",
        """CREATE TABLE download_files (
            download_id INTEGER NOT NULL REFERENCES downloads(id) ON DELETE CASCADE,
            position INTEGER NOT NULL,
            path TEXT NOT NULL,
            size_bytes INTEGER NOT NULL,
            sha256 TEXT NOT NULL,
            blob_id TEXT NOT NULL,
            done INTEGER NOT NULL DEFAULT 0,
            fetched INTEGER NOT NULL DEFAULT 0,
            PRIMARY KEY (download_id, position)) WITHOUT ROWID""",
    ),
)

_DOCUMENTS: Final = Migration(
    5,
    "sets of documents, their pages, and questions about them",
    (
        """CREATE TABLE document_sets (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            name TEXT NOT NULL UNIQUE,
            created REAL NOT NULL,
            updated REAL NOT NULL)""",
        # document is NULL for a file of which nothing could be read; its report says why. origin
        # tells a file that is read again: its path, and its name before it was made unique.
        """CREATE TABLE document_files (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            set_id INTEGER NOT NULL REFERENCES document_sets(id) ON DELETE CASCADE,
            position INTEGER NOT NULL,
            origin TEXT NOT NULL,
            included INTEGER NOT NULL,
            pages INTEGER NOT NULL,
            characters INTEGER NOT NULL,
            document TEXT,
            report TEXT NOT NULL)""",
        "CREATE INDEX document_files_of_set ON document_files(set_id, position)",
        """CREATE TABLE document_pages (
            file_id INTEGER NOT NULL REFERENCES document_files(id) ON DELETE CASCADE,
            number INTEGER NOT NULL,
            kind TEXT NOT NULL,
            label TEXT NOT NULL,
            content TEXT NOT NULL,
            PRIMARY KEY (file_id, number)) WITHOUT ROWID""",
        """CREATE TABLE document_questions (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            set_id INTEGER NOT NULL REFERENCES document_sets(id) ON DELETE CASCADE,
            asked REAL NOT NULL,
            question TEXT NOT NULL,
            answer TEXT NOT NULL DEFAULT '',
            reasoning TEXT NOT NULL DEFAULT '',
            state TEXT NOT NULL,
            error TEXT NOT NULL DEFAULT '',
            model TEXT NOT NULL DEFAULT '',
            text_sha256 TEXT NOT NULL,
            details TEXT NOT NULL DEFAULT '{}')""",
        "CREATE INDEX document_questions_of_set ON document_questions(set_id, id)",
        "CREATE INDEX document_questions_open ON document_questions(id) WHERE state = 'streaming'",
    ),
)

_JOBS: Final = Migration(
    6,
    "jobs, their steps, and what is said of them on the way",
    (
        # turn and place order the list: what runs, what waits (by priority), what is paused, then
        # what has ended, the newest first. The long texts come last, so that a list of jobs can be
        # read without them.
        """CREATE TABLE jobs (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            title TEXT NOT NULL,
            kind TEXT NOT NULL,
            state TEXT NOT NULL DEFAULT 'waiting',
            priority INTEGER NOT NULL,
            position INTEGER NOT NULL,
            created REAL NOT NULL,
            started REAL,
            ended REAL,
            not_before REAL,
            when_idle INTEGER NOT NULL,
            on_mains INTEGER NOT NULL,
            steps_done INTEGER NOT NULL DEFAULT 0,
            steps_total INTEGER NOT NULL DEFAULT 0,
            read_tokens INTEGER NOT NULL DEFAULT 0,
            reused_tokens INTEGER NOT NULL DEFAULT 0,
            written_tokens INTEGER NOT NULL DEFAULT 0,
            seconds REAL NOT NULL DEFAULT 0,
            note TEXT NOT NULL DEFAULT '',
            problem TEXT,
            turn INTEGER GENERATED ALWAYS AS (CASE state WHEN 'running' THEN 0
                WHEN 'waiting' THEN 1 WHEN 'paused' THEN 2 ELSE 3 END) VIRTUAL,
            place REAL GENERATED ALWAYS AS (CASE WHEN state IN ('running', 'waiting', 'paused')
                THEN -priority ELSE -coalesce(ended, 0) END) VIRTUAL,
            set_id INTEGER,
            model TEXT NOT NULL DEFAULT '',
            settings TEXT,
            estimate TEXT NOT NULL,
            spec TEXT NOT NULL)""",
        "CREATE INDEX jobs_in_order ON jobs(turn, place, position, id)",
        "CREATE INDEX jobs_by_state ON jobs(state)",
        "CREATE INDEX jobs_by_priority ON jobs(priority, position)",
        """CREATE TABLE job_steps (
            id INTEGER PRIMARY KEY,
            job_id INTEGER NOT NULL REFERENCES jobs(id) ON DELETE CASCADE,
            number INTEGER NOT NULL,
            kind TEXT NOT NULL,
            document TEXT NOT NULL,
            question TEXT NOT NULL,
            state TEXT NOT NULL DEFAULT 'waiting',
            attempts INTEGER NOT NULL DEFAULT 0,
            started REAL,
            ended REAL,
            problem TEXT,
            model TEXT NOT NULL DEFAULT '',
            text_sha256 TEXT NOT NULL DEFAULT '',
            answer TEXT,
            reasoning TEXT NOT NULL DEFAULT '',
            details TEXT NOT NULL DEFAULT '{}')""",
        "CREATE UNIQUE INDEX job_steps_of_job ON job_steps(job_id, number)",
        "CREATE INDEX job_steps_open ON job_steps(id) WHERE state = 'running'",
        """CREATE TABLE job_log (
            id INTEGER PRIMARY KEY,
            job_id INTEGER NOT NULL REFERENCES jobs(id) ON DELETE CASCADE,
            at REAL NOT NULL,
            text TEXT NOT NULL)""",
        "CREATE INDEX job_log_of_job ON job_log(job_id, id)",
    ),
)

_JOB_ENERGY: Final = Migration(
    7,
    "what jobs took of electricity, where it was measured",
    (
        "ALTER TABLE jobs ADD COLUMN joules REAL NOT NULL DEFAULT 0",
        "ALTER TABLE jobs ADD COLUMN metered_seconds REAL NOT NULL DEFAULT 0",
        "ALTER TABLE jobs ADD COLUMN power_source TEXT NOT NULL DEFAULT ''",
    ),
)

MIGRATIONS: Final = (
    _KEY_VALUE,
    _CONVERSATIONS,
    _SEARCH,
    _DOWNLOADS,
    _DOCUMENTS,
    _JOBS,
    _JOB_ENERGY,
)
