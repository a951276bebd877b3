"""Databases that the tests of this folder copy: to make them takes longer than a test."""

from __future__ import annotations

import os
from types import SimpleNamespace

import psycopg
import pytest

from tests.persistence.archive.worlds import World, authored, over_days
from tests.persistence.projection.lives import copy_of


@pytest.fixture(scope="package")
def decided(postgres):
    """A database with accounts, and what they and a clearing decide."""
    name = f"decided_{os.getpid()}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    dsn = postgres.replace("/postgres?", f"/{name}?")
    with pytest.MonkeyPatch.context() as patch:
        return SimpleNamespace(dsn=dsn, decisions=authored(dsn, patch))


@pytest.fixture(scope="package")
def projected(decided):
    """Another one, where it is durable and projected, over some days."""
    world = World.made(copy_of(decided.dsn), over_days(decided.decisions, 1))
    world.close()
    return world
