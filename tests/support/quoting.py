"""What the quoting model answers to everything: a sentence of a document, and its page."""

from __future__ import annotations

QUOTE = "Either party may end it with 45 days of notice."
SCRIPT = ("It is 45 days. ", f'"{QUOTE}" ', "[contract.pdf p.2]", " Nobody knows more.")
