"""The servers a person has added: in the database, their secrets in the keyring."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from m1desk.engines.remote.profiles import checked, profile_of, profile_values
from m1desk.engines.remote.secrets import SecretVault, ServerSecrets, sort_out, wanted
from m1desk.errors import BadInput, M1DeskError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from m1desk.engines.remote.profiles import ServerProfile
    from m1desk.store import Database

_log = logging.getLogger(__name__)

_PREFIX: Final = "server:"
_PAST_PREFIX: Final = "server;"  # the next character: what sorts between the two are servers


class ProfileStore:
    """Servers by name, each a row of its own beside the settings: a damaged one loses only itself.

    Methods wait for the disk and the keyring: call from a worker thread. They raise StorageError.
    """

    def __init__(self, database: Database, vault: SecretVault | None = None) -> None:
        """Without a `vault`, one of its own is made: what no keyring takes lasts as long as it."""
        self._database = database
        self._followers: list[Callable[[str, str], None]] = []
        self.vault = vault or SecretVault()

    def follow_renames(self, follow: Callable[[str, str], None]) -> None:
        """Have `follow` told the old and the new name of every server that is renamed.

        It is called where the new name is written, in the same transaction, so that what else
        names the server changes with it or not at all; it raises BadInput to refuse.
        """
        self._followers.append(follow)

    def add(self, profile: ServerProfile, secrets: ServerSecrets | None = None) -> bool:
        """Add a server; whether its secrets will still be there after this session.

        Raises:
            BadInput: a value can't be used, or there is a server of that name.
        """
        kept, hidden = sort_out(checked(profile), secrets or ServerSecrets())
        done = self._database.execute(
            "INSERT OR IGNORE INTO settings(key, value) VALUES (?, ?)",
            (_PREFIX + kept.name, _as_text(kept)),
        )
        if not done.rowcount:
            raise _taken(kept.name)
        return self.vault.keep(kept, hidden)

    def list(self) -> tuple[ServerProfile, ...]:
        """All servers by name; those that can't be read are logged and left out."""
        rows = self._database.query(
            "SELECT key, value FROM settings WHERE key >= ? AND key < ? ORDER BY key",
            (_PREFIX, _PAST_PREFIX),
        )
        found = (_read(key, text) for key, text in rows)
        return tuple(profile for profile in found if profile is not None)

    def get(self, name: str) -> ServerProfile:
        """The server of that name.

        Raises:
            BadInput: there is none, or what is kept of it can't be used.
        """
        row = self._database.query_one(
            "SELECT key, value FROM settings WHERE key = ?", (_PREFIX + name.strip(),)
        )
        profile = None if row is None else _read(row["key"], row["value"])
        if profile is None:
            raise _unknown(name, self.list())
        return profile

    def update(
        self, profile: ServerProfile, secrets: ServerSecrets | None = None, was: str = ""
    ) -> bool:
        """Replace the server of that name, or the one that `was` called differently.

        Secrets that are not given stay as they are, unless scheme, host or port change: then they
        are deleted, so that no other server gets them. So are those it does not want any more.

        Returns:
            Whether its secrets outlive this session.

        Raises:
            BadInput: there is none of that name, a value can't be used, the new name is taken, or
                something holds the server to its old one.
            StorageError: also when the keyring can't be asked now for what is to be renamed.
        """
        before = self.get(was or profile.name)
        kept, hidden = sort_out(checked(profile), secrets or ServerSecrets())
        is_same_place = before.address.origin == kept.address.origin
        if kept.name != before.name:
            stay = set(wanted(before)) & set(wanted(kept)) if is_same_place else set()
            self._rename(before, kept, stay)
        else:
            self._write(before.name, kept)
        if kept.name != before.name or not is_same_place:
            self.vault.forget(before)
        else:
            self.vault.drop(before, set(wanted(before)) - set(wanted(kept)))
        return self.vault.keep(kept, hidden)

    def rename(self, name: str, new_name: str) -> None:
        """Call a server differently; it keeps its secrets. Raises as `update` does."""
        profile = self.get(name)
        self.update(replace(profile, name=new_name), was=profile.name)

    def remove(self, name: str) -> None:
        """Remove a server and its secrets; raises BadInput when there is none of that name."""
        profile = self.get(name)
        self.vault.forget(profile)
        self._database.execute("DELETE FROM settings WHERE key = ?", (_PREFIX + profile.name,))

    def _rename(self, before: ServerProfile, kept: ServerProfile, stay: Collection[str]) -> None:
        """Write a server under another name, with those secrets that `stay`."""
        row = self._database.query_one(
            "SELECT 1 FROM settings WHERE key = ?", (_PREFIX + kept.name,)
        )
        if row is not None:
            raise _taken(kept.name)
        try:
            self.vault.copy(before, kept, stay)
            self._write(before.name, kept)
        except M1DeskError:
            self.vault.drop(kept, stay)
            raise

    def _write(self, name: str, kept: ServerProfile) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE settings SET key = ?, value = ? WHERE key = ?",
                (_PREFIX + kept.name, _as_text(kept), _PREFIX + name),
            )
            if kept.name != name:
                for follow in self._followers:
                    follow(name, kept.name)


def _as_text(profile: ServerProfile) -> str:
    return json.dumps(profile_values(profile), ensure_ascii=False)


def _read(key: str, text: str) -> ServerProfile | None:
    try:
        return profile_of(json.loads(text))
    except ValueError:
        _log.warning("what is kept of %s can't be used", key)
        return None


def _taken(name: str) -> BadInput:
    return BadInput(
        f'There is a server "{name}" already.', "", "Choose another name, or remove that one."
    )


def _unknown(name: str, known: tuple[ServerProfile, ...]) -> BadInput:
    names = ", ".join(profile.name for profile in known)
    return BadInput(
        f'There is no server "{name}".',
        f"There are: {names}." if names else "None was added yet.",
        "Add it with `m1desk remote add`.",
    )
