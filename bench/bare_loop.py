"""The least there can be between Python and llama.cpp: what the worker is measured against.

Reads one JSON command a line, {"prompt": [...], "tokens": n}, and answers with the seconds that
the prefill and the decoding took.
"""

from __future__ import annotations

import ctypes
import json
import sys
import time

import llama_cpp.llama_cpp as lib


def main() -> None:
    path, context_tokens, threads, flash, extra = sys.argv[1:6]
    silence = lib.llama_log_callback(lambda _level, _text, _user: None)
    lib.llama_log_set(silence, ctypes.c_void_p(0))
    lib.llama_backend_init()
    model_params = lib.llama_model_default_params()
    model_params.use_extra_bufts = extra == "on"
    model = lib.llama_model_load_from_file(path.encode(), model_params)
    params = lib.llama_context_default_params()
    params.n_ctx = int(context_tokens)
    params.n_batch = 2048
    params.n_ubatch = 512
    params.n_threads = params.n_threads_batch = int(threads)
    params.flash_attn_type = int(flash == "on")
    params.no_perf = True
    context = lib.llama_init_from_model(model, params)
    print("ready", flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        print(json.dumps(run(context, command["prompt"], command["tokens"])), flush=True)


def run(context: object, prompt: list[int], count: int) -> dict[str, float]:
    lib.llama_memory_clear(lib.llama_get_memory(context), True)
    sampler = lib.llama_sampler_init_greedy()
    began = time.perf_counter()
    for start in range(0, len(prompt), 512):
        chunk = prompt[start : start + 512]
        array = (ctypes.c_int32 * len(chunk))(*chunk)
        lib.llama_decode(context, lib.llama_batch_get_one(array, len(chunk)))
    token = lib.llama_sampler_sample(sampler, context, -1)
    read = time.perf_counter()
    for _ in range(count - 1):
        one = (ctypes.c_int32 * 1)(token)
        lib.llama_decode(context, lib.llama_batch_get_one(one, 1))
        token = lib.llama_sampler_sample(sampler, context, -1)
    written = time.perf_counter()
    lib.llama_sampler_free(sampler)
    return {"prefill_seconds": read - began, "decode_seconds": written - read}


if __name__ == "__main__":
    main()
