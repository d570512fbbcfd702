"""Servers elsewhere: how they are described, reached, tested step by step, and asked.

Names are imported from the modules themselves, or from the front door of `engines`.
"""
