"""Runs tests against our own modules with other source in them, each try in a process of its own.

A try ends as NOTICED when a test failed, ALIVE when none did, and BROKEN when the tests could not be run at all.
"""

from __future__ import annotations

import ast
import contextlib
import datetime as dt
import gc
import hashlib
import importlib
import importlib.abc
import importlib.util
import io
import multiprocessing
import multiprocessing.connection
import os
import resource
import signal
import subprocess
import sys
import time
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec
import pytest

ROOT = Path(__file__).parents[1]
THIRD_PARTY = (
    "httpx", "httptools", "hypothesis.stateful", "psycopg", "pykka", "structlog", "uvicorn", "websockets", "xdist",
)  # fmt: skip
"""Imported before the fork, so that each try imports our own modules only."""

MEMORY_MAX = 4 << 30
"""An endless loop that collects something must not take the machine with it."""

OPTIONS = (
    "-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--timeout=0", "--hypothesis-profile=repeatable",
)  # fmt: skip


SHARED_DSN = "BULKHEAD_TEST_POSTGRES"
"""A server that runs already; who runs tests many times sets it, so that not each run starts one."""


class End(StrEnum):
    """How a try ended."""

    NOTICED = "NOTICED"
    ALIVE = "ALIVE"
    BROKEN = "BROKEN"
    """The tests were not found, or could not be imported."""
    TIMED_OUT = "TIMED_OUT"


class Try(msgspec.Struct, frozen=True):
    """What is tried: ``prepare`` changes our modules in the try's own process, the tests are to notice."""

    what: Any
    prepare: Callable[[], None]
    tests: tuple[str, ...]


def module_of(path: str) -> str:
    """``actors/feed/actor.py`` as it is imported."""
    return path.removesuffix(".py").replace("/", ".")


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports some modules from other source, and leaves all others alone."""

    def __init__(self, sources):
        self.sources = {module_of(path): (path, source) for path, source in sources.items()}

    def find_spec(self, name, path, target=None):
        return importlib.util.spec_from_loader(name, self) if name in self.sources else None

    def exec_module(self, module):
        path, source = self.sources[module.__name__]
        module.__file__ = str(ROOT / path)
        exec(compile(source, module.__file__, "exec"), module.__dict__)


def import_patched(sources: Mapping[str, Any]) -> None:
    """Have modules imported anew, some of them from other source: texts or trees by path."""
    for name in [n for n in sys.modules if n.split(".")[0] in {"actors", "supervisor", "tests", "bench"}]:
        if name != "tests.patched":
            del sys.modules[name]
    sys.meta_path.insert(0, _Finder(sources))


def swap_functions(path: str, tree: ast.Module) -> None:
    """Give the functions of an imported module the code that they have in ``tree``; much faster than an import."""
    filename = str(ROOT / path)
    codes = {
        (code.co_qualname, code.co_firstlineno): code for code in _codes(compile(tree, filename, "exec"))
    }
    for found in gc.get_objects():
        if isinstance(found, types.FunctionType) and found.__code__.co_filename == filename:
            code = codes.get((found.__code__.co_qualname, found.__code__.co_firstlineno))
            if code is not None and code.co_freevars == found.__code__.co_freevars:
                found.__code__ = code


def _codes(code):
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)


def import_everything(tests: Iterable[str]) -> None:
    """Import test files and all that they import, before the fork, so that no try has to.

    Raises:
        ValueError: they cannot be imported.
    """
    with _silence():
        code = pytest.main([*OPTIONS, "--collect-only", *(str(ROOT / test) for test in tests)])
    if code != pytest.ExitCode.OK:
        raise ValueError(f"the tests cannot be collected: {code!r}")


_ENDS = {
    pytest.ExitCode.OK: End.ALIVE,
    pytest.ExitCode.TESTS_FAILED: End.NOTICED,
}


@contextlib.contextmanager
def _silence():
    with (
        Path(os.devnull).open("w") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        yield


def _run(prepare, tests):
    """In a process of its own: the exit code says how it ended."""
    os.setpgid(0, 0)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX, MEMORY_MAX))
    prepare()
    with _silence():
        code = pytest.main([*OPTIONS, *(str(ROOT / test) for test in tests)])
    os._exit(int(code))


def _begin(one):
    process = multiprocessing.get_context("fork").Process(target=_run, args=(one.prepare, one.tests))
    process.start()
    return process


def ends(tries: Iterable[Try], *, at_once: int, seconds: float) -> Iterator[tuple[Try, End]]:
    """Run all tries, ``at_once`` of them at a time, each for at most ``seconds``; in the order of their ends."""
    for name in THIRD_PARTY:
        importlib.import_module(name)
    waiting, under_way = iter(tries), {}
    try:
        while True:
            while len(under_way) < at_once and (one := next(waiting, None)) is not None:
                process = _begin(one)
                under_way[process.sentinel] = (process, one, time.monotonic() + seconds)
            if not under_way:
                return
            left_s = min(until for _, _, until in under_way.values()) - time.monotonic()
            done = multiprocessing.connection.wait(list(under_way), max(0.0, left_s))
            for sentinel in done:
                process, one, _ = under_way.pop(sentinel)
                process.join()
                yield one, _ENDS.get(process.exitcode, End.BROKEN)
            for sentinel, (process, one, until) in list(under_way.items()):
                if time.monotonic() >= until:
                    del under_way[sentinel]
                    _kill(process)
                    yield one, End.TIMED_OUT
    finally:
        for process, _, _ in under_way.values():
            _kill(process)


def _kill(process):
    """With all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.join()


_SERVER = """
import sys
from pathlib import Path
import psycopg
from actors.persistence.embedded import EmbeddedPostgres

with EmbeddedPostgres(Path(sys.argv[1])) as dsn:
    with psycopg.connect(dsn, autocommit=True) as connection:
        # Each test makes a database, and none of them is to outlive anything.
        for setting in ("fsync = off", "synchronous_commit = off", "full_page_writes = off"):
            connection.execute(f"ALTER SYSTEM SET {setting}")
        connection.execute("SELECT pg_reload_conf()")
    print(dsn, flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def shared_postgres(tests: Iterable[str], folder: Path) -> Iterator[None]:
    """Have all that the tries write below a folder, and one server for all, where any of them needs one."""
    os.environ["PYTEST_DEBUG_TEMPROOT"] = str(folder)
    if not any(test.startswith("tests/persistence") for test in tests) or SHARED_DSN in os.environ:
        yield
        return
    # In a process of its own: our modules must not be imported here, or nothing that is forked imports them anew.
    with subprocess.Popen(
        [sys.executable, "-c", _SERVER, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as server:
        os.environ[SHARED_DSN] = server.stdout.readline().strip()
        if not os.environ[SHARED_DSN]:
            raise RuntimeError("the Postgres that the tries share does not start; its error stands above")
        try:
            yield
        finally:
            del os.environ[SHARED_DSN]
            server.stdin.close()


def last_commit() -> str:
    """What chooses a sample: another with each commit; without a repository, with each day."""
    found = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return found.stdout.strip() or dt.datetime.now(dt.UTC).date().isoformat()


def in_sample(key, one_of):
    """Whether a key is in a sample of one of so many."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest()) % one_of == 0
