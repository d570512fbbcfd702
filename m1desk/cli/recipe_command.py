"""`m1desk recipe` and its options; what it does is in `recipe.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def recipe_command(
    model: Annotated[str, typer.Argument(help="A model's name, or owner/name of a repository.")],
    *,
    cluster: Annotated[
        str, typer.Option(help="NODES x GPUS x GPU such as 2x8xH100, or NODES x FILE.json.")
    ],
    target: Annotated[
        str,
        typer.Option(
            "--for",
            help="shell, ray, compose, kubernetes, production-stack, slurm or skypilot.",
        ),
    ],
    context: Annotated[int, typer.Option(min=1, help="The longest request (tokens).")] = 131_072,
    parallel: Annotated[int, typer.Option(min=1, help="Requests served at once.")] = 8,
    quantization: Annotated[
        str, typer.Option(help="bf16 or experts_int8; left out, what fits.")
    ] = "",
    vllm_version: Annotated[
        str, typer.Option(help="Of vLLM; left out, the newest that is known to work.")
    ] = "",
    model_path: Annotated[
        str, typer.Option(help="A folder on every node, instead of the repository.")
    ] = "",
    revision: Annotated[str, typer.Option(help="A commit of the repository.")] = "",
    name: Annotated[str, typer.Option(help="Of the deployment.")] = "",
    host: Annotated[str, typer.Option(help="How clients reach it.")] = "localhost",
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Of the proxy.")] = 8443,
    certificate: Annotated[str, typer.Option(help="A file in PEM form, for --host.")] = "",
    certificate_key: Annotated[str, typer.Option(help="Its key, in PEM form.")] = "",
    head_address: Annotated[str, typer.Option(help="Of node 0, for the other nodes.")] = "",
    interface: Annotated[str, typer.Option(help="That leads to the other nodes.")] = "",
    chat_template: Annotated[str, typer.Option(help="A file on node 0.")] = "",
    namespace: Annotated[str, typer.Option(help="Of Kubernetes.")] = "",
    partition: Annotated[str, typer.Option(help="Of Slurm.")] = "",
    account: Annotated[str, typer.Option(help="Of Slurm.")] = "",
    hours: Annotated[int, typer.Option(min=1, help="Of Slurm: how long it may run.")] = 24,
    launcher: Annotated[
        str, typer.Option(help="vllm, or module: the same as a module of Python.")
    ] = "vllm",
    arguments: Annotated[
        str, typer.Option(help='More words for vLLM, as a shell reads them: "--dtype float32".')
    ] = "",
    variable: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="For vLLM's environment; may be repeated."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write the files there.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON (docs/recipes.md).")] = False,
) -> None:
    """Say whether a model fits a cluster under vLLM, and write the files that run it there."""
    from m1desk.cli.recipe import (  # noqa: PLC0415
        RecipeRequest,
        launcher_called,
        recipe,
        variables_in,
        words_in,
    )
    from m1desk.recipes import RecipeOptions  # noqa: PLC0415

    recipe(
        RecipeRequest(
            model=model,
            cluster=cluster,
            target=target,
            context_tokens=context,
            parallel=parallel,
            quantization=quantization,
            vllm_version=vllm_version,
            model_path=model_path,
            revision=revision,
            out=out,
            as_json=as_json,
            options=RecipeOptions(
                name=name,
                host=host,
                port=port,
                certificate=certificate,
                certificate_key=certificate_key,
                head_address=head_address,
                interface=interface,
                chat_template=chat_template,
                namespace=namespace,
                partition=partition,
                account=account,
                hours=hours,
                launcher=launcher_called(launcher),
                arguments=words_in(arguments),
                environment=variables_in(variable or ()),
            ),
        )
    )
