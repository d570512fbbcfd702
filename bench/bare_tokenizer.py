"""The least there can be between Python and llama.cpp's tokenizer, to measure the app against.

    python bench/bare_tokenizer.py MODEL.gguf

Reads one JSON string a line, and answers with its number of tokens and the seconds it took.
"""

from __future__ import annotations

import ctypes
import json
import sys
import time

import llama_cpp.llama_cpp as lib


def main() -> None:
    silence = lib.llama_log_callback(lambda _level, _text, _user: None)
    lib.llama_log_set(silence, ctypes.c_void_p(0))
    lib.llama_backend_init()
    params = lib.llama_model_default_params()
    params.vocab_only = True
    model = lib.llama_model_load_from_file(sys.argv[1].encode(), params)
    vocab = lib.llama_model_get_vocab(model)
    print("ready", flush=True)
    for line in sys.stdin:
        text = json.loads(line)
        began = time.perf_counter()
        count = count_tokens(vocab, text)
        print(json.dumps([count, time.perf_counter() - began]), flush=True)


def count_tokens(vocab: object, text: str) -> int:
    data = text.encode()
    tokens = (ctypes.c_int32 * (len(data) + 8))()
    return int(lib.llama_tokenize(vocab, data, len(data), tokens, len(tokens), False, False))


if __name__ == "__main__":
    main()
