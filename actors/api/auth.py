"""Who may do what: bearer tokens with roles."""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from actors.assembly.config import ApiToken, Role

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Tokens:
    """All tokens of one engine."""

    def __init__(self, tokens: Sequence[ApiToken]) -> None:
        self._tokens = tuple(tokens)

    def identify(self, header: str) -> ApiToken | None:
        """Whose ``Authorization`` header this is, or None.

        Every token is compared, and each in constant time, so that how long it takes tells nothing.
        """
        found = None
        for known in self._tokens:
            if hmac.compare_digest(header.encode(errors="replace"), f"Bearer {known.token}".encode()):
                found = known
        return found


def may(token: ApiToken, method: str) -> bool:
    """Whether a token's role allows an HTTP method: viewers look, operators change."""
    return token.role is Role.OPERATOR or method in SAFE_METHODS
