"""The command line: `m1desk doctor`, `chat`, `serve`, `demo`."""

from __future__ import annotations

from m1desk.cli.commands import is_command, run_command_line

__all__ = ["is_command", "run_command_line"]
