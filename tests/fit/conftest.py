"""What the tests of this room share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from m1desk.fit import Variant, known_variants

if TYPE_CHECKING:
    from collections.abc import Mapping


@pytest.fixture(scope="session")
def m1() -> Mapping[str, Variant]:
    """All variants of MiniMax-M1-80k, by name."""
    return {variant.name: variant for variant in known_variants("MiniMax-M1-80k")}
