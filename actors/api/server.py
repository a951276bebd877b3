"""The operator's HTTP API: Litestar on uvicorn, loopback by default, bearer tokens with roles.

At each start a token for operators and one for viewers are made and written, with the address, to ``api.json`` in the
data folder, readable by its owner only; the command line finds them there. Settings may name more tokens.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import uvicorn
from litestar import Litestar
from litestar.connection import ASGIConnection
from litestar.enums import ScopeType
from litestar.exceptions import HTTPException, NotAuthorizedException, PermissionDeniedException
from litestar.handlers import BaseRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme

from actors.api import (
    accounts,
    actors,
    breaker,
    clearing,
    deadletters,
    drop_copy,
    engine,
    history,
    limits,
    orders,
    position_sizes,
    prices,
    quarantine,
    time_travel,
)
from actors.api.address import API_FILE, Address
from actors.api.auth import Tokens, may
from actors.api.connections import (
    BODY_MAX,
    SOCKET_MESSAGE_MAX,
    BoundedProtocol,
    BoundedSocket,
    KnownHosts,
    Refusals,
)
from actors.api.errors import STARTING, Starting, error_response, refused
from actors.api.listening import bound
from actors.api.noun import Context, Noun
from actors.assembly.config import ApiToken, Role
from actors.assembly.engine import Engine
from actors.core.errors import BulkheadError

NOUNS: tuple[Noun, ...] = (
    accounts.NOUN,
    orders.NOUN,
    clearing.NOUN,
    time_travel.NOUN,
    position_sizes.NOUN,
    prices.NOUN,
    limits.NOUN,
    breaker.NOUN,
    actors.NOUN,
    quarantine.NOUN,
    deadletters.NOUN,
    drop_copy.NOUN,
    engine.NOUN,
    history.NOUN,
)

START_SECONDS = 10.0


def application(context: Context, tokens: Tokens) -> Litestar:
    """The ASGI application."""

    # A coroutine, though it awaits nothing: Litestar runs a plain function in a thread, where it would wait behind
    # other requests.
    async def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        if handler.opt.get("open"):
            return
        has_accounts = context.engine.has_accounts
        is_socket = connection.scope["type"] == ScopeType.WEBSOCKET
        try:
            # A websocket is opened by a GET.
            method = "GET" if is_socket else str(connection.scope.get("method", ""))
            connection.scope["user"] = _allowed(tokens, connection.headers.get("authorization", ""), method)
        except HTTPException as error:
            raise refused(error) if is_socket else error from None
        if not has_accounts and not handler.opt.get("early"):
            starting = Starting(STARTING)
            raise refused(starting) if is_socket else starting

    return Litestar(
        [noun.router(context) for noun in NOUNS],
        guards=[guard],
        exception_handlers={Exception: error_response, HTTPException: error_response},
        request_max_body_size=BODY_MAX,
        openapi_config=OpenAPIConfig(
            title="Bulkhead",
            version="1",
            description='The operator\'s API. Errors are {"error": {"code", "message"}}.',
            components=Components(security_schemes={"token": SecurityScheme(type="http", scheme="bearer")}),
            security=[{"token": []}],
            use_handler_docstrings=True,
        ),
        debug=False,
        logging_config=None,
    )


def _allowed(tokens: Tokens, header: str, method: str) -> ApiToken:
    token = tokens.identify(header)
    if token is None:
        raise NotAuthorizedException("wrong or missing token; it is in api.json of the data folder")
    if not may(token, method):
        raise PermissionDeniedException(
            f"{token.name} is a {token.role} and may look only; use an operator's token"
        )
    return token


class ApiServer:
    """Serves one engine from a thread of its own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        made = [
            ApiToken(f"local-{role}", role, secrets.token_urlsafe(24))
            for role in (Role.OPERATOR, Role.VIEWER)
        ]
        self._token, self._viewer_token = (token.token for token in made)
        self._context = Context(engine)
        self._file = Path(engine.config.data_dir) / API_FILE
        config = engine.config
        self._socket = bound(config.api_host, config.api_port)
        self._server = uvicorn.Server(
            uvicorn.Config(
                KnownHosts(
                    Refusals(application(self._context, Tokens([*made, *config.api_tokens]))),
                    [config.api_host, *config.api_hosts],
                ),
                http=BoundedProtocol,
                ws=BoundedSocket,
                ws_max_size=SOCKET_MESSAGE_MAX,
                ws_per_message_deflate=False,
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
        """Where it listens, and the tokens."""
        host, port = self._socket.getsockname()[:2]
        return Address(f"http://{host}:{port}", self._token, os.getpid(), self._viewer_token)

    def listen(self) -> None:
        """Listen: before the accounts are there, all but health and a look at one account is answered with 503.

        Raises:
            BulkheadError: it does not come up in time.
        """
        self._thread.start()
        deadline = time.monotonic() + START_SECONDS
        while not self._server.started:
            if time.monotonic() > deadline or not self._thread.is_alive():
                raise BulkheadError("the API server did not start")
            time.sleep(0.01)

    def start(self) -> None:
        """The accounts are there: answer everything, and write ``api.json``.

        Raises:
            BulkheadError: it does not come up in time.
        """
        if self._thread.ident is None:
            self.listen()
        self._context.mailboxes.start()
        # Written beside and renamed: who reads the file finds it whole or not at all.
        fresh = self._file.with_suffix(".new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as out:
            out.write(msgspec.json.encode(self.address))
        fresh.replace(self._file)

    def stop(self) -> None:
        """Stop listening, and remove ``api.json``."""
        self._file.unlink(missing_ok=True)
        self._context.mailboxes.stop()
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(START_SECONDS)
        self._socket.close()
