"""Packages of a few lines as wheels: real pip installs them, and they fail when told to."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

WORKS: Final = ""
FAILS_WHEN_LOADED: Final = "raise OSError('libcudart.so.12: cannot open shared object file')"
WRITES_NOTHING: Final = "TOKENS = 0"
NEVER_ENDS: Final = "import time\nprint('loading', flush=True)\ntime.sleep(600)"

_MODULES: Final = {
    "vllm/__init__.py": """
from types import SimpleNamespace as Space
TOKENS = 4
{behaviour}
SamplingParams = Space
class LLM:
    def __init__(self, **settings): self.model = settings["model"]
    def generate(self, prompts, wanted):
        return [Space(outputs=[Space(token_ids=[1] * TOKENS)])]
""",
    "vllm/model_executor/__init__.py": "",
    "vllm/model_executor/models/__init__.py": "from .registry import ModelRegistry\n",
    "vllm/model_executor/models/registry.py": """
_PREVIOUSLY_SUPPORTED_MODELS = {"OldForCausalLM": "0.5"}
class ModelRegistry:
    get_supported_archs = staticmethod(lambda: {"LlamaForCausalLM", "QwenForCausalLM"})
""",
    "vllm/platforms/__init__.py": """
class current_platform: device_type = "cpu"
""",
    "transformers.py": """
class LlamaConfig:
    def __init__(self, **settings): pass
class LlamaForCausalLM(LlamaConfig):
    def __init__(self, config): pass
    def save_pretrained(self, folder): pass
class PreTrainedTokenizerFast(LlamaConfig):
    def save_pretrained(self, folder): pass
""",
    "tokenizers.py": """
from types import SimpleNamespace as Space
class Tokenizer:
    def __init__(self, model): pass
models = Space(WordLevel=lambda words, unk_token: None)
pre_tokenizers = Space(Whitespace=lambda: None)
""",
    "torchvision.py": "raise RuntimeError('operator torchvision::nms does not exist')\n",
}


def only_from(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder that pip takes packages from, and nothing else, as a user's settings say."""
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_RETRIES", "1")
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    return folder


def write_wheel(folder: Path, version: str, behaviour: str = WORKS) -> None:
    """Put vllm-VERSION and a torchvision that can't be loaded into a folder for --find-links."""
    companion = {"torchvision.py": _MODULES["torchvision.py"]}
    write_package(folder, "torchvision", "0.1", companion)
    own = {name: text for name, text in _MODULES.items() if name not in companion}
    own["vllm/__init__.py"] = own["vllm/__init__.py"].replace("{behaviour}", behaviour)
    write_package(folder, "vllm", version, own, "Requires-Dist: torchvision\n")


def write_package(
    folder: Path, name: str, version: str, files: dict[str, str], more: str = ""
) -> None:
    """Put a wheel of any files into a folder; `more` goes to its description."""
    info = f"{name}-{version}.dist-info"
    texts = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{more}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    texts[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*texts, f"{info}/RECORD"])
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for path, text in texts.items():
            wheel.writestr(path, text)
