"""Secrets, such as access tokens: in the system's keyring and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from m1desk.errors import StorageError

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

_SERVICE: Final = "M1 Desk"
# These store nothing, or store in clear.
_REFUSED: Final = ("keyring.backends.fail", "keyring.backends.null", "keyrings.alt")


@dataclass(frozen=True, slots=True)
class KeyringStatus:
    """Whether secrets can be kept.

    Attributes:
        backend: the keyring's own name, "" when there is none.
        reason: why it is not usable, "" when it is.
    """

    usable: bool
    backend: str = ""
    reason: str = ""


def keyring_status() -> KeyringStatus:
    """Whether this system has a keyring that keeps secrets encrypted; having none is no error."""
    try:
        backend = _backend()
    except StorageError as error:
        return KeyringStatus(usable=False, reason=error.why or error.what)
    return KeyringStatus(usable=True, backend=str(backend.name))


def get_secret(name: str) -> str | None:
    """Secret called `name`, or None when there is none; raises StorageError without a keyring."""
    from keyring.errors import KeyringError  # noqa: PLC0415 - slow to import, seldom needed

    try:
        return _backend().get_password(_SERVICE, name)
    except KeyringError as error:
        raise _refusal("read", error) from error


def set_secret(name: str, value: str) -> None:
    """Keep `value` under `name`; raises StorageError when no keyring will take it."""
    from keyring.errors import KeyringError  # noqa: PLC0415 - slow to import, seldom needed

    try:
        _backend().set_password(_SERVICE, name, value)
    except KeyringError as error:
        raise _refusal("kept", error) from error


def delete_secret(name: str) -> None:
    """Drop the secret called `name`; having none is no error. Raises StorageError."""
    from keyring.errors import (  # noqa: PLC0415 - slow to import, seldom needed
        KeyringError,
        PasswordDeleteError,
    )

    try:
        _backend().delete_password(_SERVICE, name)
    except PasswordDeleteError:
        return
    except KeyringError as error:
        raise _refusal("deleted", error) from error


def _backend() -> KeyringBackend:
    """Find the system's keyring, refusing those that keep secrets in clear or not at all."""
    import keyring  # noqa: PLC0415 - slow to import, seldom needed

    backend: KeyringBackend = keyring.get_keyring()
    if type(backend).__module__.startswith(_REFUSED):
        raise StorageError(
            "Secrets can't be kept on this system.",
            "It offers no keyring that stores them encrypted.",
            "Install and unlock one (GNOME Keyring or KWallet on Linux), or enter them each time.",
        )
    return backend


def _refusal(verb: str, error: Exception) -> StorageError:
    return StorageError(
        f"A secret could not be {verb}.",
        f"The system's keyring says: {error or type(error).__name__}.",
        "Unlock the keyring and try again.",
    )
