"""M1 Desk: a desktop workstation for MiniMax-M1 and other open models."""

__version__ = "0.1.0"
