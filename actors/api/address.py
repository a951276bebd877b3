"""Where a running engine listens and its tokens, as written to a file in its data folder."""

from __future__ import annotations

import msgspec

API_FILE = "api.json"

HTTP_REJECTED = 422
"""An order or a change that was understood and refused; the answer says why."""


class Address(msgspec.Struct, frozen=True):
    """What ``api.json`` holds."""

    url: str
    token: str
    pid: int
    viewer_token: str = ""
