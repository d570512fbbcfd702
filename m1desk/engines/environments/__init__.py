"""Engines in interpreters of their own: made, kept side by side, tested, chosen and removed."""
