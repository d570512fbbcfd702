"""Servers are kept in the database, their secrets in the keyring, or for the session; not clear."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from m1desk.engines import ProfileStore, SecretVault, ServerProfile, ServerSecrets
from m1desk.engines.remote.secrets import missing
from m1desk.errors import BadInput, StorageError
from m1desk.store import AppSettings, Database, Folders, SettingsStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.memory_keyring import MemoryKeyring

KEY = "sk-a-very-secret-key-1234567890"
LAB = ServerProfile("lab", "https://lab.example/team")


@pytest.fixture
def database() -> Iterator[Database]:
    with Database(Folders.resolve().database) as opened:
        yield opened


@pytest.fixture
def servers(database: Database, memory_keyring: MemoryKeyring) -> ProfileStore:
    return ProfileStore(database)


def test_a_server_is_added_changed_and_removed(servers: ProfileStore) -> None:
    assert servers.add(LAB)
    servers.add(replace(LAB, name="other"))
    with pytest.raises(BadInput, match="already"):
        servers.add(LAB)
    servers.update(replace(LAB, model="big"))
    assert [(one.name, one.model) for one in servers.list()] == [("lab", "big"), ("other", "")]
    servers.remove("lab")
    with pytest.raises(BadInput, match="There are: other"):
        servers.get("lab")
    with pytest.raises(BadInput):
        servers.update(LAB)


def test_saving_settings_leaves_servers_alone(database: Database, servers: ProfileStore) -> None:
    settings = SettingsStore(database)
    servers.add(LAB)
    settings.save(AppSettings(theme="dark"))
    assert servers.list() == (LAB,)
    assert settings.load().theme == "dark"


def test_the_key_is_in_the_keyring_and_nowhere_else(
    servers: ProfileStore, database: Database, memory_keyring: MemoryKeyring, home: Path
) -> None:
    told = replace(LAB, headers=(("X-Team", "lab"), ("X-Api-Key", "header-secret-9876543210")))
    assert servers.add(told, ServerSecrets(KEY, {"X-Extra": "third-secret-value"}))
    kept = servers.get("lab")
    assert kept.headers == (("X-Team", "lab"),)
    assert kept.secret_headers == ("X-Api-Key", "X-Extra")
    assert kept.wants_key
    secrets = servers.vault.read(kept)
    assert (secrets.key, secrets.headers["X-Api-Key"]) == (KEY, "header-secret-9876543210")
    assert missing(kept, secrets) == ()
    assert KEY not in repr(secrets) + repr(kept)
    database.close()
    everything = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
    assert b"lab.example" in everything
    for secret in (KEY, "header-secret-9876543210", "third-secret-value"):
        assert secret.encode() not in everything
    assert set(memory_keyring.kept.values()) == {
        KEY, "header-secret-9876543210", "third-secret-value"
    }  # fmt: skip


def test_removing_a_server_removes_its_secrets(
    servers: ProfileStore, memory_keyring: MemoryKeyring
) -> None:
    servers.add(LAB, ServerSecrets(KEY, {"X-Api-Key": "value-of-it"}))
    servers.remove("lab")
    assert memory_keyring.kept == {}


def test_another_address_does_not_get_the_key(
    servers: ProfileStore, memory_keyring: MemoryKeyring
) -> None:
    servers.add(LAB, ServerSecrets(KEY))
    servers.update(replace(servers.get("lab"), base_url="https://lab.example/elsewhere"))
    assert servers.vault.read(servers.get("lab")).key == KEY  # the same server
    servers.update(replace(servers.get("lab"), base_url="https://evil.example/team"))
    assert missing(servers.get("lab"), servers.vault.read(servers.get("lab"))) == ("key",)
    assert memory_keyring.kept == {}


def test_a_renamed_server_keeps_its_secrets_and_leaves_none_under_its_old_name(
    servers: ProfileStore, memory_keyring: MemoryKeyring
) -> None:
    secrets = ServerSecrets(KEY, {"X-Api-Key": "value-of-it"})
    servers.add(LAB, secrets)
    told: list[tuple[str, str]] = []
    servers.follow_renames(lambda *names: told.append(names))
    servers.rename("lab", " cluster ")
    (kept,) = servers.list()
    assert kept == replace(LAB, name="cluster", wants_key=True, secret_headers=("X-Api-Key",))
    assert servers.vault.read(kept) == secrets
    assert len(memory_keyring.kept) == 2
    assert told == [("lab", "cluster")]
    servers.rename("cluster", "cluster")  # to its own name: nothing to do
    assert servers.vault.read(kept) == secrets
    assert len(told) == 1


def test_a_name_that_is_taken_is_refused_and_both_stay_as_they_were(servers: ProfileStore) -> None:
    other = replace(LAB, name="other")
    servers.add(LAB, ServerSecrets(KEY))
    servers.add(other, ServerSecrets("another-key-987"))
    before = servers.list()
    for name, words in (("other", "already"), ("", "needs a name")):
        with pytest.raises(BadInput, match=words):
            servers.rename("lab", name)
    assert servers.list() == before
    assert [servers.vault.read(one).key for one in before] == [KEY, "another-key-987"]


def test_whoever_else_names_a_server_can_refuse_its_renaming(
    servers: ProfileStore, memory_keyring: MemoryKeyring
) -> None:
    def refuse(_name: str, _new_name: str) -> None:
        raise BadInput("It is needed.")

    servers.add(LAB, ServerSecrets(KEY))
    kept = dict(memory_keyring.kept)
    servers.follow_renames(refuse)
    with pytest.raises(BadInput, match="needed"):
        servers.rename("lab", "cluster")
    assert [one.name for one in servers.list()] == ["lab"]
    assert memory_keyring.kept == kept


def test_a_server_is_not_renamed_while_its_key_can_not_be_moved(
    servers: ProfileStore, memory_keyring: MemoryKeyring
) -> None:
    servers.add(LAB, ServerSecrets(KEY))
    memory_keyring.locked = True
    with pytest.raises(StorageError, match="Unlock the keyring"):
        servers.rename("lab", "cluster")
    memory_keyring.locked = False
    assert servers.vault.read(servers.get("lab")).key == KEY


def test_a_server_that_is_renamed_and_moved_leaves_its_key_behind(
    servers: ProfileStore, memory_keyring: MemoryKeyring
) -> None:
    servers.add(LAB, ServerSecrets(KEY))
    moved = replace(servers.get("lab"), name="evil", base_url="https://evil.example")
    servers.update(moved, was="lab")
    assert missing(moved, servers.vault.read(servers.get("evil"))) == ("key",)
    assert memory_keyring.kept == {}


def test_a_key_for_the_session_follows_its_server(database: Database) -> None:
    servers = ProfileStore(database)  # there is no keyring
    servers.add(LAB, ServerSecrets(KEY))
    servers.rename("lab", "cluster")
    assert servers.vault.read(servers.get("cluster")).key == KEY
    servers.add(LAB)
    assert servers.vault.read(replace(LAB, wants_key=True)).key == ""


@pytest.mark.parametrize("locked", [True, False], ids=["locked keyring", "no keyring"])
def test_without_a_usable_keyring_the_key_lasts_for_the_session(
    database: Database, home: Path, locked: bool, request: pytest.FixtureRequest
) -> None:
    if locked:
        request.getfixturevalue("memory_keyring").locked = True
    servers = ProfileStore(database)
    assert not servers.add(LAB, ServerSecrets(KEY))
    assert servers.vault.read(servers.get("lab")).key == KEY
    another_session = SecretVault()
    kept = servers.get("lab")
    assert missing(kept, another_session.read(kept)) == ("key",)
    database.close()
    assert not any(KEY.encode() in path.read_bytes() for path in home.rglob("*") if path.is_file())


def test_a_damaged_entry_loses_only_itself(database: Database, servers: ProfileStore) -> None:
    servers.add(LAB)
    database.execute("INSERT INTO settings VALUES ('server:broken', '{')")
    assert servers.list() == (LAB,)
    with pytest.raises(BadInput):
        servers.get("broken")
    servers.remove("lab")
    assert servers.list() == ()


@pytest.mark.parametrize("key", ["two\nlines", "ümlaut"])
def test_a_key_that_no_header_can_carry_is_refused(servers: ProfileStore, key: str) -> None:
    with pytest.raises(BadInput) as caught:
        servers.add(LAB, ServerSecrets(key))
    assert key not in str(caught.value)
    assert servers.list() == ()


def test_a_key_and_a_header_authorization_contradict_each_other(servers: ProfileStore) -> None:
    with pytest.raises(BadInput, match="Authorization"):
        servers.add(LAB, ServerSecrets(KEY, {"authorization": "Basic abc"}))
