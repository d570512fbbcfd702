"""Where other programs of this machine keep models, by platform and by their own settings."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class OtherPlaces:
    """Folders of other programs; those that don't exist are harmless.

    Attributes:
        huggingface: the Hub's cache.
        ollama: the folder with `manifests` and `blobs`.
        jan: Jan's data folders.
    """

    huggingface: tuple[Path, ...] = ()
    lmstudio: tuple[Path, ...] = ()
    jan: tuple[Path, ...] = ()
    ollama: tuple[Path, ...] = ()

    @staticmethod
    def of_user(
        environment: Mapping[str, str] | None = None,
        home: Path | None = None,
        platform: str = sys.platform,
    ) -> OtherPlaces:
        """The folders of this user, or of the one described."""
        variables = os.environ if environment is None else environment
        user = home or Path.home()
        return OtherPlaces(
            huggingface=(_huggingface(variables, user),),
            lmstudio=_lmstudio(user),
            jan=_jan(variables, user, platform),
            ollama=_ollama(variables, user, platform),
        )


def _huggingface(variables: Mapping[str, str], home: Path) -> Path:
    """HF_HUB_CACHE, else hub below HF_HOME, else ~/.cache/huggingface/hub (huggingface_hub)."""
    if variables.get("HF_HUB_CACHE"):
        return Path(variables["HF_HUB_CACHE"]).expanduser()
    if variables.get("HF_HOME"):
        return Path(variables["HF_HOME"]).expanduser() / "hub"
    cache = variables.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else home / ".cache") / "huggingface" / "hub"


def _lmstudio(home: Path) -> tuple[Path, ...]:
    """~/.lmstudio/models, ~/.cache/lm-studio/models, or where its pointer and settings lead."""
    homes = [home / ".lmstudio", home / ".cache" / "lm-studio"]
    pointer = _text(home / ".lmstudio-home-pointer").strip()
    if pointer:
        homes.insert(0, Path(pointer))
    folders = [place / "models" for place in homes]
    chosen = (_json(place / "settings.json").get("downloadsFolder") for place in homes)
    folders += [Path(folder) for folder in chosen if isinstance(folder, str) and folder]
    return tuple(dict.fromkeys(folders))


def _jan(variables: Mapping[str, str], home: Path, platform: str) -> tuple[Path, ...]:
    """Jan's data folder: in the platform's place for data, or ~/jan of early versions."""
    if platform == "win32":
        base = [Path(variables.get("APPDATA", home / "AppData" / "Roaming"))]
    elif platform == "darwin":
        base = [home / "Library" / "Application Support"]
    else:
        base = [
            Path(variables.get("XDG_DATA_HOME") or home / ".local" / "share"),
            Path(variables.get("XDG_CONFIG_HOME") or home / ".config"),
        ]
    folders = [place / "Jan" / "data" for place in base]
    chosen = (_json(place / "Jan" / "settings.json").get("data_folder") for place in base)
    folders += [Path(folder) for folder in chosen if isinstance(folder, str) and folder]
    return (*folders, home / "jan")


def _ollama(variables: Mapping[str, str], home: Path, platform: str) -> tuple[Path, ...]:
    """OLLAMA_MODELS, else ~/.ollama/models, and the folder of Linux' system service."""
    if variables.get("OLLAMA_MODELS"):
        return (Path(variables["OLLAMA_MODELS"]).expanduser(),)
    service = (Path("/usr/share/ollama/.ollama/models"),) if platform == "linux" else ()
    return (home / ".ollama" / "models", *service)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")[:4096]
    except (OSError, UnicodeDecodeError):
        return ""


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes()[: 1024 * 1024])
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
