"""What a cold start reads of an account; with a real Redis."""

from __future__ import annotations

import pytest

from actors.core.errors import RedisRefused, RedisUnreachable
from actors.core.units import AccountId
from actors.persistence.redis.reading import SnapshotReader
from actors.persistence.redis.snapshots import encode, key_of, snapshot_of
from tests.factories import account, market
from tests.persistence.redis.server import free_port

ID = AccountId("acct-1")


def test_the_snapshot_of_an_account_none_and_what_is_none(fresh):
    client, reader = fresh.client(), SnapshotReader(fresh.url)
    assert reader.snapshot(ID) is None
    made = snapshot_of(account("1000"), market())
    client.set(key_of(ID), encode(made))
    assert reader.snapshot(ID) == made
    client.set(key_of(ID), "nonsense")
    with pytest.raises(RedisRefused, match="pms:risk:acct-1 holds no snapshot"):
        reader.snapshot(ID)
    client.delete(key_of(ID))
    client.lpush(key_of(ID), "a list")
    with pytest.raises(RedisRefused, match=r"key pms:risk:acct-1: WRONGTYPE .* remove it"):
        reader.snapshot(ID)
    reader.close()


def test_a_redis_that_is_away_is_said():
    reader = SnapshotReader(f"redis://127.0.0.1:{free_port()}/0")
    with pytest.raises(RedisUnreachable, match="key pms:risk:acct-1: "):
        reader.snapshot(ID)
