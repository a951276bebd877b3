"""One embedded Postgres per test worker, one fresh database per test."""

from __future__ import annotations

import itertools
import os

import psycopg
import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from actors import logs
from actors.persistence.embedded import EmbeddedPostgres
from tests.patched import SHARED_DSN

hypothesis_settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# For tests/mutants.py and tests/faults.py: the same examples each time, and nothing kept of those that failed.
hypothesis_settings.register_profile(
    "repeatable", hypothesis_settings.get_profile("default"), derandomize=True, database=None
)
hypothesis_settings.load_profile("default")
logs.configure(json=False, level=50)

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory):
    if SHARED_DSN in os.environ:
        yield os.environ[SHARED_DSN]
        return
    folder = tmp_path_factory.mktemp("pg")
    with EmbeddedPostgres(folder) as dsn:
        yield dsn


@pytest.fixture
def dsn(postgres):
    name = f"test_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield postgres.replace("/postgres?", f"/{name}?")
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
