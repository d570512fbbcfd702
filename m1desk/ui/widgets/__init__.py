"""Widgets: one a file, each knowing only what it shows."""
