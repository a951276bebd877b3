"""Stands in for ``actors.api.client.Client``: requests are recorded, and answered from a table."""

from __future__ import annotations

from types import SimpleNamespace
from typing import NamedTuple

ACCEPTED = {"type": "Accepted", "client_order_id": None, "house": None}


class Ran(NamedTuple):
    code: int
    out: str
    err: str


class FakeEngine:
    """Has the methods of ``actors.api.client.Client``."""

    def __init__(self):
        self.address = SimpleNamespace(url="http://127.0.0.1:1", pid=7)
        self.requests = []
        self.answers = {}
        """By method and path; ``Answers`` one entry a time, the last one for ever, and an exception is raised. A POST is accepted."""

    def _answer(self, method, path, sent):
        self.requests.append((method, path, sent))
        found = self.answers.get((method, path), ACCEPTED)
        if isinstance(found, Answers):
            found = found.pop(0) if len(found) > 1 else found[0]
        if isinstance(found, Exception):
            raise found
        return found

    def get(self, path, **params):
        return self._answer("GET", path, {k: v for k, v in params.items() if v is not None})

    def post(self, path, body=None):
        return self._answer("POST", path, body)

    def download(self, path, **params):
        return self._answer("GET", path, params)

    def delete(self, path):
        return self._answer("DELETE", path, None)

    def stream(self, path, **params):
        return iter(self._answer("STREAM", path, params))


class Answers(list):
    """Answers of one request, one after another."""
