"""Run by an environment's own Python: vLLM writes a few tokens with a tiny model made here."""

import json
import sys
import tempfile
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from vllm import LLM, SamplingParams

WORDS = 64
TOKENS = 4


def write_model(folder: Path) -> None:
    """Write a random Llama of two layers with a vocabulary of words; a megabyte."""
    words = {f"w{number}": number for number in range(WORDS)}
    unknown, begin, end = "w0", "w1", "w2"
    tokenizer = Tokenizer(models.WordLevel(words, unk_token=unknown))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token=unknown, bos_token=begin, eos_token=end
    ).save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=WORDS,
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        bos_token_id=1,
        eos_token_id=2,
    )
    LlamaForCausalLM(config).save_pretrained(folder)


def main() -> None:
    """Print one line: a mark and how many tokens were written."""
    with tempfile.TemporaryDirectory() as name:
        write_model(Path(name))
        engine = LLM(
            model=name,
            dtype="float32",
            enforce_eager=True,
            max_model_len=128,
            max_num_seqs=1,
            kv_cache_memory_bytes=64 << 20,
        )
        wanted = SamplingParams(max_tokens=TOKENS, ignore_eos=True, temperature=0)
        answers = engine.generate(["w3 w4 w5"], wanted)
        written = len(answers[0].outputs[0].token_ids)
    sys.stdout.write(f"\nM1DESK-ANSWER {json.dumps({'tokens': written})}\n")


if __name__ == "__main__":
    main()
