"""TLS to a server: whom to trust, and what it means when a certificate is not trusted."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import certifi

from m1desk.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from m1desk.engines.remote.profiles import ServerProfile

_COMPLAINT_SECONDS: Final = 0.3
_SOON_SECONDS: Final = 14 * 24 * 3600
_PIN_OR_CA: Final = (
    "If it is yours, give the CA file it was made with, or pin the certificate by its fingerprint."
)
# The numbers of OpenSSL's X509_V_ERR_*: Python names none of them.
_NOT_YET_VALID, _EXPIRED = 9, 10
_SELF_SIGNED, _SELF_SIGNED_IN_CHAIN = 18, 19
_UNKNOWN_ISSUER = frozenset({2, 20, 21, 27})
_WRONG_NAME = frozenset({62, 64})


class PinMismatch(ssl.SSLCertVerificationError):
    """The server showed another certificate than the pinned one."""


@dataclass(frozen=True, slots=True)
class TlsProblem:
    """Why a handshake failed, in words for the user."""

    what: str
    why: str
    todo: str


def tls_context(profile: ServerProfile) -> ssl.SSLContext:
    """Make the settings of TLS for a server.

    Raises:
        BadInput: one of its files is missing, unreadable or of another kind.
    """
    context = _pinned(profile.pinned_sha256) if profile.pinned_sha256 else _trusting(profile)
    if profile.client_certificate:
        _show_who_asks(context, profile)
    return context


def fingerprint(certificate: bytes) -> str:
    """SHA-256 of a certificate in DER, as 64 hexadecimal digits."""
    return hashlib.sha256(certificate).hexdigest()


async def handshake(
    host: str, port: int, server_name: str, context: ssl.SSLContext, seconds: float
) -> Mapping[str, Any]:
    """Shake hands once and hang up; what the certificate says, {} when it was only pinned.

    Raises:
        ssl.SSLError, OSError, TimeoutError: it failed.
    """
    async with asyncio.timeout(seconds):
        reader, writer = await asyncio.open_connection(
            host, port, ssl=context, server_hostname=server_name
        )
    try:
        # in TLS 1.3 a server that wants to see a certificate complains after the handshake
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_COMPLAINT_SECONDS):
                await reader.read(1)
        return writer.get_extra_info("peercert") or {}
    finally:
        writer.transport.abort()


async def shown_fingerprint(host: str, port: int, server_name: str, seconds: float) -> str:
    """Look at the certificate a server shows, trusting nothing; "" when it shows none."""
    context = _unverified()
    try:
        async with asyncio.timeout(seconds):
            _, writer = await asyncio.open_connection(
                host, port, ssl=context, server_hostname=server_name
            )
    except (OSError, TimeoutError):  # ssl.SSLError is an OSError
        return ""
    try:
        tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
        return fingerprint(tls.getpeercert(binary_form=True) or b"")
    finally:
        writer.transport.abort()


def explain_tls(error: Exception, host: str, shown: str) -> TlsProblem:
    """Say why a handshake with `host` failed; `shown` is the fingerprint it showed, or ""."""
    seen = f" Its SHA-256 fingerprint is {shown}." if shown else ""
    if isinstance(error, PinMismatch):
        return TlsProblem(
            "The server shows another certificate than the pinned one.",
            f"It was renewed, or somebody else answers in its place.{seen}",
            "Ask whoever runs the server; pin the new fingerprint only when they confirm it.",
        )
    if isinstance(error, ssl.SSLCertVerificationError):
        return _explain_certificate(error, host, seen)
    text = str(error)
    if "WRONG_VERSION_NUMBER" in text or "RECORD_LAYER" in text or "HTTP_REQUEST" in text:
        return TlsProblem(
            "The server does not speak TLS at this port.",
            "It answered with something else, plain HTTP most likely.",
            "Use an address with http://, or the port of its https.",
        )
    if wants_client_certificate(error):
        return TlsProblem(
            "The server asks for a client certificate.",
            f"It ended the handshake: {_reason(error)}.",
            "Give the certificate and its key in the server's settings.",
        )
    return TlsProblem(
        "TLS could not be agreed on.",
        f"{_reason(error)}.",
        "Check that the port is that of its https, and that the server's TLS is up to date.",
    )


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it was made of: libraries wrap each other's."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def tls_cause(error: BaseException) -> ssl.SSLError | None:
    """The fault of TLS behind an error, if there is one."""
    return next((one for one in causes(error) if isinstance(one, ssl.SSLError)), None)


def wants_client_certificate(error: BaseException) -> bool:
    """Whether the other side ended TLS because of who asks."""
    text = str(error).upper().replace(" ", "_")
    return "CERTIFICATE_REQUIRED" in text or (
        "ALERT" in text and ("BAD_CERTIFICATE" in text or "UNKNOWN_CA" in text)
    )


def expires_soon(certificate: Mapping[str, Any], now: float | None = None) -> str:
    """The day a certificate ends, when that is within two weeks; else ""."""
    end = certificate.get("notAfter")
    if not isinstance(end, str):
        return ""
    seconds = ssl.cert_time_to_seconds(end)
    if seconds - (time.time() if now is None else now) > _SOON_SECONDS:
        return ""
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))


def _explain_certificate(error: ssl.SSLCertVerificationError, host: str, seen: str) -> TlsProblem:
    code = error.verify_code
    if code == _EXPIRED:
        return TlsProblem(
            "The server's certificate has expired.",
            f"It is out of date by this machine's clock.{seen}",
            "Have the server's certificate renewed; check this machine's clock too.",
        )
    if code == _NOT_YET_VALID:
        return TlsProblem(
            "The server's certificate is not valid yet.", seen.strip(), "Check the clocks of both."
        )
    if code in _WRONG_NAME:
        return TlsProblem(
            f"The server's certificate is for another name than {host}.",
            f"{error.verify_message}.{seen}",
            "Use the name in the certificate as the address, or pin the certificate.",
        )
    if code == _SELF_SIGNED:
        return TlsProblem("The server's certificate is signed by itself.", seen.strip(), _PIN_OR_CA)
    if code == _SELF_SIGNED_IN_CHAIN or code in _UNKNOWN_ISSUER:
        return TlsProblem(
            "The server's certificate is signed by an authority that is not trusted here.",
            f"{error.verify_message}.{seen}",
            _PIN_OR_CA,
        )
    return TlsProblem(
        "The server's certificate is not trusted.", f"{error.verify_message}.{seen}", _PIN_OR_CA
    )


def _reason(error: Exception) -> str:
    return getattr(error, "reason", None) or str(error) or type(error).__name__


def _trusting(profile: ServerProfile) -> ssl.SSLContext:
    if not profile.ca_file:
        context = ssl.create_default_context()
        context.load_verify_locations(certifi.where())  # some systems have no store of their own
        return context
    try:
        context = ssl.create_default_context(cafile=profile.ca_file)
    except OSError as error:  # ssl.SSLError is one
        raise _unusable("CA file", profile.ca_file, error) from error
    # Python 3.13 turns this on; authorities made by hand often lack what it asks for.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def _show_who_asks(context: ssl.SSLContext, profile: ServerProfile) -> None:
    try:
        # without a password given, OpenSSL would ask for one on the terminal
        context.load_cert_chain(profile.client_certificate, profile.client_key, password="")
    except OSError as error:
        files = f"{profile.client_certificate}, {profile.client_key}"
        raise _unusable("client certificate or its key", files, error) from error


def _unusable(kind: str, path: str, error: OSError) -> BadInput:
    is_format = isinstance(error, ssl.SSLError)
    return BadInput(
        f"The {kind} can't be used: {path}.",
        f"It is not in PEM format, or encrypted ({_reason(error)})."
        if is_format
        else f"The system says: {error.strerror or error}.",
        "Choose the right file.",
    )


def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class _PinnedContext(ssl.SSLContext):
    """Trusts one certificate, whoever signed it, whatever its name and date."""

    sha256: str


class _PinnedTls(ssl.SSLObject):
    """Looks at the certificate as soon as it is there, before anything is sent."""

    def do_handshake(self) -> None:
        super().do_handshake()
        context = self.context
        shown = fingerprint(self.getpeercert(binary_form=True) or b"")
        if not isinstance(context, _PinnedContext) or not hmac.compare_digest(
            shown, context.sha256
        ):
            raise PinMismatch(f"the certificate {shown} is not the pinned one")


def _pinned(sha256: str) -> ssl.SSLContext:
    context = _PinnedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.sslobject_class = _PinnedTls
    context.sha256 = sha256
    return context
