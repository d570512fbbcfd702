"""The commands of `m1desk engines` and their options; what they do is in `engines.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

engines_app = typer.Typer(
    help="Engines in environments of their own: vLLM, and builds of llama.cpp.",
    no_args_is_help=True,
    add_completion=False,
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON (keys: docs/engines.md).")]
Yes = Annotated[bool, typer.Option("--yes", help="Don't ask.")]
EnvironmentName = Annotated[
    str, typer.Argument(help="What the environment is called.", metavar="NAME")
]


@engines_app.command("list")
def _list(*, as_json: Json = False) -> None:
    """List the engines that are here, and what each can run."""
    from m1desk.cli.engines import list_engines  # noqa: PLC0415

    list_engines(as_json=as_json)


@engines_app.command("install")
def _install(
    engine: Annotated[str, typer.Argument(help="vllm or llama.cpp", metavar="ENGINE")] = "vllm",
    *,
    version: Annotated[str, typer.Option(help="Left out: the newest, or as --for needs.")] = "",
    model: Annotated[
        str,
        typer.Option(
            "--for",
            metavar="MODEL",
            help="Choose the version for it: a name of the catalog, a folder, a class.",
        ),
    ] = "",
    name: Annotated[str, typer.Option(help="Of the environment; else package and version.")] = "",
    package: Annotated[
        str, typer.Option(help="To install; left out: what fits this machine.")
    ] = "",
    build: Annotated[
        str, typer.Option(help="Of llama.cpp, such as cu124; left out: what fits this machine.")
    ] = "",
    index: Annotated[
        str, typer.Option(metavar="URL", help="Where to look instead; without a login.")
    ] = "",
    python: Annotated[
        Path | None, typer.Option(metavar="PATH", help="The interpreter to make it with.")
    ] = None,
    uv: Annotated[bool, typer.Option("--uv", help="With uv and its settings, not pip.")] = False,
    as_json: Json = False,
) -> None:
    """Install an engine into an environment of its own, and test it before it counts."""
    from m1desk.cli.engines import InstallOrder, install_engine  # noqa: PLC0415

    install_engine(
        InstallOrder(
            engine=engine,
            version=version,
            model=model,
            name=name,
            package=package,
            build=build,
            index=index,
            python=python,
            tool="uv" if uv else "pip",
            as_json=as_json,
        )
    )


@engines_app.command("add")
def _add(
    name: EnvironmentName,
    *,
    python: Annotated[
        Path | None, typer.Option(metavar="PATH", help="The interpreter that has vLLM already.")
    ] = None,
    image: Annotated[
        str, typer.Option(metavar="NAME", help="Or a container image that has it (Linux).")
    ] = "",
    tool: Annotated[
        str, typer.Option("--with", help="What runs it: podman or docker; else what is here.")
    ] = "",
    pull: Annotated[
        bool, typer.Option("--pull", help="Fetch the image where it is not here.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Name a vLLM that is here already; it is asked for its version and never changed."""
    from m1desk.cli.engines import ImageOrder, add_engine  # noqa: PLC0415

    add_engine(name, python, ImageOrder(image, tool, pull), as_json=as_json)


@engines_app.command("test")
def _test(name: EnvironmentName, *, as_json: Json = False) -> None:
    """Ask an engine what it is, and have it write a few tokens."""
    from m1desk.cli.engines import examine_engine  # noqa: PLC0415

    examine_engine(name, as_json=as_json)


@engines_app.command("repair")
def _repair(
    name: EnvironmentName,
    *,
    python: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Another interpreter to make it with.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Install the same again; what is there counts until that has passed its test."""
    from m1desk.cli.engines import repair_engine  # noqa: PLC0415

    repair_engine(name, python, as_json=as_json)


@engines_app.command("rollback")
def _rollback(name: EnvironmentName, *, as_json: Json = False) -> None:
    """Test the build that counted before and let it count again; once more returns."""
    from m1desk.cli.engines import roll_back_engine  # noqa: PLC0415

    roll_back_engine(name, as_json=as_json)


@engines_app.command("forget")
def _forget(name: EnvironmentName, *, yes: Yes = False, as_json: Json = False) -> None:
    """Delete the build that counted before and say how much space that frees."""
    from m1desk.cli.engines import forget_build  # noqa: PLC0415

    forget_build(name, yes=yes, as_json=as_json)


@engines_app.command("use")
def _use(
    name: Annotated[
        str, typer.Argument(help="An environment with llama.cpp, or built-in.", metavar="NAME")
    ],
) -> None:
    """Choose the build of llama.cpp that models are loaded with."""
    from m1desk.cli.engines import use_build  # noqa: PLC0415

    use_build(name)


@engines_app.command("remove")
def _remove(
    name: EnvironmentName,
    *,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Delete an environment and say how much space that frees."""
    from m1desk.cli.engines import remove_engine  # noqa: PLC0415

    remove_engine(name, yes=yes, as_json=as_json)
