"""Options that several commands have: each one's text and limits stand here once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

Model = Annotated[Path, typer.Argument(help="A GGUF file, or a folder for vLLM.", metavar="MODEL")]
EngineName = Annotated[
    str, typer.Option("--engine", metavar="NAME", help="llama.cpp or vllm; else by the model.")
]
EnvironmentName = Annotated[
    str, typer.Option("--environment", metavar="NAME", help="The one whose vLLM is used.")
]
ChatTemplate = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="vLLM: in place of the model's own chat template."),
]
Answerer = Annotated[
    Path | None, typer.Option("--model", help="A GGUF file; else the one used last, or the demo.")
]
Files = Annotated[
    list[Path] | None, typer.Argument(help="Documents and folders.", metavar="[FILES]...")
]

USUAL_CONTEXT: Final = 8192
"""Where nobody asks for another (tokens)."""

Context = Annotated[int, typer.Option(min=1, help="Context length (tokens).")]
EngineContext = Annotated[
    int | None,
    typer.Option(
        "--context",
        min=1,
        help=f"Context length (tokens); else {USUAL_CONTEXT:,}, or with vLLM what suits the model.",
    ),
]
FittingContext = Annotated[
    int, typer.Option("--context", min=0, help="Context length (tokens); 0: as the files need.")
]
Parallel = Annotated[int, typer.Option(min=1, help="Requests served at once.")]
KvType = Annotated[
    str, typer.Option(help="Type of the KV cache: f16, q8_0 or q4_0; vLLM: f16 or fp8.")
]
GpuLayers = Annotated[int, typer.Option(help="Layers on the GPU; -1 for all.")]

Temperature = Annotated[
    float | None,
    typer.Option(min=0.0, help="How freely words are chosen; 0: always the likeliest."),
]
TopP = Annotated[
    float | None, typer.Option(min=0.0, max=1.0, help="Choose among words of this probability.")
]
MaxTokens = Annotated[int | None, typer.Option(min=1, help="The longest answer (tokens).")]
Seed = Annotated[int | None, typer.Option(min=0, help="The same one gives the same choices.")]

Json = Annotated[bool, typer.Option("--json", help="Print JSON (keys: docs/cli.md).")]
