"""A store on a fresh database."""

from __future__ import annotations

import pytest

from actors.persistence.store import Store


@pytest.fixture
def store(dsn):
    opened = Store.open(dsn)
    opened.acquire("me", 30)
    yield opened
    opened.close()
