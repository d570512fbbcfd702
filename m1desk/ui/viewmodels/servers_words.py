"""What is known of a server, in words: how it is reached, whom it trusts, where its secrets are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from m1desk.engines.remote.secrets import KEY, wanted

if TYPE_CHECKING:
    from m1desk.engines import ServerProfile, SshTunnel
    from m1desk.store import KeyringStatus
    from m1desk.ui.viewmodels.servers import KnownServer

Fact = tuple[str, str]

_SHOWN_DIGITS: Final = 16


def facts_of(known: KnownServer) -> list[Fact]:
    """Write what a server's settings say in lines of a name and a value."""
    profile = known.profile
    facts = [
        ("Address", profile.base_url),
        ("Model", profile.model or "the first that it lists"),
        *_context(profile),
        ("Secrets", secrets_text(known)),
        *((("Headers", headers),) if (headers := _headers(profile)) else ()),
        ("Trusted by", trust_text(profile)),
    ]
    if profile.client_certificate:
        facts.append(("Shown to it", f"{profile.client_certificate}, {profile.client_key}"))
    if profile.tunnel is not None:
        facts.append(("SSH tunnel", tunnel_text(profile.tunnel)))
    return facts


def secrets_text(known: KnownServer) -> str:
    """Say where its key and secret headers are."""
    names = [secret_name(what) for what in wanted(known.profile)]
    if not names:
        return "none"
    listed = ", ".join(names)
    if known.missing:
        unknown = ", ".join(secret_name(what) for what in known.missing)
        return f"{listed}; asked for when it is used: {unknown}"
    if known.for_session:
        return f"{listed}; kept until M1 Desk is closed, and not on the disk"
    return f"{listed}; in the system's keyring"


def secret_name(what: str) -> str:
    """What a secret is called to the person."""
    return "Key" if what == KEY else f"Header {what}"


def trust_text(profile: ServerProfile) -> str:
    """Say whose certificates are trusted."""
    if not profile.base_url.startswith("https:"):
        return "nothing to trust: it is not encrypted" + (
            ", but the SSH tunnel is" if profile.tunnel else ""
        )
    if profile.pinned_sha256:
        return f"its pinned certificate, SHA-256 {profile.pinned_sha256[:_SHOWN_DIGITS]}…"
    if profile.ca_file:
        return f"the authorities of {profile.ca_file}"
    return "the system's authorities"


def tunnel_text(tunnel: SshTunnel) -> str:
    """Say through which machine it is reached."""
    port = f":{tunnel.port}" if tunnel.port else ""
    to = f" to {tunnel.forward_host}:{tunnel.forward_port}" if tunnel.forward_host else ""
    settings = f", settings of {tunnel.config_file}" if tunnel.config_file else ""
    return f"{tunnel.destination}{port}{to}{settings}"


def keeping_text(keyring: KeyringStatus | None) -> str:
    """Say where a secret that is entered now will be kept."""
    if keyring is None:
        return "Asking the keyring…"
    if keyring.usable:
        return f"Kept in the system's keyring ({keyring.backend}) and nowhere else."
    return (
        f"Secrets can't be kept here: {keyring.reason.rstrip('.')}. What you enter is kept until "
        "M1 Desk is closed, then asked for again. It is never written to the disk."
    )


def _context(profile: ServerProfile) -> tuple[Fact, ...]:
    tokens = profile.context_tokens
    return (("Context length", f"{tokens:,} tokens, if it does not say"),) if tokens else ()


def _headers(profile: ServerProfile) -> str:
    return ", ".join(f"{name}: {value}" for name, value in profile.headers)
