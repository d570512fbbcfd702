"""What must not be shown or kept of an installer's output: keys in the addresses of indexes."""

from __future__ import annotations

import re
from typing import Final

_HIDDEN: Final = "[secret]"
_LOGIN: Final = re.compile(r"(?<=://)[^/\s@]+(?=@)")
_QUERY: Final = re.compile(
    r"(?i)([?&;][^=&\s]*(?:token|key|secret|password|passwd|sig(?:nature)?)[^=&\s]*=)[^&\s\"']+"
)


def redacted(text: str) -> str:
    """The text without logins and keys in addresses."""
    return _QUERY.sub(rf"\1{_HIDDEN}", _LOGIN.sub(_HIDDEN, text))
