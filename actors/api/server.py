"""The operator's HTTP API: Litestar on uvicorn, loopback by default, one bearer token.

The token is made at each start and written, with the address, to ``api.json`` in the data
folder, readable by its owner only; the command line finds both there.
"""

from __future__ import annotations

import hmac
import os
import secrets
import socket
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import pykka
import uvicorn
from litestar import Litestar, Request, Response, delete, get, post
from litestar.connection import ASGIConnection
from litestar.exceptions import HTTPException, NotAuthorizedException
from litestar.handlers import BaseRouteHandler
from litestar.openapi import OpenAPIConfig

from actors.api import views
from actors.api.operations import NotFound, Operations
from actors.engine import Engine
from actors.errors import (
    BadConfig,
    BadInput,
    BulkheadError,
    ExchangeUnreachable,
    NotDurable,
    Refused,
    StoreUnreachable,
)
from actors.messages import AccountStatus
from actors.reconciliation import Difference
from actors.subaccount.decide import Accepted, Rejected

API_FILE = "api.json"
START_SECONDS = 10.0
PAGE_MAX = 10_000
HTTP_REJECTED = 422

STATUS_OF: tuple[tuple[type[BaseException], int], ...] = (
    (NotFound, 404),
    (BadInput, 400),
    (Refused, 429),
    (StoreUnreachable, 503),
    (NotDurable, 503),
    (ExchangeUnreachable, 502),
    (pykka.ActorDeadError, 409),
    (BulkheadError, 504),
)


class Address(msgspec.Struct, frozen=True):
    """What ``api.json`` holds."""

    url: str
    token: str
    pid: int


def _answer(outcome: Accepted | Rejected) -> Response[Any]:
    rejected = isinstance(outcome, Rejected)
    return Response(outcome, status_code=HTTP_REJECTED if rejected else 200)


def _page(limit: int, offset: int = 0) -> None:
    if not 1 <= limit <= PAGE_MAX or offset < 0:
        raise BadInput(f"limit {limit} must be 1 to {PAGE_MAX} and offset {offset} at least 0")


def handlers(ops: Operations, engine: Engine) -> list[Any]:
    """All paths."""

    @get("/v1/health", sync_to_thread=False, opt={"open": True})
    def health() -> dict[str, Any]:
        return {
            "status": "ok" if not engine.gate.closers else "reduce-only",
            "closed_by": engine.gate.closers,
        }

    @get("/v1/stats", sync_to_thread=True)
    def stats() -> dict[str, Any]:
        return ops.stats()

    @get("/v1/accounts", sync_to_thread=True)
    def accounts(limit: int = 100, offset: int = 0) -> list[views.AccountView]:
        _page(limit, offset)
        return ops.accounts(limit, offset)

    @get("/v1/accounts/{account_id:str}", sync_to_thread=True)
    def account(account_id: str) -> views.AccountView:
        return ops.account(account_id)

    @get("/v1/positions", sync_to_thread=True)
    def positions(account_id: str | None = None, limit: int = 100) -> list[views.PositionView]:
        _page(limit)
        return ops.positions(account_id, limit)

    @get("/v1/actors/{name:str}", sync_to_thread=True)
    def actor(name: str) -> Response[Any]:
        return Response(msgspec.json.encode(ops.actor(name), enc_hook=str), media_type="application/json")

    @post("/v1/actors/{name:str}/restart", sync_to_thread=True, status_code=200)
    def restart(name: str) -> dict[str, bool]:
        return {"restarted": ops.restart(name)}

    @get("/v1/actors/{name:str}/deadletters", sync_to_thread=True)
    def dead_letters(name: str) -> list[dict[str, Any]]:
        return ops.dead_letters(name)

    @post("/v1/accounts", sync_to_thread=True)
    def create(data: list[views.AccountBody]) -> dict[str, int]:
        return {"created": ops.create(data)}

    @post("/v1/orders", sync_to_thread=True, status_code=200)
    def place_many(data: list[views.OrderBody]) -> list[Accepted | Rejected]:
        return ops.place_many(data)

    @post("/v1/accounts/{account_id:str}/orders", sync_to_thread=True, status_code=200)
    def place(account_id: str, data: views.OrderBody) -> Response[Any]:
        return _answer(ops.place(account_id, data))

    @delete(
        "/v1/accounts/{account_id:str}/orders/{client_order_id:str}", sync_to_thread=True, status_code=200
    )
    def cancel(account_id: str, client_order_id: str) -> Response[Any]:
        return _answer(ops.cancel(account_id, client_order_id))

    @post("/v1/accounts/{account_id:str}/balance", sync_to_thread=True, status_code=200)
    def balance(account_id: str, data: views.AmountBody) -> Response[Any]:
        return _answer(ops.adjust(account_id, data))

    @post("/v1/accounts/{account_id:str}/freeze", sync_to_thread=True, status_code=200)
    def freeze(account_id: str) -> Response[Any]:
        return _answer(ops.set_status(account_id, AccountStatus.FROZEN))

    @post("/v1/accounts/{account_id:str}/unfreeze", sync_to_thread=True, status_code=200)
    def unfreeze(account_id: str) -> Response[Any]:
        return _answer(ops.set_status(account_id, AccountStatus.ACTIVE))

    @post("/v1/accounts/{account_id:str}/fault", sync_to_thread=True, status_code=200)
    def fault(account_id: str, data: views.FaultBody) -> dict[str, bool]:
        ops.fault(account_id, data)
        return {"sent": True}

    @get("/v1/reconciliation", sync_to_thread=True)
    def reconciliation(settle_seconds: int = 0) -> list[dict[str, Any]]:
        return [_difference(d) for d in engine.reconcile(min(settle_seconds, 30))]

    @get("/v1/alarms", sync_to_thread=False)
    def alarms() -> list[Any]:
        return list(engine.alarms)

    return [
        health, stats, accounts, account, positions, actor, restart, dead_letters, create, place_many,
        place, cancel, balance, freeze, unfreeze, fault, reconciliation, alarms,
    ]  # fmt: skip


def _difference(found: Difference) -> dict[str, Any]:
    return {**msgspec.structs.asdict(found), "difference": found.difference}


def application(engine: Engine, token: str) -> Litestar:
    """The ASGI application."""

    def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        if handler.opt.get("open"):
            return
        given = connection.headers.get("authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
            raise NotAuthorizedException("wrong or missing token; it is in api.json of the data folder")

    def fail(_request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
        if isinstance(error, HTTPException):
            text = error.detail
            if error.extra:
                text = f"{text}: {msgspec.json.encode(error.extra, enc_hook=str).decode()}"
            return Response(
                {"error": {"code": type(error).__name__, "message": text}}, status_code=error.status_code
            )
        status = next((s for kind, s in STATUS_OF if isinstance(error, kind)), 500)
        return Response({"error": {"code": type(error).__name__, "message": str(error)}}, status_code=status)

    return Litestar(
        handlers(Operations(engine), engine),
        guards=[guard],
        exception_handlers={Exception: fail},
        openapi_config=OpenAPIConfig(title="Bulkhead", version="1"),
        debug=False,
        logging_config=None,
    )


class ApiServer:
    """Serves one engine from a thread of its own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._token = secrets.token_urlsafe(24)
        self._file = Path(engine.config.data_dir) / API_FILE
        config = engine.config
        self._socket = _bound(config.api_host, config.api_port)
        self._server = uvicorn.Server(
            uvicorn.Config(
                application(engine, self._token),
                log_level="warning",
                access_log=False,
                lifespan="off",
                timeout_graceful_shutdown=2,
            )
        )
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name="api", daemon=True
        )

    @property
    def address(self) -> Address:
        """Where it listens, and the token."""
        host, port = self._socket.getsockname()[:2]
        return Address(f"http://{host}:{port}", self._token, os.getpid())

    def start(self) -> None:
        """Listen, and write ``api.json``.

        Raises:
            BulkheadError: it does not come up in time.
        """
        self._thread.start()
        deadline = time.monotonic() + START_SECONDS
        while not self._server.started:
            if time.monotonic() > deadline or not self._thread.is_alive():
                raise BulkheadError("the API server did not start")
            time.sleep(0.01)
        fresh = self._file.with_suffix(".new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as out:
            out.write(msgspec.json.encode(self.address))
        fresh.replace(self._file)

    def stop(self) -> None:
        """Stop listening, and take ``api.json`` away."""
        self._file.unlink(missing_ok=True)
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(START_SECONDS)
        self._socket.close()


def _bound(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise BadConfig(
            f"the API cannot listen on {host}:{port} ({error.strerror}); choose another --api-port"
        ) from None
    return listener
