"""The guard: a small process that starts an engine and leaves nothing of it behind.

Run as `python -m m1desk.engines.guard -- ARGV...`. It uses the standard library alone, so that it
starts quickly and nothing in it can fail that an engine might need.
"""
