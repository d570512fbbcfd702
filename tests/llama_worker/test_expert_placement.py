"""Experts in main memory: which tensors are meant, and that the answers stay the same."""

from __future__ import annotations

import ctypes
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support.worker import running_worker

from m1desk.llama_worker.__main__ import main
from m1desk.llama_worker.context import Batch, Context, ContextOptions
from m1desk.llama_worker.dry_run import DryRunOptions, dry_run
from m1desk.llama_worker.expert_placement import experts_pattern
from m1desk.llama_worker.model import LoadOptions, Model
from m1desk.llama_worker.native import Native
from m1desk.models import read_gguf_header

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

TOKENS = [(7 * number) % 200 + 20 for number in range(100)]
MOVED = re.compile(r"^tensor (\S+) .* buffer type overridden to (\S+)")


class MovedTensors:
    """What the engine says, at its finest, that it put elsewhere."""

    def __init__(self, native: Native) -> None:
        self.names: set[str] = set()
        self.places: set[str] = set()
        self._callback = native.lib.llama_log_callback(self._hear)  # must stay alive
        native.lib.llama_log_set(self._callback, ctypes.c_void_p(0))

    def _hear(self, _level: int, text: bytes, _user_data: object) -> None:
        found = MOVED.match(text.decode())
        if found:
            self.names.add(found[1])
            self.places.add(found[2])


def logits(native: Native, path: Path, layers: tuple[int, ...]) -> npt.NDArray[np.float32]:
    options = LoadOptions(path, extra_buffers=False, cpu_expert_layers=layers)
    model = Model(native, options, lambda _fraction: None)
    context = Context(native, model, ContextOptions(512))
    batch = Batch(native, len(TOKENS))
    index = batch.add(TOKENS, 0, 0, last_logits=True)
    assert context.decode(batch) == 0
    found = context.logits(index).copy()
    context.close()
    model.close()
    return found


def test_the_engine_moves_the_experts_of_these_layers_and_nothing_else(tiny_minimax: Path) -> None:
    native = Native()
    moved = MovedTensors(native)
    logits(native, tiny_minimax, (1, 3))
    kinds = ("ffn_up_exps", "ffn_gate_exps", "ffn_down_exps")
    assert moved.names == {f"blk.{layer}.{kind}.weight" for layer in (1, 3) for kind in kinds}
    assert moved.names < {tensor.name for tensor in read_gguf_header(tiny_minimax).tensors}
    assert moved.places == {"CPU"}


def test_where_experts_lie_changes_no_bit_of_an_answer(tiny_minimax: Path) -> None:
    native = Native()
    usual, moved = logits(native, tiny_minimax, ()), logits(native, tiny_minimax, (0, 1, 2, 3))
    assert np.abs(usual - moved).max() == 0.0


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("blk.1.ffn_gate_exps.weight", True),
        ("blk.12.ffn_down_exps.weight", True),
        ("blk.12.ffn_gate_up_exps.weight", True),
        ("blk.1.ffn_up_chexps.weight", True),
        ("blk.12.ffn_down_exps.scale", True),
        ("blk.2.ffn_gate_exps.weight", False),
        ("blk.11.ffn_gate_exps.weight", False),
        ("blk.112.ffn_gate_exps.weight", False),
        ("blk.1.ffn_gate_inp.weight", False),
        ("blk.1.ffn_gate_shexp.weight", False),
        ("blk.1.attn_q.weight", False),
    ],
)
def test_the_pattern_means_whole_numbers_and_routed_experts(name: str, meant: bool) -> None:
    assert bool(re.search(experts_pattern((1, 12)), name)) is meant


def test_a_worker_with_experts_in_main_memory_answers_the_same(tiny_minimax: Path) -> None:
    answers = []
    for more in ({}, {"cpu_expert_layers": "0,2"}):
        with running_worker(tiny_minimax, **more) as worker:
            answers.append(worker.complete("One two three", max_tokens=12)["choices"][0]["text"])
    assert answers[0] == answers[1]


def test_a_dry_run_counts_experts_wherever_they_lie(tiny_minimax: Path) -> None:
    usual = dry_run(DryRunOptions((tiny_minimax,), context_tokens=512))
    moved = dry_run(DryRunOptions((tiny_minimax,), context_tokens=512, cpu_expert_layers=(0, 1)))
    assert moved.weights_bytes == usual.weights_bytes
    assert moved.compute == usual.compute


@pytest.mark.parametrize("text", ["some", "1;2", "-1", "1,,2"])
def test_layers_that_are_no_numbers_are_refused(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["serve", "--model", "m.gguf", "--context", "256", f"--cpu-expert-layers={text}"]
    with pytest.raises(SystemExit):
        main(line)
    assert "--cpu-expert-layers" in capsys.readouterr().err
