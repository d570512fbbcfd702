"""The engine's own dry run of quantizing: which type each tensor would get."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

_PROGRAM = """
import ctypes, json, sys
import llama_cpp.llama_cpp as lib
said = []
@lib.llama_log_callback
def listen(level, text, data):
    said.append(text.decode("utf-8", "replace"))
lib.llama_log_set(listen, ctypes.c_void_p(0))
lib.llama_backend_init()
source, types = sys.argv[1], json.loads(sys.argv[2])
answers = {}
for name, number in types.items():
    said.clear()
    params = lib.llama_model_quantize_default_params()
    params.ftype, params.dry_run, params.nthread = number, True, 1
    code = lib.llama_model_quantize(source.encode(), (source + ".out").encode(), params)
    answers[name] = {"code": code, "log": "".join(said)}
print(json.dumps(answers))
"""
_LINE = re.compile(r"\] +(\S+) +- \[[^\]]*\], type = +(\w+), [^\n(]*(?:\((\w+)\))?")

FILE_TYPES = {
    "F16": 1, "Q4_0": 2, "Q8_0": 7, "Q2_K": 10, "Q3_K_S": 11, "Q3_K_M": 12, "Q3_K_L": 13,
    "Q4_K_S": 14, "Q4_K_M": 15, "Q5_K_S": 16, "Q5_K_M": 17, "Q6_K": 18, "IQ2_XXS": 19,
    "IQ2_XS": 20, "IQ3_XXS": 23, "IQ1_S": 24, "IQ2_M": 29, "IQ4_XS": 30, "IQ1_M": 31, "BF16": 32,
}  # fmt: skip
"""llama.h's numbers of the mixes."""


def quantized_types(source: Path, names: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """Type of each tensor (capital letters) in each of the mixes `names` of a BF16 model.

    `source` needs no weights: a header on a sparse file will do.
    """
    chosen = json.dumps({name: FILE_TYPES[name] for name in names})
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(source), chosen],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    answers = json.loads(done.stdout.strip().splitlines()[-1])
    assert all(answer["code"] == 0 for answer in answers.values()), answers
    return {
        name: {
            tensor: (target or stored).upper()
            for tensor, stored, target in _LINE.findall(answer["log"])
        }
        for name, answer in answers.items()
    }
