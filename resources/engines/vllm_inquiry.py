"""Run by an environment's own Python: what vLLM it has. Imports nothing of M1 Desk."""

import importlib.metadata
import json
import platform
import sys

import vllm  # what the answer is about; it must load
from vllm.model_executor.models import ModelRegistry, registry
from vllm.platforms import current_platform


def main() -> None:
    """Print one line: a mark and a JSON object; vLLM itself logs to the same place."""
    owners = importlib.metadata.packages_distributions().get(vllm.__name__) or ["vllm"]
    answer = {
        "package": owners[0],
        "version": importlib.metadata.version(owners[0]),
        "python": platform.python_version(),
        "runs_on": [current_platform.device_type],
        "architectures": sorted(ModelRegistry.get_supported_archs()),
        # its own list of what it has dropped, and since when; it reads it itself for its errors
        "removed": dict(getattr(registry, "_PREVIOUSLY_SUPPORTED_MODELS", {})),
    }
    sys.stdout.write(f"\nM1DESK-ANSWER {json.dumps(answer)}\n")


if __name__ == "__main__":
    main()
