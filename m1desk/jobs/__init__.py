"""Jobs: work that outlives the window, step by step, each written down before and after."""

from __future__ import annotations
