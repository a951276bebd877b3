"""The operator's HTTP API: Litestar on uvicorn, loopback by default, bearer tokens with roles.

An operator's and a viewer's token are made at each start and written, with the address, to
``api.json`` in the data folder, readable by its owner only; the command line finds them there.
Settings may name more.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import pykka
import structlog
import uvicorn
from litestar import Litestar, Request, Response
from litestar.connection import ASGIConnection
from litestar.di import Provide
from litestar.exceptions import HTTPException, NotAuthorizedException, PermissionDeniedException
from litestar.handlers import BaseRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme

from actors.api.account_routes import AccountRoutes, OrderRoutes
from actors.api.address import API_FILE, Address
from actors.api.asking import Asking
from actors.api.auth import Tokens, may
from actors.api.connections import BODY_MAX, BoundedProtocol, KnownHosts
from actors.api.desk import OperatorsDesk
from actors.api.engine_routes import ActorRoutes, DeadLetterRoutes, EngineRoutes, SupervisionRoutes
from actors.api.listening import bound
from actors.api.operations import Operations
from actors.api.owner_routes import OwnerRoutes
from actors.api.pools import RETRY_AFTER_S
from actors.api.risk_desk import RiskDesk
from actors.api.risk_routes import FleetRoutes, RiskRoutes
from actors.api.sight import Conflict, NotFound, Sight
from actors.api.words import in_words
from actors.assembly.config import ApiToken, Role
from actors.assembly.engine import Engine
from actors.core.errors import (
    BadInput,
    BulkheadError,
    ExchangeBusy,
    ExchangeUnreachable,
    NotDurable,
    NotRecorded,
    Overloaded,
    Refused,
    StoreBusy,
    StoreUnreachable,
    VenueRefused,
)
from actors.core.names import harmless

log = structlog.get_logger("api")

ROUTES = (
    AccountRoutes,
    OwnerRoutes,
    RiskRoutes,
    FleetRoutes,
    OrderRoutes,
    ActorRoutes,
    SupervisionRoutes,
    DeadLetterRoutes,
    EngineRoutes,
)

START_SECONDS = 10.0

ERROR_MAX = 2_000
"""Characters of an error; what a request repeats to itself is cut."""

STATUS_OF: tuple[tuple[type[BaseException], int], ...] = (
    (NotFound, 404),
    (Conflict, 409),
    (BadInput, 400),
    (Refused, 429),
    (StoreUnreachable, 503),
    (StoreBusy, 503),
    (Overloaded, 503),
    (NotRecorded, 503),
    (pykka.Timeout, 504),
    (NotDurable, 503),
    (ExchangeUnreachable, 502),
    (VenueRefused, 502),
    (ExchangeBusy, 503),
    (pykka.ActorDeadError, 409),
    (BulkheadError, 504),
)


def application(engine: Engine, sight: Sight, tokens: Tokens) -> Litestar:
    """The ASGI application."""
    asking = Asking(engine)
    desk = OperatorsDesk(engine, sight, asking)
    operations = Operations(engine, sight, asking)
    risk_desk = RiskDesk(engine, sight, operations, asking)

    # Not a plain function: that would wait for a thread, behind whatever else does.
    async def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        if handler.opt.get("open"):
            return
        token = tokens.identify(connection.headers.get("authorization", ""))
        if token is None:
            raise NotAuthorizedException("wrong or missing token; it is in api.json of the data folder")
        if not may(token, str(connection.scope.get("method", ""))):
            raise PermissionDeniedException(
                f"{token.name} is a {token.role} and may look only; use an operator's token"
            )
        connection.scope["user"] = token

    return Litestar(
        ROUTES,
        guards=[guard],
        dependencies={
            "engine": Provide(lambda: engine, sync_to_thread=False),
            "sight": Provide(lambda: sight, sync_to_thread=False),
            "desk": Provide(lambda: desk, sync_to_thread=False),
            "ops": Provide(lambda: operations, sync_to_thread=False),
            "risk_desk": Provide(lambda: risk_desk, sync_to_thread=False),
        },
        exception_handlers={Exception: _fail, HTTPException: _fail},
        request_max_body_size=BODY_MAX,
        openapi_config=OpenAPIConfig(
            title="Bulkhead",
            version="1",
            description='The operator\'s API. Errors are {"error": {"code", "message"}}.',
            components=Components(security_schemes={"token": SecurityScheme(type="http", scheme="bearer")}),
            security=[{"token": []}],
        ),
        signature_types=[Engine, Sight, OperatorsDesk, Operations, RiskDesk],
        debug=False,
        logging_config=None,
    )


def _fail(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    code, text, headers = type(error).__name__, str(error), {}
    if isinstance(error, HTTPException):
        status = error.status_code
        text = _what_is_wrong(request, error) if error.extra else error.detail
    elif isinstance(error, RecursionError):
        status, code, text = 400, "BadInput", "the request is nested too deeply"
    else:
        status = next((s for kind, s in STATUS_OF if isinstance(error, kind)), 500)
    if status == 500:  # noqa: PLR2004 - ours, not the caller's
        log.error("request failed", error=harmless(repr(error), ERROR_MAX), exc_info=error)
    if isinstance(error, Overloaded):
        headers["retry-after"] = str(RETRY_AFTER_S)
    body = {"error": {"code": code, "message": harmless(text, ERROR_MAX)}}
    return Response(body, status_code=status, headers=headers)


def _what_is_wrong(request: Request[Any, Any, Any], error: HTTPException) -> str:
    """A request that does not fit, in words."""
    handler = request.scope.get("route_handler")
    field = getattr(handler, "parsed_data_field", None)
    faults = [e for e in error.extra if isinstance(e, dict)] if isinstance(error.extra, list) else []
    if not faults:
        return f"{error.detail}: {msgspec.json.encode(error.extra, enc_hook=str).decode()}"
    if (
        isinstance(error.__cause__, msgspec.ValidationError)
        and len(faults) == 1
        and faults[0]["source"] == "body"
    ):
        return in_words(str(error.__cause__), field and field.annotation)
    return "; ".join(in_words(str(f["message"]), None, str(f["key"])) for f in faults)


class ApiServer:
    """Serves one engine from a thread of its own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        made = [
            ApiToken(f"local-{role}", role, secrets.token_urlsafe(24))
            for role in (Role.OPERATOR, Role.VIEWER)
        ]
        self._token, self._viewer_token = (token.token for token in made)
        self._sight = Sight(engine)
        self._file = Path(engine.config.data_dir) / API_FILE
        config = engine.config
        self._socket = bound(config.api_host, config.api_port)
        self._server = uvicorn.Server(
            uvicorn.Config(
                KnownHosts(
                    application(engine, self._sight, Tokens([*made, *config.api_tokens])),
                    [config.api_host, *config.api_hosts],
                ),
                http=BoundedProtocol,
                ws="none",
                interface="asgi3",
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
        return Address(f"http://{host}:{port}", self._token, os.getpid(), self._viewer_token)

    def start(self) -> None:
        """Listen, and write ``api.json``.

        Raises:
            BulkheadError: it does not come up in time.
        """
        self._sight.census.start()
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
        self._sight.census.stop()
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(START_SECONDS)
        self._socket.close()
