"""How this process talks to the hub: one try, always with a time limit.

huggingface_hub repeats failed calls for half a minute, waits for hours when a server says so
("Retry-After"), and lists models without any time limit. Here a person waits for an answer, so
its client is replaced, by its own means, with one that says at once what is wrong.
"""

from __future__ import annotations

import functools
import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urljoin, urlsplit

import httpx2
from huggingface_hub import (
    get_session,
    hf_raise_for_status,
    is_offline_mode,
    set_client_factory,
)
from huggingface_hub.errors import OfflineModeIsEnabled
from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # lazily there

from m1desk.errors import HubError, ModelFileError
from m1desk.models.hub_errors import hub_errors, unusable_answer

if TYPE_CHECKING:
    from collections.abc import Mapping

_TIMEOUT: Final = httpx2.Timeout(30.0, connect=15.0)
_RETRIED: Final = frozenset({408, 429, 500, 502, 503, 504})
_RANGE_SECONDS: Final = 90.0
_CONTENT_RANGE: Final = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")


class _OneTryClient(httpx2.Client):
    """A client whose failures huggingface_hub does not take for reasons to try again."""

    def send(self, request: httpx2.Request, **more: Any) -> httpx2.Response:  # noqa: ANN401 - httpx's
        if is_offline_mode():
            raise OfflineModeIsEnabled(str(request.url))
        limits = request.extensions.get("timeout") or {}
        request.extensions["timeout"] = {
            name: limits.get(name) or limit for name, limit in _TIMEOUT.as_dict().items()
        }
        try:
            response = super().send(request, **more)
        except httpx2.TransportError as error:
            raise _no_connection(error, str(request.url.host)) from error
        if response.status_code in _RETRIED:
            response.read()
            hf_raise_for_status(response)
        return response


def _no_connection(error: httpx2.TransportError, host: str) -> HubError:
    slow = isinstance(error, httpx2.TimeoutException)
    said = "it did not answer in time" if slow else str(error) or type(error).__name__
    return HubError(
        f"{host} could not be reached.",
        f"The network says: {said}.",
        "Check the connection, a proxy, and the hub's address in Settings.",
        kind="network",
    )


@functools.cache
def install_client() -> None:
    """Make huggingface_hub use the client above in this process; later calls do nothing."""
    set_client_factory(lambda: _OneTryClient(follow_redirects=True, timeout=_TIMEOUT))


class RemoteBytes:
    """A file on the hub, read in ranges.

    The address is asked for once and followed as huggingface_hub does: the token stays on the hub
    and is not sent to the storage servers it points at. Raises HubError.
    """

    def __init__(self, url: str, label: str, token: str | None) -> None:
        from huggingface_hub import get_hf_file_metadata  # noqa: PLC0415 - loads much

        self.label = label
        with hub_errors(label):
            metadata = get_hf_file_metadata(url, token=token or False, timeout=_TIMEOUT.read)
        if metadata.size is None or metadata.size < 0:
            raise unusable_answer(label, "It does not say how large the file is.")
        self.size = metadata.size
        self._url = urljoin(url, metadata.location)
        same = urlsplit(url)[:2] == urlsplit(self._url)[:2]
        headers: dict[str, str] = build_hf_headers(token=(token if same else None) or False)
        self._headers = {**headers, "Accept-Encoding": "identity"}

    def fetch(self, start: int, count: int) -> bytes:
        """Exactly `count` bytes from `start`; raises HubError, or ModelFileError for bad ones."""
        headers = {**self._headers, "Range": f"bytes={start}-{start + count - 1}"}
        with (
            hub_errors(self.label),
            get_session().stream("GET", self._url, headers=headers) as response,
        ):
            hf_raise_for_status(response)
            self._check(response.status_code, response.headers, start, count)
            return self._body(response, count)

    def _check(self, status: int, headers: Mapping[str, str], start: int, count: int) -> None:
        if status != 206:
            raise self._unreadable("The server gives out whole files only, not parts of them.")
        match = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", "").strip())
        if match is None or headers.get("Content-Encoding", "identity") != "identity":
            raise self._unreadable("The server does not say which part of the file it sends.")
        first, last, total = match.groups()
        if (int(first), int(last)) != (start, start + count - 1):
            raise self._unreadable("The server sends another part of the file than was asked for.")
        if total != "*" and int(total) != self.size:
            raise self._unreadable("The server names two different sizes for the file.")

    def _body(self, response: httpx2.Response, count: int) -> bytes:
        deadline = time.monotonic() + _RANGE_SECONDS
        body = bytearray()
        for piece in response.iter_raw():
            body += piece
            if len(body) > count:
                raise self._unreadable("The server sends more than it was asked for.")
            if time.monotonic() > deadline:
                raise self._unreadable("The server is too slow.")
        if len(body) < count:
            raise self._unreadable("The server ended its answer early.")
        return bytes(body)

    def _unreadable(self, why: str) -> ModelFileError:
        return ModelFileError(
            f"{self.label} can't be looked into from here.",
            why,
            "Download the file, or choose another source of this model.",
        )


Fetcher = Callable[[str], RemoteBytes]
