"""Half-open, endless and nameless connections hold nothing for long: a real server, real sockets."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

import httpx
import pytest
import uvicorn

from actors.api import connections
from actors.api.connections import CONNECTIONS_LEAST, BoundedProtocol, KnownHosts, connections_max, host_name

HEAD_S, BODY_S, READ_S = 0.4, 0.6, 0.5
LARGE = b"x" * (32 << 20)


async def answering(scope, receive, send):
    more = True
    while more and scope["method"] == "POST":
        more = (await receive()).get("more_body", False)
    body = LARGE if scope["path"] == "/large" else b"hello"
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
def address():
    before = {n: getattr(connections, n) for n in ("HEAD_SECONDS", "BODY_SECONDS", "READ_SECONDS")}
    for name, value in zip(before, (HEAD_S, BODY_S, READ_S), strict=True):
        setattr(connections, name, value)
    listener = socket.create_server(("127.0.0.1", 0))
    app = KnownHosts(answering, ["bulkhead.internal"])
    server = uvicorn.Server(
        uvicorn.Config(
            app, log_level="critical", lifespan="off", http=BoundedProtocol, ws="none", interface="asgi3"
        )
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    yield listener.getsockname()
    server.should_exit = True
    thread.join(10)
    listener.close()
    for name, value in before.items():
        setattr(connections, name, value)


def opened(address, first=b""):
    sock = socket.create_connection(address, timeout=5)
    sock.sendall(first)
    return sock


def is_cut(sock, within):
    """Whether the server ends a connection, and what it says before."""
    sock.settimeout(within)
    said = b""
    try:
        while chunk := sock.recv(65_536):
            said += chunk
    except ConnectionResetError:
        return True, said
    except TimeoutError:
        return False, said
    return True, said


@pytest.mark.parametrize(
    "begun",
    [b"", b"GE", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nx: 1"],
)
def test_a_head_that_does_not_come_ends_the_connection(address, begun):
    sock = opened(address, begun)
    assert is_cut(sock, HEAD_S * 6)[0]


def test_a_head_that_trickles_has_no_more_time_than_another(address):
    sock = opened(address, b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nx: ")
    began = time.monotonic()
    with contextlib.suppress(ConnectionError):
        while time.monotonic() - began < HEAD_S * 10:
            sock.sendall(b"y")
            time.sleep(0.05)
    assert time.monotonic() - began < HEAD_S * 8


def test_a_body_that_does_not_come_ends_the_connection(address):
    sock = opened(address, b"POST / HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 10\r\n\r\nabc")
    assert is_cut(sock, BODY_S * 6)[0]


def test_a_client_that_does_not_read_is_disconnected(address):
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    sock.connect(address)
    sock.sendall(b"GET /large HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
    time.sleep(READ_S * 3)
    cut, said = is_cut(sock, 5)
    assert cut
    assert len(said) < len(LARGE)


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nx: " + b"y" * 40_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n" + b"x: y\r\n" * 9_000 + b"\r\n",
        b"GET /" + b"y" * 40_000 + b" HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nx: " + b"y" * 40_000,
    ],
)
def test_an_endless_head_is_refused(address, head):
    cut, said = is_cut(opened(address, head), 5)
    assert cut
    assert said == b"" or said.startswith((b"HTTP/1.1 400", b"HTTP/1.1 431"))


def test_a_client_that_holds_connections_open_keeps_no_other_out(address, monkeypatch):
    monkeypatch.setattr(connections, "CONNECTIONS_MAX", CONNECTIONS_LEAST)
    monkeypatch.setattr(connections, "HEAD_SECONDS", 30)
    held = [opened(address) for _ in range(CONNECTIONS_LEAST * 3)]
    assert connections_max() == CONNECTIONS_LEAST
    for _ in range(5):
        answer = httpx.get(f"http://127.0.0.1:{address[1]}/", timeout=5)
        assert answer.text == "hello"
    cut = sum(is_cut(sock, 0.1)[0] for sock in held)
    assert cut >= CONNECTIONS_LEAST * 2
    for sock in held:
        sock.close()


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("127.0.0.1:8780", 200),
        ("[::1]:8780", 200),
        ("localhost:1", 200),
        ("LOCALHOST.", 200),
        ("bulkhead.internal", 200),
        (socket.gethostname(), 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example:8780", 421),
        ("evil.example:80:80", 421),
        ("", 421),
    ],
)
def test_only_a_name_of_ours_is_answered(address, host, status):
    """A page in an operator's browser can have its own name point to 127.0.0.1; the Host header gives it away."""
    answer = httpx.get(f"http://127.0.0.1:{address[1]}/", headers={"host": host})
    assert answer.status_code == status, answer.text
    if status != 200:
        assert "api_hosts" in answer.json()["error"]["message"]


def test_two_hosts_or_none_are_refused(address):
    for head in (b"", b"host: localhost\r\nhost: evil.example\r\n"):
        cut, said = is_cut(opened(address, b"GET / HTTP/1.0\r\n" + head + b"\r\n"), 5)
        assert cut
        assert said.startswith(b"HTTP/1.1 421")


def test_names_in_a_host_header():
    assert host_name("a.b:1") == "a.b"
    assert host_name("[::1]") == "::1"
    assert host_name(":80") is None
    assert host_name("a:b") is None
