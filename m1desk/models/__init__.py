"""Models: their headers, the hub and the catalog, what is on this machine, and fetching more."""

from __future__ import annotations

from m1desk.models.architectures import (
    check_loadable,
    engine_version,
    is_known_architecture,
)
from m1desk.models.catalog import (
    Catalog,
    CatalogModel,
    CatalogWay,
    load_catalog,
)
from m1desk.models.downloads import (
    Download,
    DownloadFailure,
    DownloadFile,
    DownloadManager,
    DownloadState,
)
from m1desk.models.found import Library, checkpoint_name, look_at_checkpoint, scan_library
from m1desk.models.gguf import read_gguf_header
from m1desk.models.header import GgufHeader, LayerKind, MetaValue, SkippedValue, TensorInfo
from m1desk.models.hub import HUGGING_FACE, Hub, HubSettings, hub_settings, token_name
from m1desk.models.hub_values import HubFile, HubModel, HubRepository, HubVariant
from m1desk.models.library import LocalModel, ModelSource, scan_models
from m1desk.models.places import OtherPlaces
from m1desk.models.removal import Removal, plan_removal, remove_model
from m1desk.models.safetensors import (
    SafetensorsModel,
    SafetensorsTensor,
    read_safetensors_folder,
)
from m1desk.models.verification import FileCheck, Verification, verify_model

__all__ = [
    "HUGGING_FACE",
    "Catalog",
    "CatalogModel",
    "CatalogWay",
    "Download",
    "DownloadFailure",
    "DownloadFile",
    "DownloadManager",
    "DownloadState",
    "FileCheck",
    "GgufHeader",
    "Hub",
    "HubFile",
    "HubModel",
    "HubRepository",
    "HubSettings",
    "HubVariant",
    "LayerKind",
    "Library",
    "LocalModel",
    "MetaValue",
    "ModelSource",
    "OtherPlaces",
    "Removal",
    "SafetensorsModel",
    "SafetensorsTensor",
    "SkippedValue",
    "TensorInfo",
    "Verification",
    "check_loadable",
    "checkpoint_name",
    "engine_version",
    "hub_settings",
    "is_known_architecture",
    "load_catalog",
    "look_at_checkpoint",
    "plan_removal",
    "read_gguf_header",
    "read_safetensors_folder",
    "remove_model",
    "scan_library",
    "scan_models",
    "token_name",
    "verify_model",
]
