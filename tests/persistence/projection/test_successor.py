"""A projector whose engine has a successor writes nothing, and does not get into the successor's way."""

from __future__ import annotations

import psycopg
import pytest

from actors.core.errors import Overtaken
from actors.core.messages import AdjustBalance
from actors.persistence.projection.store import Projection
from actors.persistence.store import Store
from tests.factories import D
from tests.persistence.authors import Author, create

CURSOR = "SELECT position FROM bulkhead.projection"


def rows(dsn, query):
    """As the tables are, and not brought up to date before."""
    with psycopg.connect(dsn) as connection:
        return connection.execute(query).fetchall()


def test_a_stale_owner_s_projector_moves_nothing_and_the_new_one_goes_on(store, dsn):
    author = Author(create(store)[0])
    stale = Projection(dsn, store.epoch)
    stale.begin()
    found = stale.read(100)
    stale.project(found)
    author.decide(AdjustBalance(D(5), "DEPOSIT"))
    assert store.commit(author.batch) == [None]
    behind = stale.read(100)
    successor = Store.open(dsn)
    successor.acquire("me", 30)
    [(before,)] = rows(dsn, CURSOR)
    for act in (lambda: stale.project(behind), lambda: stale.save_tails(10)):
        with pytest.raises(Overtaken, match="another owner"):
            act()
    assert rows(dsn, CURSOR) == [(before,)]
    assert rows(dsn, "SELECT count(*) FROM bulkhead.snapshot WHERE sequence > 0") == [(0,)]
    fresh = Projection(dsn, successor.epoch)
    fresh.begin()
    fresh.project(fresh.read(100))
    assert rows(dsn, CURSOR) == [(before + 1,)]
    assert rows(dsn, "SELECT balance FROM bulkhead.account") == [(D(1005),)]
    for one in (stale, fresh, successor):
        one.close()
