"""The door: the window without a command, the command line with one."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from m1desk import __version__
from m1desk.model_paths import model_at

_PAGES = ("chat", "documents", "jobs", "models", "monitor", "servers", "settings")
_MODEL_ENDING = ".gguf"
_WINDOW_ONLY = ("--screenshot", "--page", "--theme", "--size", "--ask", "--exit-after-answer")


def main(arguments: Sequence[str] | None = None) -> int:
    """Open the window, or run a command; returns the exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if _wants_window(given):
        return window(given)
    # typer is not needed to paint a window, and costs a tenth of a second
    from m1desk.cli import run_command_line  # noqa: PLC0415

    return run_command_line(given)


def _wants_window(given: Sequence[str]) -> bool:
    """Whether it is no command: nothing, an option of the window, or what it is to open."""
    if not given:
        return True
    first = given[0]
    if first.split("=", 1)[0] in _WINDOW_ONLY or first.lower().endswith(_MODEL_ENDING):
        return True
    if first.startswith("-"):
        return False
    path = Path(first)
    if path.name != first:  # no command has a folder in its name
        return True
    return path.exists() and not _is_command(first)


def _is_command(word: str) -> bool:
    from m1desk.cli import is_command  # noqa: PLC0415 - as above

    return is_command(word)


def window(arguments: Sequence[str] | None = None) -> int:
    """Open the window with `arguments`; returns the exit status."""
    parser = _window_parser()
    options = parser.parse_intermixed_args(arguments)
    named = {path: model_at(path) for path in options.paths}
    models = list({model for model in named.values() if model is not None})
    documents = [path for path, model in named.items() if model is None]
    if len(models) > 1:
        parser.error("only one model can be loaded; give one file or folder")
    for path in documents:
        if not path.exists():
            parser.error(f"there is no file or folder {path}")
    if documents and options.screenshot is not None:
        parser.error("--screenshot reads no documents, because it keeps nothing")
    from m1desk.app import run_window  # noqa: PLC0415
    from m1desk.app_options import WindowOptions  # noqa: PLC0415

    return run_window(
        WindowOptions(
            model_path=models[0] if models else None,
            documents=tuple(documents),
            screenshot=options.screenshot,
            page=options.page,
            theme=options.theme,
            size=options.size,
            prompt=options.ask,
            exit_after_answer=options.exit_after_answer,
        )
    )


def _size(text: str) -> tuple[int, int]:
    width, cross, height = text.lower().partition("x")
    if not (cross and width.isdecimal() and height.isdecimal()):
        raise argparse.ArgumentTypeError("must be WIDTHxHEIGHT, for instance 1280x800")
    return int(width), int(height)


def _window_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="m1desk", description="Open the window of M1 Desk.")
    parser.add_argument(
        "paths",
        nargs="*",
        type=Path,
        metavar="PATH",
        help="a GGUF file or a checkpoint's folder to load; documents and folders to read",
    )
    parser.add_argument("--screenshot", type=Path, help="render the window to this PNG and end")
    parser.add_argument("--page", choices=_PAGES, default="")
    parser.add_argument("--theme", choices=("light", "dark", "system"))
    parser.add_argument("--size", type=_size, help="WIDTHxHEIGHT in pixels")
    parser.add_argument("--ask", default="", help="send this message once the model is loaded")
    parser.add_argument("--exit-after-answer", action="store_true", help="end once it is answered")
    parser.add_argument("--version", action="version", version=f"m1desk {__version__}")
    return parser


if __name__ == "__main__":
    sys.exit(main())
