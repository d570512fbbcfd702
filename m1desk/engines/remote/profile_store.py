"""The servers a person has added: in the database, their secrets in the keyring."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Final

from m1desk.engines.remote.profiles import checked, profile_of, profile_values
from m1desk.engines.remote.secrets import SecretVault, ServerSecrets, sort_out, wanted
from m1desk.errors import BadInput

if TYPE_CHECKING:
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
        self.vault = vault or SecretVault()

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
            raise BadInput(
                f'There is a server "{kept.name}" already.',
                "",
                "Choose another name, or remove that one.",
            )
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

    def update(self, profile: ServerProfile, secrets: ServerSecrets | None = None) -> bool:
        """Replace the server of that name; whether its secrets outlive this session.

        Secrets that are not given stay as they are, unless scheme, host or port change: then they
        are deleted, so that no other server gets them. So are those it does not want any more.

        Raises:
            BadInput: there is none of that name, or a value can't be used.
        """
        before = self.get(profile.name)
        kept, hidden = sort_out(checked(profile), secrets or ServerSecrets())
        self._database.execute(
            "UPDATE settings SET value = ? WHERE key = ?", (_as_text(kept), _PREFIX + kept.name)
        )
        if before.address.origin != kept.address.origin:
            self.vault.forget(before)
        else:
            self.vault.drop(before, set(wanted(before)) - set(wanted(kept)))
        return self.vault.keep(kept, hidden)

    def remove(self, name: str) -> None:
        """Remove a server and its secrets; raises BadInput when there is none of that name."""
        profile = self.get(name)
        self.vault.forget(profile)
        self._database.execute("DELETE FROM settings WHERE key = ?", (_PREFIX + profile.name,))


def _as_text(profile: ServerProfile) -> str:
    return json.dumps(profile_values(profile), ensure_ascii=False)


def _read(key: str, text: str) -> ServerProfile | None:
    try:
        return profile_of(json.loads(text))
    except ValueError:
        _log.warning("what is kept of %s can't be used", key)
        return None


def _unknown(name: str, known: tuple[ServerProfile, ...]) -> BadInput:
    names = ", ".join(profile.name for profile in known)
    return BadInput(
        f'There is no server "{name}".',
        f"There are: {names}." if names else "None was added yet.",
        "Add it with `m1desk remote add`.",
    )
