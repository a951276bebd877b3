"""A folder of its own for each run, one embedded Postgres per test worker, one fresh database per test."""

from __future__ import annotations

import atexit
import itertools
import os
import shutil
import tempfile

import psycopg
import pytest
import structlog
from hypothesis import HealthCheck, Phase
from hypothesis import settings as hypothesis_settings

from actors.persistence.embedded import EmbeddedPostgres
from actors.runtime import logs
from tests.patched import SHARED_DSN

hypothesis_settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# For tests/mutants.py and tests/faults.py: the same examples each time; one that fails is enough, and is not kept.
hypothesis_settings.register_profile(
    "repeatable",
    hypothesis_settings.get_profile("default"),
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    report_multiple_bugs=False,
)
hypothesis_settings.load_profile("default")
logs.configure(json=False, level=50)


@pytest.fixture(autouse=True)
def _logging_as_before():
    """A command that a test ran in this process has set logging up for itself, onto a stream that is gone by now."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


RUN_FOLDER = pytest.StashKey[str]()
ALL_WELL = pytest.StashKey[bool]()

_numbers = itertools.count(1)


TEMP_ROOT = "PYTEST_DEBUG_TEMPROOT"
"""Where pytest makes its folders."""


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    """Make a folder for this run alone.

    Pytest has one for all runs of a user, and each run takes from it again what others may do there: under another
    run's Postgres, which as root runs as a user of its own.
    """
    if hasattr(config, "workerinput") or config.option.basetemp:
        return
    before = os.environ.get(TEMP_ROOT)
    config.stash[RUN_FOLDER] = os.environ[TEMP_ROOT] = tempfile.mkdtemp(prefix="bh-", dir=before)

    def restore():
        os.environ.pop(TEMP_ROOT)
        if before is not None:
            os.environ[TEMP_ROOT] = before

    config.add_cleanup(restore)
    # Before any server registers its own: so it runs after them.
    atexit.register(_remove, config)


def _remove(config):
    """Nothing stays of a run in which all was well; what the tests of another wrote can be looked at."""
    if config.stash.get(ALL_WELL, False):
        shutil.rmtree(config.stash[RUN_FOLDER], ignore_errors=True)


def pytest_terminal_summary(terminalreporter, exitstatus, config):
    if RUN_FOLDER not in config.stash:
        return
    config.stash[ALL_WELL] = exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}
    if not config.stash[ALL_WELL]:
        terminalreporter.write_line(f"what the tests wrote is in {config.stash[RUN_FOLDER]}")


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
