"""The commands and their options; what they do is in the modules beside this one."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from m1desk import __version__
from m1desk.cli.engines_commands import engines_app
from m1desk.cli.jobs_commands import jobs_app
from m1desk.cli.option_types import (
    USUAL_CONTEXT,
    Answerer,
    ChatTemplate,
    Context,
    EngineContext,
    EngineName,
    EnvironmentName,
    Files,
    FittingContext,
    GpuLayers,
    Json,
    KvType,
    MaxTokens,
    Model,
    Parallel,
    Seed,
    Temperature,
    TopP,
)
from m1desk.cli.recipe_command import recipe_command
from m1desk.cli.remote_commands import remote_app
from m1desk.errors import M1DeskError

app = typer.Typer(
    name="m1desk",
    help="A desktop workstation for MiniMax-M1 and other open models. Without a command it opens "
    "the window: m1desk [MODEL] [DOCUMENTS...] [--screenshot FILE] [--page PAGE].",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def run_command_line(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit status: 0 well, 1 failed, 2 misused, 130 interrupted."""
    _never_fail_at_printing()
    try:
        app(args=list(arguments), prog_name="m1desk")
    except SystemExit as end:
        # how typer ends: after a command, after --help, and after explaining a misuse
        return end.code if isinstance(end.code, int) else int(bool(end.code))
    except KeyboardInterrupt:
        return 130
    except M1DeskError as error:
        for part in (f"Error: {error.what}", error.why, error.todo):
            if part:
                sys.stderr.write(part + "\n")
        return 1
    return 0


def is_command(word: str) -> bool:
    """Whether `word` is the name of a command."""
    group = typer.main.get_command(app)
    return isinstance(group, typer.core.TyperGroup) and word in group.commands


def _never_fail_at_printing() -> None:
    """Show a question mark for what the terminal's encoding lacks, instead of ending there."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - click calls it with one value
    if wanted:
        typer.echo(f"m1desk {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Options before the command."""
    del version
    from m1desk.engines.environments.choice import apply_choice  # noqa: PLC0415
    from m1desk.store import Folders  # noqa: PLC0415

    apply_choice(Folders.places())  # looks only: --help and a misuse come by here too


@app.command("doctor")
def _doctor(
    *,
    as_json: Json = False,
    measure: Annotated[
        bool, typer.Option(help="Measure memory bandwidth, test and calibrate the engine.")
    ] = True,
    measure_again: Annotated[
        bool,
        typer.Option("--measure-again", help="Measure the engine even if it was before."),
    ] = False,
) -> None:
    """Print what this machine has and whether the engine works on it."""
    from m1desk.cli.doctor import doctor  # noqa: PLC0415 - each command loads only what it needs

    doctor(as_json=as_json, measure=measure, measure_again=measure_again)


@app.command("chat")
def _chat(
    model: Annotated[
        Path | None, typer.Argument(help="A GGUF file, or a folder for vLLM.", metavar="[MODEL]")
    ] = None,
    *,
    server: Annotated[
        str, typer.Option(metavar="NAME", help="Ask this remote server instead.")
    ] = "",
    prompt: Annotated[str | None, typer.Option("--prompt", "-p", help="Ask this and end.")] = None,
    system: Annotated[str, typer.Option(help="The system prompt.")] = "",
    engine: EngineName = "",
    environment: EnvironmentName = "",
    chat_template: ChatTemplate = None,
    context: EngineContext = None,
    kv_type: KvType = "f16",
    gpu_layers: GpuLayers = -1,
    temperature: Temperature = None,
    top_p: TopP = None,
    max_tokens: MaxTokens = None,
    seed: Seed = None,
    as_json: Json = False,
) -> None:
    """Talk to a model in the terminal. Nothing is kept."""
    if (model is None) == (not server):
        raise typer.BadParameter("name a model, or a server with --server")
    from m1desk.cli.chat import ChatOptions, chat  # noqa: PLC0415
    from m1desk.cli.vllm import VllmRequest, wants_vllm, wish_of  # noqa: PLC0415
    from m1desk.engines import LlamaSettings  # noqa: PLC0415
    from m1desk.engines.turn import SamplingParameters  # noqa: PLC0415

    answerer: LlamaSettings | VllmRequest | str = server
    if model is not None and wants_vllm(model, engine, environment, chat_template):
        wish = wish_of(context, kv_type, gpu_layers, 1, None, chat_template=chat_template)
        answerer = VllmRequest(model, environment, wish)
    elif model is not None:
        answerer = LlamaSettings(
            model_path=model,
            context_tokens=context or USUAL_CONTEXT,
            parallel=1,
            kv_type=kv_type,
            gpu_layers=gpu_layers,
        )
    chat(
        ChatOptions(
            answerer=answerer,
            system=system,
            prompt=prompt,
            sampling=SamplingParameters(
                temperature=temperature, top_p=top_p, max_tokens=max_tokens, seed=seed
            ),
            as_json=as_json,
        )
    )


@app.command("serve")
def _serve(
    model: Model,
    *,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = 0,
    engine: EngineName = "",
    environment: EnvironmentName = "",
    chat_template: ChatTemplate = None,
    context: EngineContext = None,
    parallel: Parallel = 4,
    kv_type: KvType = "f16",
    gpu_layers: GpuLayers = -1,
    as_json: Json = False,
) -> None:
    """Serve a model to other programs in the OpenAI dialect, on this machine only."""
    from m1desk.cli.serve import serve  # noqa: PLC0415
    from m1desk.cli.vllm import VllmRequest, wants_vllm, wish_of  # noqa: PLC0415
    from m1desk.engines import LlamaSettings  # noqa: PLC0415

    if wants_vllm(model, engine, environment, chat_template):
        wish = wish_of(context, kv_type, gpu_layers, parallel, port, chat_template=chat_template)
        serve(VllmRequest(model, environment, wish), as_json=as_json)
        return

    settings = LlamaSettings(
        model_path=model,
        context_tokens=context or USUAL_CONTEXT,
        parallel=parallel,
        kv_type=kv_type,
        gpu_layers=gpu_layers,
        port=port,
    )
    serve(settings, as_json=as_json)


@app.command("ask")
def _ask(
    files: Files = None,
    *,
    question: Annotated[str, typer.Option("--question", "-q", help="What you want to know.")],
    prepared: Annotated[
        str | None, typer.Option(metavar="NAME", help="Documents prepared before.")
    ] = None,
    model: Answerer = None,
    server: Annotated[
        str, typer.Option(metavar="NAME", help="Ask this remote server instead.")
    ] = "",
    context: FittingContext = 0,
    kv_type: KvType = "f16",
    gpu_layers: GpuLayers = -1,
    temperature: Temperature = None,
    max_tokens: MaxTokens = None,
    seed: Seed = None,
    passes: Annotated[
        bool, typer.Option("--passes", help="Documents too long are read in several parts.")
    ] = False,
    export: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write it: .md, .html or .json.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Ask about whole documents; every quote of the answer is checked."""
    if model is not None and server:
        raise typer.BadParameter("name a model, or a server, not both")
    from m1desk.cli.ask import AskOptions, ModelOptions, ask_documents  # noqa: PLC0415
    from m1desk.engines.turn import SamplingParameters  # noqa: PLC0415

    ask_documents(
        AskOptions(
            files=tuple(files or ()),
            prepared=prepared,
            question=question,
            model=ModelOptions(model, context, kv_type, gpu_layers),
            sampling=SamplingParameters(temperature=temperature, max_tokens=max_tokens, seed=seed),
            passes=passes,
            export=export,
            as_json=as_json,
            server=server,
        )
    )


@app.command("prepare")
def _prepare(
    files: Annotated[list[Path], typer.Argument(help="Documents and folders.")],
    *,
    name: Annotated[str, typer.Option(help="What to call them.")],
    model: Answerer = None,
    context: FittingContext = 0,
    kv_type: KvType = "f16",
    gpu_layers: GpuLayers = -1,
    as_json: Json = False,
) -> None:
    """Read documents with a model, once, and keep what it has read for later questions."""
    from m1desk.cli.ask import ModelOptions, prepare_documents  # noqa: PLC0415

    chosen = ModelOptions(model, context, kv_type, gpu_layers)
    prepare_documents(files, name, chosen, as_json=as_json)


@app.command("demo")
def _demo() -> None:
    """Load a tiny model made on the spot and stream its answer."""
    from m1desk.cli.demo import demo  # noqa: PLC0415

    demo()


@app.command("fit")
def _fit(
    model: Annotated[
        str, typer.Argument(help="A GGUF file, a model's name, or a repository with GGUF files.")
    ] = "",
    *,
    variant: Annotated[
        list[str] | None, typer.Option(help="A quantization such as Q4_K_M; all if left out.")
    ] = None,
    context: Context = USUAL_CONTEXT,
    parallel: Parallel = 1,
    kv: KvType = "f16",
    ubatch: Annotated[int, typer.Option(min=1, help="Tokens computed at once.")] = 512,
    depth: Annotated[int, typer.Option(min=0, help="Tokens read before, for the speeds.")] = 0,
    input_tokens: Annotated[int, typer.Option("--input", min=0, help="Tokens to read.")] = 2048,
    output_tokens: Annotated[int, typer.Option("--output", min=0, help="Tokens to write.")] = 512,
    machine: Annotated[
        str, typer.Option(help="A machine that comes with the program, a JSON file, or this one.")
    ] = "this",
    exact: Annotated[bool, typer.Option("--exact", help="Ask the engine (seconds).")] = False,
    cost: Annotated[bool, typer.Option("--cost", help="What tokens cost, each way.")] = False,
    history: Annotated[
        bool, typer.Option("--history", help="Predicted speeds beside real ones on this machine.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Say which variants of a model fit a machine, how fast, and what would help."""
    from m1desk.cli.fit import FitOptions, fit  # noqa: PLC0415
    from m1desk.fit import Wished  # noqa: PLC0415

    wished = Wished(
        context_tokens=context,
        parallel=parallel,
        kv_type=kv,
        ubatch_tokens=ubatch,
        depth_tokens=depth,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
    )
    fit(
        FitOptions(
            model=model,
            variants=tuple(variant or ()),
            machine=machine,
            wished=wished,
            exact=exact,
            cost=cost,
            as_json=as_json,
            history=history,
        )
    )


app.command("recipe")(recipe_command)


models_app = typer.Typer(
    help="Find, fetch, list, check and delete models.", no_args_is_help=True, add_completion=False
)
app.add_typer(models_app, name="models")
app.add_typer(jobs_app, name="jobs")
app.add_typer(remote_app, name="remote")
app.add_typer(engines_app, name="engines")

Name = Annotated[str, typer.Argument(help="Name, repository or path of a model that is here.")]


@models_app.command("search")
def _models_search(
    text: Annotated[str, typer.Argument(help="Words of the name.")] = "",
    *,
    limit: Annotated[int, typer.Option(min=1, max=500, help="Repositories to list.")] = 20,
    quantizations_of: Annotated[
        str | None, typer.Option(metavar="REPOSITORY", help="List quantizations of this model.")
    ] = None,
    every_format: Annotated[
        bool, typer.Option("--every-format", help="Also repositories without GGUF files.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Search the catalog and the Hugging Face Hub."""
    from m1desk.cli.models import search  # noqa: PLC0415

    search(
        text,
        limit=limit,
        quantizations_of=quantizations_of,
        every_format=every_format,
        as_json=as_json,
    )


@models_app.command("list")
def _models_list(*, as_json: Json = False) -> None:
    """List the models on this machine, those of other programs too."""
    from m1desk.cli.models import list_models  # noqa: PLC0415

    list_models(as_json=as_json)


@models_app.command("download")
def _models_download(
    repository: Annotated[
        str, typer.Argument(help="owner/name, or a name of the catalog.", metavar="REPOSITORY")
    ],
    variant: Annotated[
        str | None, typer.Argument(help="Such as Q4_K_M, a file's name, or safetensors.")
    ] = None,
    *,
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit.")] = None,
    as_json: Json = False,
) -> None:
    """Fetch a variant of a model; after an interruption the same command goes on."""
    from m1desk.cli.models import download  # noqa: PLC0415

    download(repository, variant, revision, as_json=as_json)


@models_app.command("remove")
def _models_remove(
    name: Name,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    as_json: Json = False,
) -> None:
    """Delete a model and say how much space that frees."""
    from m1desk.cli.models import remove  # noqa: PLC0415

    remove(name, yes=yes, as_json=as_json)


@models_app.command("verify")
def _models_verify(name: Name, *, as_json: Json = False) -> None:
    """Compare a model's content with its known checksums."""
    from m1desk.cli.models import verify  # noqa: PLC0415

    verify(name, as_json=as_json)
