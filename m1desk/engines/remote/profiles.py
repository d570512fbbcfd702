"""A remote server as a person describes it: where it is, how it is reached; never its secrets."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, cast
from urllib.parse import SplitResult, urlsplit

from m1desk.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping

Scheme = Literal["http", "https"]
Headers = tuple[tuple[str, str], ...]

_MOST_NAME: Final = 64
_DEFAULT_PORTS: Final[Mapping[Scheme, int]] = {"http": 80, "https": 443}
_API_PATH: Final = re.compile(r"/v1(/(chat/completions|completions|models))?/?$")
_HEX_DIGITS_OF_SHA256: Final = 64
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OURS: Final = frozenset({"host", "content-length", "content-type", "transfer-encoding"})
_SECRET_NAME: Final = re.compile(
    r"key|token|secret|password|passwd|auth|cookie|credential|signature", re.IGNORECASE
)
_SECRET_VALUE: Final = re.compile(
    r"(?=.*\d)(?=.*[A-Za-z])[A-Za-z0-9+/=_.~-]{24,}|(?i:bearer|basic) .+"
)
_SSH_DESTINATION: Final = re.compile(r"[A-Za-z0-9_][^\s@]*(@[^\s@-][^\s@]*)?|[A-Za-z0-9_.]+")


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """A server's address in its parts; `prefix` is "" or begins with a slash and ends without."""

    scheme: Scheme
    host: str
    port: int
    prefix: str = ""

    @property
    def origin(self) -> str:
        """Scheme, host and port; the port only where it is not the usual one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _DEFAULT_PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}"

    @property
    def base_url(self) -> str:
        """The address as it is kept: it ends before `/v1`."""
        return self.origin + self.prefix

    @property
    def is_encrypted(self) -> bool:
        """Whether TLS is spoken."""
        return self.scheme == "https"

    @property
    def is_this_machine(self) -> bool:
        """Whether the host is this machine itself."""
        if self.host == "localhost" or self.host.endswith(".localhost"):
            return True
        return self.is_number and ipaddress.ip_address(self.host).is_loopback

    @property
    def is_number(self) -> bool:
        """Whether the host is an IP address, which needs no name service."""
        try:
            ipaddress.ip_address(self.host)
        except ValueError:
            return False
        return True


@dataclass(frozen=True, slots=True)
class SshTunnel:
    """A way through a machine that the system's ssh can log in to without asking.

    Attributes:
        destination: "user@host", or a name of ssh's own configuration.
        port: of the ssh server; 0 leaves it to ssh's configuration.
        forward_host, forward_port: where the server is as seen from there; "" and 0 for its own
            address.
        config_file: settings that ssh reads instead of the user's own; "" for those.
    """

    destination: str
    port: int = 0
    forward_host: str = ""
    forward_port: int = 0
    config_file: str = ""


@dataclass(frozen=True, slots=True)
class ServerProfile:
    """A remote server. Its secrets are elsewhere: see `secrets.py`.

    Attributes:
        base_url: ends before `/v1`; may carry a path prefix.
        model: the one to ask, "" for the first that the server lists.
        wants_key: it is asked with a bearer key.
        headers: sent with every request.
        secret_headers: names of those whose values are secret.
        ca_file: PEM file of the only authorities to trust; "" for the system's.
        pinned_sha256: fingerprint of the one certificate to trust, 64 hexadecimal digits; "" to
            trust by authority and name.
        client_certificate, client_key: PEM files that show who asks; "" for none.
        context_tokens: its longest request (tokens), for a server that does not say; 0: unknown.
    """

    name: str
    base_url: str
    model: str = ""
    wants_key: bool = False
    headers: Headers = ()
    secret_headers: tuple[str, ...] = ()
    ca_file: str = ""
    pinned_sha256: str = ""
    client_certificate: str = ""
    client_key: str = ""
    tunnel: SshTunnel | None = None
    context_tokens: int = 0

    @property
    def address(self) -> ServerAddress:
        """The address in its parts; raises BadInput when it is none."""
        return parse_address(self.base_url)


def parse_address(text: str) -> ServerAddress:
    """Read the address of a server; a `/v1` at its end, or what follows it, is cut off.

    Raises:
        BadInput: it is no address, or it holds a password, a query or a fragment.
    """
    text = text.strip()
    parts, port = _split(text)
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise _bad_address(text, "It must begin with http:// or https:// and a host.")
    if parts.username is not None or parts.password is not None:
        raise BadInput(
            "The address holds a user's name or a password.",
            "It would be kept and shown in clear.",
            "Leave it out, and give it as a secret header: Authorization.",
        )
    if parts.query or parts.fragment:
        raise _bad_address(text, "It has a query or a fragment behind the path.")
    scheme = cast("Scheme", parts.scheme)
    prefix = _API_PATH.sub("", parts.path.rstrip("/")).rstrip("/")
    host = parts.hostname.rstrip(".")
    return ServerAddress(scheme, host, port or _DEFAULT_PORTS[scheme], prefix)


def parse_host_and_port(text: str) -> tuple[str, int]:
    """Read "host:port"; raises BadInput."""
    parts, port = _split(f"tcp://{text.strip()}")
    if not parts.hostname or not port or parts.path:
        raise BadInput(f'"{text}" is no host and port.', "", "Write it like 10.0.0.5:8000.")
    return parts.hostname, port


def parse_ssh(text: str) -> SshTunnel:
    """Read "user@host", "user@host:port" or a name of ssh's configuration; raises BadInput."""
    destination, colon, port = text.strip().rpartition(":")
    if not colon or not port.isdecimal():
        destination, port = text.strip(), "0"
    tunnel = SshTunnel(destination, int(port))
    _check_tunnel(tunnel)
    return tunnel


def parse_fingerprint(text: str) -> str:
    """Read a SHA-256 fingerprint, with or without colons; "" stays "". Raises BadInput."""
    digits = re.sub(r"^sha-?256[:= ]*(fingerprint=)?", "", text.strip(), flags=re.IGNORECASE)
    digits = re.sub(r"[\s:]", "", digits).lower()
    if digits and not re.fullmatch(rf"[0-9a-f]{{{_HEX_DIGITS_OF_SHA256}}}", digits):
        raise BadInput(
            f'"{text}" is no SHA-256 fingerprint.',
            "It has 64 hexadecimal digits, with or without colons.",
            "The test of the server shows the certificate's fingerprint.",
        )
    return digits


def looks_secret(name: str, value: str) -> bool:
    """Whether a header's value should be kept as secrets are."""
    return bool(_SECRET_NAME.search(name) or _SECRET_VALUE.fullmatch(value.strip()))


def checked(profile: ServerProfile) -> ServerProfile:
    """Return the profile in the form it is kept in.

    Raises:
        BadInput: one of its values can't be used; files are looked at when they are needed.
    """
    name = profile.name.strip()
    if not 0 < len(name) <= _MOST_NAME or not name.isprintable():
        raise BadInput(
            "A server needs a name.", f"It has 1 to {_MOST_NAME} characters that can be shown."
        )
    for header, value in profile.headers:
        check_header(header, value)
    for header in profile.secret_headers:
        check_header(header, "")
    if bool(profile.client_certificate) != bool(profile.client_key):
        raise BadInput("A client certificate and its key are given together, as two files.")
    if profile.ca_file and profile.pinned_sha256:
        raise BadInput(
            "A CA file and a pinned certificate were given.",
            "One says whom to trust by authority, the other names the one certificate.",
            "Give one of them.",
        )
    if profile.tunnel is not None:
        _check_tunnel(profile.tunnel)
    if profile.context_tokens < 0:
        raise BadInput("A context length is a number of tokens.", "", "0 leaves it to the server.")
    return replace(
        profile,
        name=name,
        base_url=parse_address(profile.base_url).base_url,
        pinned_sha256=parse_fingerprint(profile.pinned_sha256),
        ca_file=_absolute(profile.ca_file),
        client_certificate=_absolute(profile.client_certificate),
        client_key=_absolute(profile.client_key),
    )


def check_header(name: str, value: str) -> None:
    """Raises BadInput for a header that can't be sent, or that the client sets itself."""
    if not _HEADER_NAME.fullmatch(name) or name.lower() in _OURS:
        raise BadInput(f'"{name}" can\'t be used as a header.')
    if not (value.isprintable() and value.isascii()):
        raise BadInput(
            f"The value of the header {name} can't be sent.",
            "It holds line breaks or characters beyond ASCII.",
        )


def profile_values(profile: ServerProfile) -> dict[str, Any]:
    """The profile as plain values for JSON."""
    return {**asdict(profile), "headers": [list(pair) for pair in profile.headers]}


def profile_of(values: object) -> ServerProfile:
    """Read back what `profile_values` wrote, checked anew.

    Raises:
        ValueError: it is something else.
    """
    if not isinstance(values, dict):
        raise ValueError("not an object")  # noqa: TRY004 - bad content, not a bad call
    try:
        tunnel = values.get("tunnel")
        profile = ServerProfile(
            **{
                **values,
                "headers": tuple((str(name), str(value)) for name, value in values["headers"]),
                "secret_headers": tuple(map(str, values["secret_headers"])),
                "tunnel": None if tunnel is None else SshTunnel(**tunnel),
            }
        )
        return checked(profile)
    except (TypeError, KeyError, AttributeError, BadInput) as error:
        raise ValueError(f"not a server: {error}") from error


def _split(text: str) -> tuple[SplitResult, int | None]:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise _bad_address(text, f"{error}.") from error
    if any(character.isspace() or not character.isprintable() for character in text):
        raise _bad_address(text, "It holds spaces.")
    return parts, port


def _bad_address(text: str, why: str) -> BadInput:
    return BadInput(
        f'"{text}" is not the address of a server.',
        why,
        "Enter one like http://10.0.0.5:8000 or https://example.org/prefix.",
    )


def _check_tunnel(tunnel: SshTunnel) -> None:
    """Refuse what ssh would take for an option, or the system for a port."""
    if not _SSH_DESTINATION.fullmatch(tunnel.destination):
        raise BadInput(
            f'"{tunnel.destination}" is nothing that ssh can log in to.',
            "",
            "Write it like user@host or user@host:22, or as ssh's own configuration calls it.",
        )
    if not 0 <= tunnel.port < 1 << 16 or not 0 <= tunnel.forward_port < 1 << 16:
        raise BadInput("A port is a number from 1 to 65535.")
    if bool(tunnel.forward_host) != bool(tunnel.forward_port):
        raise BadInput("Where the tunnel leads needs a host and a port.")
    if any(character.isspace() for character in tunnel.forward_host):
        raise BadInput(f'"{tunnel.forward_host}" is no host.')


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().absolute()) if path else ""
