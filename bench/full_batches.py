"""The llama worker without its limit on the time of a batch, so that on any machine they are full.

Run as the worker is, by bench/fit.py: memory is planned for full batches, and a slow machine's
worker makes shorter ones.
"""

from __future__ import annotations

import sys

from m1desk.llama_worker import scheduler
from m1desk.llama_worker.__main__ import main

if __name__ == "__main__":
    scheduler._STEP_SECONDS = 1e6  # noqa: SLF001 - what is measured has no switch for it
    sys.exit(main())
