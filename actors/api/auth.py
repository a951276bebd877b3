"""Who may do what: bearer tokens, each with the role of an operator or of a viewer."""

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
        """The token of an ``Authorization`` header, or None.

        Every token is compared, and each in constant time: how long it takes says nothing about how much of a guess
        was right, nor which token it is.
        """
        found = None
        for known in self._tokens:
            if hmac.compare_digest(header.encode(errors="replace"), f"Bearer {known.token}".encode()):
                found = known
        return found


def may(token: ApiToken, method: str) -> bool:
    """Whether a token's role allows an HTTP method: viewers read, operators change."""
    return token.role is Role.OPERATOR or method in SAFE_METHODS
