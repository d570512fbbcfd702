"""Why an installation failed, read from what pip or uv said, in words for the user."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from m1desk.engines.environments.values import InstallRequest
from m1desk.errors import EngineFailed

_NETWORK: Final = re.compile(
    r"NewConnectionError|NameResolutionError|Name or service not known|name resolution"
    r"|Connection refused|Connection reset|Network is unreachable|No route to host|timed out"
    r"|IncompleteRead|Connection aborted|RemoteDisconnected|dns error|error sending request"
    r"|Failed to fetch|ConnectionResetError|ConnectTimeout|ReadTimeout|Could not connect"
)
_PROXY: Final = re.compile(
    r"ProxyError|Cannot connect to proxy|proxy authentication", re.IGNORECASE
)
_CERTIFICATE: Final = re.compile(r"CERTIFICATE_VERIFY_FAILED|invalid peer certificate|SSLError")
_FORBIDDEN: Final = re.compile(r"\b(401|403)\b.*(?:Error|Unauthorized|Forbidden)", re.IGNORECASE)
_DISK: Final = re.compile(
    r"No space left on device|Errno 28|os error 28|disk is full", re.IGNORECASE
)
_QUOTA: Final = re.compile(r"Disk quota exceeded|Errno 122", re.IGNORECASE)
_DENIED: Final = re.compile(r"Permission denied|Errno 13|Read-only file system", re.IGNORECASE)
_HASH: Final = re.compile(r"DO NOT MATCH THE HASHES|Hash mismatch", re.IGNORECASE)
_OTHER_PYTHON: Final = re.compile(
    r"require a different python version|Requires-Python|requires? Python|Python ABI tag",
    re.IGNORECASE,
)
_NO_BUILD: Final = re.compile(
    r"Failed building wheel|Failed to build|subprocess-exited-with-error|Could not build wheels"
    r"|metadata-generation-failed"
)
_PLATFORM: Final = re.compile(
    r"is not a supported wheel on this platform|no wheels? with a matching", re.IGNORECASE
)
_NO_VERSION: Final = re.compile(
    r"No matching distribution found for ([^\s]+)|there is no version of ([^\s]+)"
)
_VERSIONS: Final = re.compile(r"\(from versions: ([^)]*)\)")
_NOT_FOUND: Final = re.compile(r"was not found in the package registry|404 Client Error")
_CONFLICT: Final = re.compile(r"ResolutionImpossible|conflicting dependencies|No solution found")
_OTHER_VERSION: Final = "Name another version, or an index that has it (global.extra-index-url)."
_NO_VENV: Final = re.compile(r"ensurepip is not available|No module named '?(?:venv|ensurepip)")
_COMPLAINT: Final = re.compile(r"^\s*(?:ERROR|error|×|╰─▶)[:\s]*(.+)", re.IGNORECASE)


def explain(
    request: InstallRequest, lines: Sequence[str], fate: str, log_path: Path
) -> EngineFailed:
    """What went wrong, the surest evidence first."""
    text = "\n".join(lines)
    why, todo = _cause(request, text) or (
        _complaint(lines) or f"The installer ended with {fate}.",
        f"All that it said is in {log_path}.",
    )
    return EngineFailed(f"{request.requirement} could not be installed.", why, todo)


def _cause(request: InstallRequest, text: str) -> tuple[str, str] | None:
    if _DISK.search(text) or _QUOTA.search(text):
        return "The disk is full.", "Make room, or choose another folder for the app's data."
    if _NO_VENV.search(text):
        return (
            "This Python can't make virtual environments.",
            "Install its venv package (Debian, Ubuntu: python3-venv), or name another Python.",
        )
    if _HASH.search(text):
        return (
            "A file that came is not the one that was announced.",
            "Try again; if it stays so, the index or a proxy on the way is broken.",
        )
    if found := _reach(text) or _missing_part(request, text):
        return found
    if _OTHER_PYTHON.search(text):
        return (
            f"{request.requirement} is not made for this version of Python.",
            "Name another interpreter with --python; vLLM wants 3.10 to 3.13.",
        )
    if _PLATFORM.search(text) or _NO_BUILD.search(text):
        what = f"{request.requirement}, or of something it needs,"
        return (
            f"There is no ready-made build of {what} for this system and Python.",
            "Name another interpreter with --python, or another version.",
        )
    if _NO_VERSION.search(text) or _NOT_FOUND.search(text):
        return _missing(request, text)
    if _CONFLICT.search(text):
        return (
            "What it needs can't be had together from your index.",
            "Choose another version, or look at your own constraints (PIP_CONSTRAINT).",
        )
    if _DENIED.search(text):
        return "A folder can't be written.", "Check the permissions of the app's data folder."
    return None


def _reach(text: str) -> tuple[str, str] | None:
    """The ways in which the index was not reached."""
    if _PROXY.search(text):
        return "The proxy could not be used.", "Check the proxy settings (HTTPS_PROXY, pip config)."
    if _CERTIFICATE.search(text):
        return (
            "The package index's certificate is not trusted here.",
            "Give pip your network's authority: pip config set global.cert FILE.pem.",
        )
    if _FORBIDDEN.search(text):
        return (
            "The package index wants a login, or refuses this one.",
            "Put the login where pip looks for it (keyring or netrc), then try again.",
        )
    if _NETWORK.search(text) and not _known_versions(text):
        return (
            "The package index could not be reached.",
            "Check the network; what was fetched already is not fetched again.",
        )
    return None


def _missing_part(request: InstallRequest, text: str) -> tuple[str, str] | None:
    """A requirement of the engine's own that no index has, such as torch for processors alone."""
    found = _NO_VERSION.search(text)
    wanted = "" if found is None else (found[1] or found[2]).rstrip(";")
    if not wanted or wanted.startswith(request.package):
        return None
    if not re.match(r"torch\w*==[\w.]+\+", wanted):
        return f"It needs {wanted}, which your index does not have.", _OTHER_VERSION
    return (
        f"It needs {wanted}, a build that PyTorch keeps in an index of its own.",
        "Let pip know that index (global.extra-index-url; pytorch.org says where it is).",
    )


def _missing(request: InstallRequest, text: str) -> tuple[str, str]:
    found = _NO_VERSION.search(text)
    wanted = (found[1] or found[2]) if found else request.requirement
    known = _known_versions(text)
    if not known:
        return (
            f"The index has no {wanted} for this system and this Python.",
            "Check the name, or name another interpreter with --python.",
        )
    newest = ", ".join(known[-5:])
    return f"There is no {wanted}.", f"The newest that fit this machine: {newest}."


def _known_versions(text: str) -> tuple[str, ...]:
    found = _VERSIONS.search(text)
    if found is None or found[1] == "none":
        return ()
    return tuple(part.strip() for part in found[1].split(","))


def _complaint(lines: Sequence[str]) -> str:
    """The first line that says of itself that it is an error."""
    for line in lines:
        if found := _COMPLAINT.match(line):
            return f"It says: {found[1].strip()[:300]}"
    return ""
