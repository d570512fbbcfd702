"""What a server is asked with and nobody else may read: in the keyring, or for this session."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from m1desk.engines.remote.profiles import check_header, looks_secret
from m1desk.errors import BadInput, StorageError
from m1desk.store import delete_secret, get_secret, keyring_status, set_secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from m1desk.engines.remote.profiles import ServerProfile

_log = logging.getLogger(__name__)

_HIDDEN: Final = "[secret]"
_SHORTEST: Final = 4  # hiding every "a" of a text would hide the text, not the secret
KEY: Final = "key"
"""What `missing` calls the bearer key; headers go by their own names."""
KEY_VARIABLE: Final = "M1DESK_SERVER_KEY"
"""A server's key for scripts on machines without a keyring; no child process gets it."""


@dataclass(frozen=True, slots=True)
class ServerSecrets:
    """The secrets of one server, kept out of repr and so out of logs.

    Attributes:
        key: the bearer key, "" for none.
        headers: values of secret headers by name.
    """

    key: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def hide(self, text: str) -> str:
        """Return `text` without the secrets: in errors, servers repeat what they were sent."""
        for secret in (self.key, *self.headers.values()):
            if len(secret) >= _SHORTEST:
                text = text.replace(secret, _HIDDEN)
        return text


class SecretVault:
    """Keeps servers' secrets in the system's keyring; without one, until the process ends.

    Every method may wait for the keyring: call from a worker thread.
    """

    def __init__(self) -> None:
        self._session: dict[str, str] = {}

    def keep(self, profile: ServerProfile, secrets: ServerSecrets) -> bool:
        """Keep what is given; whether it will still be there after this session."""
        kept = [
            self._keep(_entry(profile, what), value)
            for what, value in {KEY: secrets.key, **secrets.headers}.items()
            if value
        ]
        return all(kept)

    def read(self, profile: ServerProfile) -> ServerSecrets:
        """What is known of the secrets that the profile names."""
        key = self._read(_entry(profile, KEY)) if profile.wants_key else ""
        found = {name: self._read(_entry(profile, name)) for name in profile.secret_headers}
        return ServerSecrets(key, {name: value for name, value in found.items() if value})

    def copy(self, before: ServerProfile, after: ServerProfile, names: Iterable[str]) -> None:
        """Keep some of a profile's secrets for another one too, each as long as the first.

        Raises:
            StorageError: there is a keyring, and it can't be asked now.
        """
        usable = keyring_status().usable
        for what in names:
            source, target = _entry(before, what), _entry(after, what)
            if source in self._session:
                self._session[target] = self._session[source]
            elif usable and (value := get_secret(source)):
                set_secret(target, value)

    def is_for_session(self, profile: ServerProfile) -> bool:
        """Whether some of what is known of its secrets ends with this session."""
        return any(_entry(profile, what) in self._session for what in wanted(profile))

    def forget(self, profile: ServerProfile) -> None:
        """Delete the profile's secrets; having none is no error."""
        self.drop(profile, (KEY, *profile.secret_headers))

    def drop(self, profile: ServerProfile, names: Iterable[str]) -> None:
        """Delete some of the profile's secrets; having none is no error."""
        for what in names:
            entry = _entry(profile, what)
            self._session.pop(entry, None)
            try:
                delete_secret(entry)
            except StorageError as error:
                _log.info("a secret of the server %s stays: %s", profile.name, error.why)

    def _keep(self, entry: str, value: str) -> bool:
        try:
            set_secret(entry, value)
        except StorageError:
            self._session[entry] = value
            return False
        self._session.pop(entry, None)
        return True

    def _read(self, entry: str) -> str:
        if entry in self._session:
            return self._session[entry]
        try:
            return get_secret(entry) or ""
        except StorageError:  # no keyring, or a locked one: the person is asked
            return ""


def missing(profile: ServerProfile, secrets: ServerSecrets) -> tuple[str, ...]:
    """Name the secrets that the profile wants and nobody has given yet."""
    given = {KEY: secrets.key, **secrets.headers}
    return tuple(what for what in wanted(profile) if not given.get(what))


def wanted(profile: ServerProfile) -> tuple[str, ...]:
    """Name the secrets that the profile is asked with."""
    return (*((KEY,) if profile.wants_key else ()), *profile.secret_headers)


def sort_out(profile: ServerProfile, secrets: ServerSecrets) -> tuple[ServerProfile, ServerSecrets]:
    """Move headers that look like secrets out of the profile, and note which secrets it wants.

    Raises:
        BadInput: a secret can't be sent as a header.
    """
    hidden = {name: value for name, value in profile.headers if looks_secret(name, value)}
    values = {**hidden, **secrets.headers}
    key = secrets.key.strip()
    for name, value in {"Authorization": key, **values}.items():
        check_header(name, value)
    if key and any(name.lower() == "authorization" for name in values):
        raise BadInput(
            "A key and a header Authorization were given.",
            "The key is sent in that header.",
            "Give one of them.",
        )
    names = dict.fromkeys((*profile.secret_headers, *values))
    plain = tuple(pair for pair in profile.headers if pair[0] not in hidden)
    told = replace(
        profile,
        headers=plain,
        secret_headers=tuple(names),
        wants_key=profile.wants_key or bool(key),
    )
    return told, ServerSecrets(key, values)


def _entry(profile: ServerProfile, what: str) -> str:
    """Name of a secret in the keyring.

    It names the origin too, so that no other server gets a key when the address is changed.
    """
    return f"server:{profile.name}:{profile.address.origin}:{what}"
