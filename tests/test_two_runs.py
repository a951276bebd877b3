"""Two runs of the tests on one machine leave each other's folders alone, as root too."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psycopg

from actors.persistence.embedded import EmbeddedPostgres

ROOT = Path(__file__).parents[1]
USES_A_FOLDER = "tests/test_two_runs.py::test_a_folder_of_a_run_is_its_own"


def test_a_folder_of_a_run_is_its_own(tmp_path):
    (tmp_path / "file").write_text("something")
    assert tmp_path.is_relative_to(os.environ["PYTEST_DEBUG_TEMPROOT"])


def test_a_second_run_takes_no_right_from_the_first_one_s_postgres(tmp_path, tmp_path_factory):
    """Pytest takes all rights of others from the folder of all its runs; Postgres is another user than root."""
    parents = tmp_path_factory.getbasetemp().parents
    with EmbeddedPostgres(tmp_path) as dsn:
        before = {parent: parent.stat().st_mode for parent in parents}
        run = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", USES_A_FOLDER],
            cwd=ROOT, capture_output=True, text=True, timeout=100, check=False,
            env={k: v for k, v in os.environ.items() if not k.startswith("PYTEST_XDIST")},
        )  # fmt: skip
        assert "1 passed" in run.stdout, run.stdout + run.stderr
        assert {parent: parent.stat().st_mode for parent in parents} == before
        with psycopg.connect(dsn) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
