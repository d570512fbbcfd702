"""Makes the modules of tools/demo_model importable: they are programs, not a package."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "tools" / "demo_model"))
