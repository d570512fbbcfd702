"""The engine reads MiniMax-M1's architecture as transformers does.

tests/data/m1_reference.npz holds transformers' logits of a small random M1, the tokens and the
spec its weights are made from (see tools/m1_reference/make_reference.py).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support.bare_llama import BareLlama

from m1desk.llama_worker.tiny_model import TinyModelSpec, write_tiny_model

if TYPE_CHECKING:
    import numpy.typing as npt

RECORDED = Path(__file__).parents[1] / "data" / "m1_reference.npz"


@dataclass(frozen=True)
class Reference:
    model: Path
    tokens: list[int]
    logits: npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    with np.load(RECORDED) as recorded:
        spec = TinyModelSpec(**json.loads(str(recorded["spec"])))
        model = write_tiny_model(tmp_path_factory.mktemp("reference") / "m1.gguf", spec)
        return Reference(model, recorded["tokens"].tolist(), recorded["logits"])


@pytest.mark.parametrize(
    ("chunk", "ubatch"),
    [
        pytest.param(320, 320, id="all at once"),
        pytest.param(320, 160, id="two ubatches"),
        pytest.param(64, 64, id="in chunks"),
        pytest.param(7, 512, id="in odd chunks"),
        pytest.param(1, 512, id="token by token"),
    ],
)
def test_the_engine_agrees_with_transformers(reference: Reference, chunk: int, ubatch: int) -> None:
    with BareLlama(reference.model, ubatch=ubatch) as llama:
        logits = llama.logits(reference.tokens, chunk=chunk)

    error = np.abs(logits - reference.logits).max() / np.abs(reference.logits).max()
    assert error <= 1e-3
    assert (logits.argmax(axis=1) == reference.logits.argmax(axis=1)).all()


def test_the_reference_has_something_to_disagree_about(reference: Reference) -> None:
    likeliest = reference.logits.argmax(axis=1)

    assert len(reference.tokens) > 256  # one block of transformers' lightning attention
    assert len(set(likeliest.tolist())) > 50
    assert reference.logits.std() > 1.0
