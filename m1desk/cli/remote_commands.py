"""The commands of `m1desk remote` and their options; what they do is in `remote.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

remote_app = typer.Typer(
    help="Servers elsewhere that answer in the OpenAI dialect.",
    no_args_is_help=True,
    add_completion=False,
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON (keys: docs/remote.md).")]
ServerName = Annotated[str, typer.Argument(help="What the server is called.", metavar="NAME")]
File = Annotated[Path | None, typer.Option(metavar="FILE.pem")]


@remote_app.command("add")
def _add(
    name: ServerName,
    url: Annotated[
        str, typer.Argument(help="Such as https://example.org/prefix, without /v1.", metavar="URL")
    ],
    *,
    model: Annotated[str, typer.Option(help="To ask; else the first that it lists.")] = "",
    context: Annotated[
        int, typer.Option(min=0, help="Its context length (tokens), if it does not say.")
    ] = 0,
    key: Annotated[
        bool,
        typer.Option("--key", help="It wants a key: asked for, or the next line of the input."),
    ] = False,
    header: Annotated[
        list[str] | None, typer.Option(metavar='"NAME: VALUE"', help="Sent with every request.")
    ] = None,
    secret_header: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Likewise; its value is asked for like the key."),
    ] = None,
    ca_file: File = None,
    pin: Annotated[
        str, typer.Option(metavar="SHA256", help="Fingerprint of the one certificate to trust.")
    ] = "",
    client_certificate: File = None,
    client_key: File = None,
    ssh: Annotated[
        str, typer.Option(metavar="USER@HOST[:PORT]", help="Reach it through this machine.")
    ] = "",
    ssh_to: Annotated[
        str,
        typer.Option(metavar="HOST:PORT", help="Where it is as seen from there, if not at URL."),
    ] = "",
    ssh_config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Settings of ssh beside your own.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Change the server of that name.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Add a server. Its key goes to the system's keyring and is never on the command line."""
    from m1desk.cli.remote import AddRequest, add_server  # noqa: PLC0415

    add_server(
        AddRequest(
            name=name,
            url=url,
            model=model,
            context_tokens=context,
            key=key,
            headers=tuple(header or ()),
            secret_headers=tuple(secret_header or ()),
            ca_file=ca_file,
            pin=pin,
            client_certificate=client_certificate,
            client_key=client_key,
            ssh=ssh,
            ssh_to=ssh_to,
            ssh_config=ssh_config,
            replaces=replace,
            as_json=as_json,
        )
    )


@remote_app.command("list")
def _list(*, as_json: Json = False) -> None:
    """List the servers that were added."""
    from m1desk.cli.remote import list_servers  # noqa: PLC0415

    list_servers(as_json=as_json)


@remote_app.command("test")
def _test(name: ServerName, *, as_json: Json = False) -> None:
    """Test a server step by step and say what to do where it fails."""
    from m1desk.cli.remote import examine  # noqa: PLC0415

    examine(name, as_json=as_json)


@remote_app.command("rename")
def _rename(
    name: Annotated[str, typer.Argument(help="What the server is called now.", metavar="OLD")],
    new_name: Annotated[str, typer.Argument(help="What it is to be called.", metavar="NEW")],
) -> None:
    """Call a server differently: it keeps its key, and the jobs that chose it follow."""
    from m1desk.cli.remote import rename_server  # noqa: PLC0415

    rename_server(name, new_name)


@remote_app.command("remove")
def _remove(name: ServerName) -> None:
    """Forget a server and its key."""
    from m1desk.cli.remote import remove_server  # noqa: PLC0415

    remove_server(name)
