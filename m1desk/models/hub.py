"""The model hub: searched, looked into, and read at a distance. Every call waits for the network.

Call from a worker thread (`asyncio.to_thread`), never from the window's or the loop's.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urlsplit

from m1desk.errors import BadInput, HubError, StorageError
from m1desk.models.gguf import joined_header, part_names, read_part
from m1desk.models.hub_errors import hub_errors, offline, unusable_answer
from m1desk.models.hub_values import HubFile, HubModel, HubRepository, variants_of
from m1desk.models.ranges import RangeStream
from m1desk.models.safetensors import (
    read_safetensors_model,
    read_tensor_table,
)
from m1desk.store import AppSettings, get_secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from huggingface_hub import HfApi, ModelInfo

    from m1desk.models.gguf import FilePart
    from m1desk.models.header import GgufHeader
    from m1desk.models.hub_session import RemoteBytes
    from m1desk.models.safetensors import SafetensorsModel

HUGGING_FACE: Final = "https://huggingface.co"
SortBy = Literal["downloads", "likes", "last_modified", "trending_score", "created_at"]

_CALL_SECONDS: Final = 30.0
_SEARCH_LIMIT: Final = 500
_FILES_LIMIT: Final = 20_000
_SMALL_FILE: Final = 64 * 1024 * 1024
_AT_ONCE: Final = 8
_YES: Final = frozenset({"1", "on", "yes", "true"})


@dataclass(frozen=True, slots=True)
class HubSettings:
    """How the hub is reached.

    Attributes:
        endpoint: its address without a slash at the end.
        offline: ask nothing.
        token: of the user's account there, None to ask as nobody.
    """

    endpoint: str = HUGGING_FACE
    offline: bool = False
    token: str | None = field(default=None, repr=False)


def hub_settings(
    settings: AppSettings | None = None, environment: Mapping[str, str] | None = None
) -> HubSettings:
    """How this user reaches the hub.

    The address is HF_ENDPOINT, or the one chosen in the settings, or Hugging Face's. The token is
    HF_TOKEN, or the keyring's for that address, so that no other hub ever gets it. Raises BadInput
    for an address that is none.
    """
    chosen = settings or AppSettings()
    variables = os.environ if environment is None else environment
    endpoint = variables.get("HF_ENDPOINT") or chosen.hub_endpoint or HUGGING_FACE
    parts = urlsplit(endpoint)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise BadInput(
            f'"{endpoint}" is not the address of a hub.', "", "Enter one like https://example.org."
        )
    endpoint = endpoint.rstrip("/")
    is_offline = chosen.offline or variables.get("HF_HUB_OFFLINE", "").lower() in _YES
    return HubSettings(endpoint, is_offline, variables.get("HF_TOKEN") or _kept_token(endpoint))


def token_name(endpoint: str) -> str:
    """Name under which the keyring keeps the token for the hub at `endpoint`."""
    return f"hub-token:{urlsplit(endpoint).netloc}"


def _kept_token(endpoint: str) -> str | None:
    try:
        return get_secret(token_name(endpoint))
    except StorageError:  # without a keyring, what is open to all can still be fetched
        return None


class Hub:
    """Questions to the hub. All methods block, and raise HubError (BadInput for a bad name)."""

    def __init__(self, settings: HubSettings) -> None:
        self.settings = settings

    def search(
        self,
        text: str = "",
        *,
        limit: int = 50,
        sort: SortBy = "downloads",
        gguf_only: bool = True,
        author: str | None = None,
    ) -> tuple[HubModel, ...]:
        """Models whose name contains `text`, at most 500."""
        return self._list(
            f'the search for "{text}"',
            search=text or None,
            author=author,
            filter="gguf" if gguf_only else None,
            sort=sort,
            limit=min(max(limit, 1), _SEARCH_LIMIT),
        )

    def quantizations(
        self, base_model: str, *, limit: int = 50, gguf_only: bool = True
    ) -> tuple[HubModel, ...]:
        """Repositories that say they hold quantizations of the model `base_model`."""
        filters = [f"base_model:quantized:{base_model}", *(["gguf"] if gguf_only else [])]
        return self._list(
            f"quantizations of {base_model}",
            filter=filters,
            sort="downloads",
            limit=min(max(limit, 1), _SEARCH_LIMIT),
        )

    def repository(self, repo_id: str, revision: str | None = None) -> HubRepository:
        """A repository with its files, their sizes and checksums."""
        with hub_errors(repo_id):
            info = self._api(repo_id).model_info(
                repo_id, revision=revision, files_metadata=True, timeout=_CALL_SECONDS
            )
            return _repository(info)

    def gguf_header(self, repo_id: str, path: str, revision: str | None = None) -> GgufHeader:
        """Header of a GGUF in a repository, of a split one all parts; weights don't travel.

        Its paths are those inside the repository. Also raises ModelFileError.
        """
        first = self._part(repo_id, path, revision)
        folder = PurePosixPath(path).parent
        names = part_names(PurePosixPath(path).name, first)
        paths = tuple(str(folder / name) for name in names)
        with ThreadPoolExecutor(min(len(paths), _AT_ONCE)) as pool:
            parts = pool.map(
                lambda each: first if each == path else self._part(repo_id, each, revision), paths
            )
            return joined_header(tuple(Path(each) for each in paths), tuple(parts))

    def safetensors_model(
        self, repo_id: str, revision: str | None = None, *, tensors: bool = False
    ) -> SafetensorsModel:
        """What a safetensors repository says of its model, from config.json and its index.

        `tensors` asks each file for its header too: exact sizes and types by tensor, for the
        price of two requests a file. Also raises ModelFileError.
        """
        repository = self.repository(repo_id, revision)
        sizes = {file.path: file.size_bytes for file in repository.files}
        model = read_safetensors_model(
            repo_id,
            sizes,
            lambda path: self._small_file(repo_id, path, repository.commit),
            license_name=repository.model.license,
            parameter_count=repository.parameter_count,
        )
        if not tensors:
            return model
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            tables = pool.map(
                lambda path: self._tensor_table(repo_id, path, repository.commit), model.shards
            )
            return model.with_tensors(tuple(tables))

    def _tensor_table(self, repo_id: str, path: str, revision: str) -> Any:  # noqa: ANN401
        remote = self._remote(repo_id, path, revision)
        stream = RangeStream(remote.fetch, remote.size, PurePosixPath(path).name)
        return read_tensor_table(stream, remote.size, path)

    def _part(self, repo_id: str, path: str, revision: str | None) -> FilePart:
        remote = self._remote(repo_id, path, revision)
        label = PurePosixPath(path).name
        return read_part(RangeStream(remote.fetch, remote.size, label), remote.size, label)

    def _small_file(self, repo_id: str, path: str, revision: str) -> bytes:
        remote = self._remote(repo_id, path, revision)
        if remote.size > _SMALL_FILE:
            raise unusable_answer(repo_id, f"{path} is absurdly large ({remote.size:,} bytes).")
        return RangeStream(remote.fetch, remote.size, path).read()

    def _remote(self, repo_id: str, path: str, revision: str | None) -> RemoteBytes:
        self._api(repo_id)
        from huggingface_hub import hf_hub_url  # noqa: PLC0415 - slow to import

        from m1desk.models.hub_session import RemoteBytes  # noqa: PLC0415 - slow to import

        with hub_errors(repo_id):
            url = hf_hub_url(repo_id, path, revision=revision, endpoint=self.settings.endpoint)
        return RemoteBytes(url, f"{repo_id}/{path}", self.settings.token)

    def _list(self, subject: str, **question: Any) -> tuple[HubModel, ...]:  # noqa: ANN401
        with hub_errors(subject):
            found = self._api(subject).list_models(full=True, **question)
            return tuple(_model(info) for info in found)

    def _api(self, subject: str) -> HfApi:
        if self.settings.offline:
            raise offline(subject)
        from huggingface_hub import HfApi  # noqa: PLC0415 - slow to import

        from m1desk.models.hub_session import install_client  # noqa: PLC0415 - slow to import

        install_client()
        return HfApi(
            endpoint=self.settings.endpoint,
            token=self.settings.token or False,  # False: no other token it may find
            library_name="m1desk",
        )


def _model(info: ModelInfo) -> HubModel:
    tags = tuple(str(tag) for tag in info.tags or ())
    gate: Literal["open", "automatic", "manual"] = "open"
    if info.gated:
        gate = "automatic" if info.gated == "auto" else "manual"
    return HubModel(
        repo_id=str(info.id),
        downloads=int(info.downloads or 0),
        likes=int(info.likes or 0),
        updated=info.last_modified,
        gate=gate,
        private=bool(info.private),
        license=_after("license:", tags),
        tags=tags,
        base_models=_base_models(tags),
    )


def _base_models(tags: tuple[str, ...]) -> tuple[str, ...]:
    """Models named by tags like base_model:quantized:owner/name."""
    named = (tag.rsplit(":", 1)[-1] for tag in tags if tag.startswith("base_model:"))
    return tuple(dict.fromkeys(name for name in named if "/" in name))


def _after(prefix: str, tags: tuple[str, ...]) -> str:
    return next((tag.removeprefix(prefix) for tag in tags if tag.startswith(prefix)), "")


def _repository(info: ModelInfo) -> HubRepository:
    siblings = (info.siblings or [])[:_FILES_LIMIT]
    files = tuple(
        HubFile(
            path=_safe_path(sibling.rfilename),
            size_bytes=int(sibling.size or 0),
            sha256=sibling.lfs.sha256 if sibling.lfs else "",
            blob_id=sibling.blob_id or "",
        )
        for sibling in siblings
    )
    if not info.sha:
        raise HubError(
            f"The hub's answer about {info.id} can't be used.", "It names no commit.", kind="answer"
        )
    facts = info.gguf or {}
    total = facts.get("total") or (info.safetensors.total if info.safetensors else 0)
    return HubRepository(
        model=_model(info),
        commit=info.sha,
        files=files,
        parameter_count=total if isinstance(total, int) else 0,
        architecture=str(facts.get("architecture") or ""),
        context_tokens=int(facts.get("context_length") or 0),
        variants=variants_of(files),
    )


def _safe_path(path: str) -> str:
    """Refuse a path that would leave the folder it is fetched to."""
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or "\\" in path or ":" in path or "\0" in path:
        raise ValueError(f"a file is called {path!r}")
    return str(pure)
