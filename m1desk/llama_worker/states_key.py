"""Under what the states of a loaded model hold good: its files, the engine's build, settings."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from m1desk.llama_worker.model import Model
from m1desk.llama_worker.native import Native
from m1desk.llama_worker.states_digest import bytes_digest, model_parts, sampled_digest
from m1desk.llama_worker.states_manifest import StateKey


def make_state_key(
    native: Native,
    model: Model,
    path: Path,
    *,
    context_tokens: int,
    kv_type: str,
    flash_attention: bool,
) -> StateKey:
    """The key of what is loaded now.

    Sizes and contents count, not dates: a model that was copied or moved is still the same. Not
    part of it, because a state does not depend on them: the number of sequences, the context's
    length, batch sizes, threads, and where layers are computed.

    Raises:
        OSError: a file of the model or of the engine can't be read.
    """
    release = version("llama-cpp-python")
    libraries = sampled_digest(_libraries(Path(native.lib.__file__).parent))
    build = f"{release}\n{libraries}\n{native.system_info()}"
    return StateKey(
        model_name=model.facts.name,
        model=sampled_digest(model_parts(path)),
        engine_name=f"llama-cpp-python {release}",
        engine=bytes_digest(build.encode()),
        kv_type=kv_type,
        flash_attention=flash_attention,
        long_rope=_uses_long_rope(model, context_tokens),
    )


def _libraries(folder: Path) -> list[Path]:
    """The engine's libraries, each once: links to them are left out."""
    suffixes = {".so", ".dylib", ".dll"}
    return sorted(
        path
        for path in folder.rglob("*")
        if suffixes.intersection(path.suffixes) and path.is_file() and not path.is_symlink()
    )


def _uses_long_rope(model: Model, context_tokens: int) -> bool:
    key = f"{model.facts.architecture}.rope.scaling.original_context_length"
    original = model.metadata(key) or ""
    return original.isdecimal() and context_tokens > int(original) > 0
