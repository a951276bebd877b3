"""Connections to a Redis, and what its errors mean to a person.

I/O: sockets to a Redis, each with a bound on how long it may take.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from actors.core.errors import RedisRefused, RedisUnreachable
from actors.persistence.redis.address import redacted

CONNECT_S = 1.0
ANSWER_S = 2.0
"""No answer takes longer; a Redis that takes longer counts as away."""

RIGHTS = (
    "+@connection +set +get +mget +del +xadd +xinfo +xrange +xrevrange ~pms:* and the keys of redis_stream"
)

CURES: tuple[tuple[type[redis.RedisError] | str, str], ...] = (
    (
        redis.AuthenticationError,
        "user or password is wrong or missing; the setting redis has them, redis://user:password@host:6379/0",
    ),
    (redis.BusyLoadingError, "it is loading its data; it is tried again"),
    (redis.ReadOnlyError, "it is a read-only replica; name the primary in the setting redis"),
    (
        redis.exceptions.OutOfMemoryError,
        "it is out of memory (maxmemory, with maxmemory-policy noeviction); raise maxmemory, or lower redis_stream_length",
    ),
    (redis.exceptions.NoPermissionError, f"the user may not do that; it needs {RIGHTS}"),
    ("WRONGTYPE", "the key holds something else; remove it, or choose another key with redis_stream"),
    ("MISCONF", "it cannot write its data to its disk; see its log"),
    ("DB index is out of range", "it has no such database; the setting redis ends with its number"),
    ("unknown command", "it is too old; Redis 6.2 or newer is needed"),
)
"""What an error means, and what to do: by its class, or by what its text has."""

AWAY = (redis.ConnectionError, redis.TimeoutError, OSError)


def connect(url: str, seconds: float = ANSWER_S) -> redis.Redis:
    """A client whose connections are made when they are used; nothing is tried twice behind our back.

    Args:
        url: of the Redis.
        seconds: the longest wait for an answer.
    """
    return redis.Redis.from_url(
        url,
        socket_connect_timeout=min(CONNECT_S, seconds),
        socket_timeout=seconds,
        socket_keepalive=True,
        retry=Retry(NoBackoff(), 0),
        client_name="bulkhead",
        protocol=2,
    )


def meaning(error: BaseException) -> str:
    """An error in one line, with its cure where it is known."""
    text = " ".join(redacted(str(error)).split()) or type(error).__name__
    for kind, cure in CURES:
        if kind in text if isinstance(kind, str) else isinstance(error, kind):
            return f"{text}: {cure}"
    return text


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Raise what redis-py raises as errors of ours.

    Args:
        what: was done, for the text.

    Raises:
        RedisUnreachable: no answer, or not in time; also while it loads, and with a wrong password.
        RedisRefused: an answer that is an error.
    """
    try:
        yield
    except AWAY as error:
        raise RedisUnreachable(f"{what}: {meaning(error)}") from None
    except redis.RedisError as error:
        raise RedisRefused(f"{what}: {meaning(error)}") from None
