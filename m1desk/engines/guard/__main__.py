"""The guard's command line: `python -m m1desk.engines.guard [OPTIONS] -- ARGV...`."""

from __future__ import annotations

import argparse
import os
import sys
import uuid
from pathlib import Path

from m1desk.engines.guard.containers import CONTAINER_TOOLS
from m1desk.engines.guard.guarding import Guard, Orders
from m1desk.engines.guard.record import RUN_VARIABLE
from m1desk.engines.guard.this_platform import this_platform


def main() -> int:
    """Guard one engine; the exit status is 0 unless it could not be started."""
    parser = argparse.ArgumentParser(prog="m1desk.engines.guard", description=__doc__)
    parser.add_argument("--record", type=Path, help="where to write the record of the run")
    parser.add_argument("--owner", type=int, default=os.getppid(), help="process to outlive never")
    parser.add_argument("--grace", type=float, default=3.0, help="seconds from SIGTERM to SIGKILL")
    parser.add_argument("--kill", type=float, default=5.0, help="seconds to be gone after SIGKILL")
    parser.add_argument("--scratch", type=Path, help="a folder to make and to remove at the end")
    parser.add_argument("--container", default="", choices=CONTAINER_TOOLS, help="what runs one")
    parser.add_argument("argv", nargs="+", help="the engine's command line, after --")
    options = parser.parse_args()
    orders = Orders(
        argv=tuple(options.argv),
        run=os.environ.get(RUN_VARIABLE) or uuid.uuid4().hex,
        owner_pid=options.owner,
        record=options.record,
        scratch=options.scratch,
        container=options.container,
        grace_seconds=max(0.0, options.grace),
        kill_seconds=max(0.0, options.kill),
    )
    return Guard(orders, this_platform()).run()


if __name__ == "__main__":
    sys.exit(main())
