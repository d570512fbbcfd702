"""What goes wrong between us and the model hub, in words for the person at the screen."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from m1desk.errors import BadInput, HubError, M1DeskError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from huggingface_hub.errors import HfHubHTTPError

TRANSIENT: Final = frozenset({"network", "server", "rate_limited"})
"""Kinds of HubError that may pass by themselves."""

_SIGN_IN: Final = "Enter an access token of an account that may read it, in Settings."


@contextlib.contextmanager
def hub_errors(subject: str) -> Iterator[None]:
    """Turn what huggingface_hub raises in the body into HubError about `subject`."""
    try:
        yield
    except M1DeskError:
        raise
    except Exception as error:
        translated = hub_error(error, subject)
        if translated is None:
            raise
        raise translated from error


def hub_error(error: Exception, subject: str) -> M1DeskError | None:
    """Say what `error` means for `subject`; None when it is not of the hub's."""
    import httpx2  # noqa: PLC0415 - only loaded when huggingface_hub has been
    from huggingface_hub import errors as hub  # noqa: PLC0415 - slow to import

    if isinstance(error, hub.HFValidationError):
        return BadInput(
            f'"{subject}" is not the name of a repository.', "", "Names look like owner/name."
        )
    if isinstance(error, hub.OfflineModeIsEnabled):
        return offline(subject)
    if isinstance(error, hub.HfHubHTTPError):
        return _http_error(error, subject)
    if isinstance(error, hub.LocalEntryNotFoundError) and isinstance(error.__cause__, Exception):
        return hub_error(error.__cause__, subject)
    if isinstance(error, (hub.LocalEntryNotFoundError, httpx2.TransportError)):
        return _unreachable(error, subject)
    if isinstance(
        error, (hub.FileMetadataError, httpx2.HTTPError, ValueError, KeyError, TypeError)
    ):
        # What huggingface_hub trips over in an answer that has not the Hub's form.
        return unusable_answer(subject, f"{type(error).__name__}: {error}")
    return None


def offline(subject: str) -> HubError:
    """Make the error for a wish that needs the network while offline mode is on."""
    return HubError(
        f"{subject} was not asked for.",
        "Offline mode is on, so no connection leaves this machine.",
        "Turn offline mode off in Settings (or unset HF_HUB_OFFLINE).",
        kind="offline",
    )


def unusable_answer(subject: str, why: str) -> HubError:
    """Make the error for an answer that is not the hub's way of answering."""
    return HubError(
        f"The model hub's answer about {subject} can't be used.",
        " ".join(why.split())[:300],
        "Check the hub's address in Settings; a proxy may have answered in its place.",
        kind="answer",
    )


def _unreachable(error: Exception, subject: str) -> HubError:
    said = " ".join(str(error).split())[:300] or type(error).__name__
    return HubError(
        f"The model hub could not be reached for {subject}.",
        f"The network says: {said}",
        "Check the connection, a proxy, and the hub's address in Settings.",
        kind="network",
    )


def _http_error(error: HfHubHTTPError, subject: str) -> HubError:
    from huggingface_hub import errors as hub  # noqa: PLC0415 - slow to import

    status = error.response.status_code
    message = error.server_message or f"The hub answered with status {status}."
    if isinstance(error, hub.GatedRepoError):
        return HubError(
            f"{subject} is gated: its owners share it with those who accept their terms.",
            "The hub did not let us in.",
            f"Accept the terms on its web page. {_SIGN_IN}",
            kind="gated",
        )
    if isinstance(error, (hub.RevisionNotFoundError, hub.RemoteEntryNotFoundError)):
        return HubError(f"{subject} has no such file or revision.", message, kind="not_found")
    if isinstance(error, hub.RepositoryNotFoundError) or status in {404, 410}:
        return HubError(
            f"{subject} was not found on the hub.",
            "It does not exist, or is private.",
            f"Check the name. {_SIGN_IN}",
            kind="not_found",
        )
    if status == 401:
        return HubError(
            f"The hub gives {subject} only to those with a valid access token.",
            message,
            "Enter a valid token in Settings.",
            kind="unauthorized",
        )
    return _refusal(status, message, subject, _retry_after(error))


def _refusal(status: int, message: str, subject: str, retry_after: float | None) -> HubError:
    if status == 403:
        return HubError(f"The hub refuses {subject}.", message, _SIGN_IN, kind="forbidden")
    if status == 429:
        wait = f" in {retry_after:.0f} seconds" if retry_after else " in a few minutes"
        return HubError(
            f"The hub asks for patience before it gives out {subject}.",
            "Too many requests came from this address or account.",
            f"Try again{wait}; an access token raises the limit.",
            kind="rate_limited",
            retry_after=retry_after,
        )
    if status >= 500:
        return HubError(
            f"The hub has a fault and could not answer for {subject}.",
            message,
            "Try again later.",
            kind="server",
            retry_after=retry_after,
        )
    return HubError(f"The hub refused {subject}.", message, kind="answer")


def _retry_after(error: HfHubHTTPError) -> float | None:
    text = error.response.headers.get("Retry-After", "")
    return float(text) if text.isdecimal() else None
