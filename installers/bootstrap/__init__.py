"""Sets up a source checkout: used by start.py only, with nothing but Python's standard library."""
