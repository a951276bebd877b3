"""The style rules of DESIGN 3 as functions over a tree; each fault names file, line and cure."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

FUNCTION_LINES_MAX = 60

IMPURE = frozenset(
    [
        "pykka",
        "time",
        "logging",
        "structlog",
        "socket",
        "asyncio",
        "threading",
        "queue",
        "random",
        "uuid",
        "secrets",
        "os",
        "sys",
        "httpx",
        "websockets",
        "psycopg",
        "redis",
        "subprocess",
        "uvicorn",
        "litestar",
        "signal",
    ]
)

# Files that do I/O or run things say so in their name; nothing else may.
IMPURE_NAMES = frozenset({"actor.py", "server.py", "store.py", "embedded.py", "process.py", "client.py"})
IMPURE_FILES = {
    "actors/api/asking.py": "asks actors from an event loop",
    "actors/api/connections.py": "sockets",
    "actors/api/pools.py": "threads, and who waits for them",
    "actors/api/risk_desk.py": "asks actors on behalf of HTTP",
    "actors/supervision/operator_log.py": "keeps a file",
    "actors/runtime/local_file.py": "writes a file from a thread of its own",
    "actors/persistence/reader.py": "reads Postgres",
    "actors/api/operations.py": "asks actors on behalf of HTTP",
    "actors/api/risk_routes.py": "HTTP paths",
    "actors/api/awaiting.py": "waits for actors on an event loop",
    "actors/cli/risk.py": "the command line",
    "actors/assembly/config.py": "reads the environment",
    "actors/supervision/alarms.py": "logs",
    "actors/persistence/caretaker.py": "looks from a thread of its own",
    "actors/assembly/folder_lock.py": "locks a file",
    "actors/runtime/logs.py": "sets logging up",
    "actors/cli/main.py": "the command line",
    "actors/cli/live.py": "the command line",
    "actors/cli/ops.py": "the command line",
    "actors/cli/common.py": "the command line",
    "actors/cli/orders.py": "the command line",
    "actors/cli/status.py": "the command line",
    "actors/api/listening.py": "binds a socket",
    "actors/api/owner_routes.py": "HTTP paths",
    "actors/api/desk.py": "asks actors on behalf of HTTP",
    "actors/api/sight.py": "streams to whoever follows",
    "actors/api/census.py": "counts from a thread of its own",
    "actors/api/account_routes.py": "HTTP paths",
    "actors/api/engine_routes.py": "HTTP paths",
    "actors/cli/demo.py": "starts processes",
    "actors/assembly/engine.py": "the composition root",
    "actors/assembly/replay.py": "a composition root",
    "actors/venues/binance/discovery.py": "asks the exchange at start",
    "actors/venues/binance/http.py": "sends requests",
    "actors/venues/binance/asking.py": "asks the exchange, and waits",
    "actors/venues/binance/throttle.py": "waits for its turn, with a lock",
    "actors/venues/binance/side.py": "reads rules in a thread of its own",
    "actors/assembly/shared_answer.py": "one lock, one clock",
    "actors/venues/binance/market_data.py": "reads sockets",
    "actors/venues/binance/orders.py": "sends requests",
    "actors/venues/binance/order_socket.py": "sends requests over a socket",
    "actors/venues/binance/timekeeper.py": "asks the exchange for its time",
    "actors/venues/binance/user_stream.py": "reads a socket",
    "actors/cli/paper.py": "the command line",
    "actors/venues/paper/connections.py": "queues of frames",
    "actors/venues/paper/feed_player.py": "plays files in their own time",
    "actors/venues/paper/generator.py": "tests/venues/paper/test_recording.py",
    "actors/venues/paper/recording.py": "reads and writes files with a seeded generator",
    "actors/persistence/connection.py": "connects",
    "actors/persistence/operator_records.py": "operators' SQL",
    "actors/assembly/reconciliation.py": "waits while fills are on their way",
    "actors/persistence/schema.py": "runs the schema's SQL",
}
IMPURE_FOLDERS = ("actors/runtime/",)

SHARED = frozenset(
    [
        "units", "errors", "facts", "fees", "glance", "limits", "risk_limits", "risk_config", "trading_day", "messages", "order_ids", "config", "logs", "wire",
        "names", "urgency",
    ]
)  # fmt: skip
COMPOSITION = frozenset(
    {
        "cli",
        "cli_common",
        "cli_hints",
        "cli_live",
        "cli_ops",
        "cli_orders",
        "cli_paper",
        "cli_safe",
        "cli_show",
        "cli_show_actor",
        "cli_show_status",
        "cli_status",
        "cli_show_ops",
        "cli_risk",
        "cli_show_risk",
        "cli_table",
        "demo",
        "demo_view",
        "replay",
        "engine",
        "alarms",
        "deeds",
        "local_file",
        "caretaker",
        "folder_lock",
        "reconciliation",
        "exchange_side",
        "shared_answer",
    }
)
# What one folder may use of another beside its messages; each with its reason.
DOORS = {
    ("persistence", "subaccount.state"): "rows are made of a state, and states of rows",
    ("persistence", "subaccount.orders"): "as above",
    ("persistence", "subaccount.position"): "as above",
    ("persistence", "subaccount.risk"): "as above",
    ("persistence", "subaccount.holdings"): "as above",
    ("persistence", "subaccount.margin"): "the platform's rows hold its liquidation price",
    ("*", "persistence.messages"): "the writer's vocabulary",
    ("*", "gateway.messages"): "the gateway's vocabulary",
    ("*", "symbol_router.book"): "prices are read by all, written by the router",
    ("venues/binance", "gateway.orders"): "what a venue is asked is the gateway's port",
    ("venues/binance", "feed.rates"): "what a venue tells of past minutes is the feed's port",
    ("venues/paper", "venues/binance"): "in_process.py, and nothing else of it, reads as the engine does",
    ("venues/paper", "gateway.orders"): "in_process.py stands in for a venue's orders",
}
RUNTIME_USERS = frozenset({"actor.py", "port.py"})
# The I/O side of a venue tells actors what arrives.
VENUE_IO = frozenset(
    f"actors/venues/binance/{name}.py" for name in ("market_data", "orders", "timekeeper", "user_stream")
)
NO_FLOATS = ("actors/core/units.py", "actors/subaccount/")
FLOATS_ALLOWED = frozenset({"actors/subaccount/triggers.py"})

# Files without a test file of their own name; the reason says where they are tested.
TESTED_ELSEWHERE = {
    "actors/gateway/messages.py": "data",
    "actors/gateway/orders.py": "data",
    "actors/persistence/messages.py": "data",
    "actors/persistence/accounts.py": "tests/persistence/test_store.py tries each bad account",
    "actors/persistence/connection.py": "tests/persistence/test_store.py tries bad DSNs",
    "actors/persistence/sql.py": "tests/persistence/test_store.py runs every statement",
    "actors/persistence/row_ids.py": "tests/persistence/test_store.py and test_fee_rows.py read by them",
    "actors/subaccount/pipeline.py": "tests/subaccount/test_decide.py decides through it",
    "actors/subaccount/intents.py": "tests/subaccount/test_decide.py and test_conditionals.py",
    "actors/subaccount/market.py": "every test of tests/subaccount gives one",
    "actors/subaccount/orders.py": "tests/subaccount/test_state.py and test_conditionals.py",
    "actors/subaccount/rejections.py": "tests/subaccount/test_checks.py",
    "actors/subaccount/risk_state.py": "data",
    "actors/subaccount/sizing.py": "tests/subaccount/test_seeds_002_to_004.py",
    "actors/subaccount/value_at_risk.py": "tests/subaccount/test_limit_checks.py",
    "actors/supervision/registry.py": "tests/test_supervisor.py and tests/test_quarantine.py",
    "actors/runtime/clock.py": "tests/runtime/test_simulation.py",
    "actors/runtime/cell.py": "tests/runtime/test_actor.py",
    "actors/runtime/io_loop.py": "tests/e2e runs it",
    "actors/venues/binance/discovery.py": "tests/venues/binance/test_asking.py",
    "actors/venues/binance/rules.py": "data",
    "actors/gateway/port.py": "a protocol",
    "actors/gateway/sending.py": "tests/gateway/test_waiting.py",
    "actors/feed/port.py": "a protocol",
    "actors/api/account_routes.py": "tests/e2e and tests/e2e/test_schema.py",
    "actors/api/address.py": "data",
    "actors/api/asking.py": "tests/e2e/test_waiting.py",
    "actors/api/client.py": "tests/e2e",
    "actors/api/desk.py": "tests/e2e/test_operators.py",
    "actors/api/engine_routes.py": "tests/e2e/test_operators.py and test_schema.py",
    "actors/api/metrics.py": "tests/api/test_census.py",
    "actors/api/risk_desk.py": "tests/e2e/test_risk.py",
    "actors/api/owner_routes.py": "tests/e2e/test_owner.py and test_schema.py",
    "actors/api/risk_routes.py": "tests/e2e/test_risk.py and test_schema.py",
    "actors/api/risk_views.py": "tests/e2e/test_risk.py",
    "actors/api/sight.py": "tests/e2e/test_operators.py",
    "actors/api/operations.py": "tests/e2e",
    "actors/api/server.py": "tests/e2e",
    "actors/api/views.py": "tests/e2e",
    "actors/venues/binance/rest.py": "data",
    "actors/venues/paper/account.py": "tests/venues/paper/test_matching.py and test_routes.py",
    "actors/venues/paper/account_endpoints.py": "tests/venues/paper/test_routes.py and test_settings.py",
    "actors/venues/paper/actions.py": "tests/venues/paper/test_admin.py",
    "actors/venues/paper/algo_endpoints.py": "tests/venues/paper/test_settings.py and test_routes.py",
    "actors/venues/paper/brackets.py": "tests/venues/paper/test_settings.py",
    "actors/venues/paper/checks.py": "tests/venues/paper/test_matching.py and test_server.py",
    "actors/venues/paper/codes.py": "data",
    "actors/venues/paper/connections.py": "tests/venues/paper/test_streams.py",
    "actors/venues/paper/ledger.py": "tests/venues/paper/test_matching.py",
    "actors/venues/paper/listen_keys.py": "tests/venues/paper/test_streams.py",
    "actors/venues/paper/market_endpoints.py": "tests/venues/paper/test_routes.py and test_limits.py",
    "actors/venues/paper/order_endpoints.py": "tests/venues/paper/test_server.py and test_routes.py",
    "actors/venues/paper/orders.py": "tests/venues/paper/test_matching.py",
    "actors/venues/paper/reports.py": "tests/venues/paper/test_routes.py and test_matching.py",
    "actors/venues/paper/rules.py": "tests/venues/paper/test_server.py and test_matching.py",
    "actors/venues/paper/settings_endpoints.py": "tests/venues/paper/test_settings.py",
    "actors/venues/paper/stream_frames.py": "tests/venues/paper/test_streams.py",
    "actors/venues/paper/user_events.py": "data",
    "actors/venues/paper/venue.py": "tests/venues/paper/test_server.py and test_admin.py",
    "actors/venues/paper/wire_account.py": "data",
    "actors/venues/paper/wire_market.py": "data",
    "actors/venues/paper/wire_orders.py": "data",
    "actors/venues/paper/wire_streams.py": "data",
    "actors/venues/paper/config.py": "tests/venues/paper/test_server.py",
    "actors/venues/paper/endpoints.py": "tests/venues/paper/test_server.py",
    "actors/venues/paper/faults.py": "tests/venues/paper/test_server.py and tests/e2e",
    "actors/venues/paper/in_process.py": "tests/sim",
    "actors/venues/paper/instruments.py": "data",
    "actors/venues/paper/process.py": "tests/e2e",
    "actors/venues/paper/requests.py": "tests/venues/paper/test_server.py",
    "actors/venues/paper/generator.py": "tests/venues/paper/test_recording.py",
}

FORBIDDEN_TEXT = re.compile(
    r"(files\.pythonhosted|registry\.npmjs|deb\.debian|(?<![\w.])/(?:work|root|farm)/[a-z])"
)


def python_files(root: Path) -> Iterator[tuple[str, Path]]:
    """Relative name and path of every Python file of ours."""
    for top in ("actors", "bench", "tests"):
        for path in sorted((root / top).rglob("*.py")):
            yield path.relative_to(root).as_posix(), path
    if (root / "supervisor.py").exists():
        yield "supervisor.py", root / "supervisor.py"


def all_faults(root: Path) -> list[str]:
    """Every fault in the tree."""
    found: list[str] = []
    for name, path in python_files(root):
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
        found += size(name, tree)
        found += words(name, text)
        if not name.startswith(("tests/", "bench/", "actors/venues/paper/")):
            found += glances(name, tree)
        if name.startswith("actors/"):
            found += [*init_only(name, tree), *purity(name, tree), *walls(name, tree), *floats(name, tree)]
            found += asks(name, tree)
    return [*found, *untested(root)]


def size(name: str, tree: ast.Module) -> Iterator[str]:
    """Functions that are too long. A file is as long as its concept."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            length = (node.end_lineno or 0) - (body[0].lineno if body else node.lineno) + 1
            nested = any(isinstance(n, ast.FunctionDef) for n in body)
            if length > FUNCTION_LINES_MAX and not nested:
                yield f"{name}:{node.lineno}: {node.name} has {length} lines, at most {FUNCTION_LINES_MAX}; split it"


def words(name: str, text: str) -> Iterator[str]:
    """Left-overs and addresses that must not be committed."""
    for number, line in enumerate(text.splitlines(), 1):
        if re.search(r"#.*\b([T]ODO|[F]IXME|[X]XX)\b", line):
            yield f"{name}:{number}: a note to self; do it, or file an issue"
        if FORBIDDEN_TEXT.search(line) and not name.startswith("tests/"):
            yield f"{name}:{number}: names a registry host or a path of one machine; take it out"
        if re.match(r"\s*print\(", line) and name.startswith("actors/"):
            yield f"{name}:{number}: print; use structlog, or the command line's console"
        if re.match(r"\s*except:", line):
            yield f"{name}:{number}: bare except; name what you expect"


def init_only(name: str, tree: ast.Module) -> Iterator[str]:
    """``__init__.py`` files hold a docstring and nothing else."""
    if name.endswith("__init__.py") and (len(tree.body) != 1 or ast.get_docstring(tree) is None):
        yield f"{name}:1: must hold a docstring only; move code to a file with a name"


def imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and dotted name of every import that runs."""
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                yield node.lineno, f"{node.module}.{alias.name}"


def purity(name: str, tree: ast.Module) -> Iterator[str]:
    """Pure files import no clock, socket, logger, thread or random."""
    if Path(name).name in IMPURE_NAMES or name in IMPURE_FILES or name.startswith(IMPURE_FOLDERS):
        return
    for line, dotted in imports(tree):
        if dotted.split(".")[0] in IMPURE:
            yield f"{name}:{line}: imports {dotted}; pass it in, or move this to a file that says it does I/O"


def walls(name: str, tree: ast.Module) -> Iterator[str]:
    """What one folder may know of another."""
    parts = name.removesuffix(".py").split("/")
    folder = _folder_of(parts[1:])
    if (not folder and parts[1] in COMPOSITION) or folder == "api":
        return
    for line, dotted in imports(tree):
        if dotted.split(".")[0] == "supervisor":
            yield f"{name}:{line}: imports the supervisor; only composition roots may"
        if not dotted.startswith("actors."):
            continue
        target = dotted.removeprefix("actors.").replace("venues.", "venues/", 1)
        other = target.split(".")[0]
        if other in SHARED or other == folder:
            continue
        if folder == "venues/paper" and other == "venues/binance" and Path(name).name != "in_process.py":
            yield f"{name}:{line}: imports {dotted}; the paper exchange has beliefs of its own about the protocol"
            continue
        if other == "runtime":
            if Path(name).name not in RUNTIME_USERS and name not in VENUE_IO:
                yield f"{name}:{line}: imports {dotted}; only actor.py and a venue's I/O know about mailboxes"
        elif not any(f in {"*", folder} and (target + ".").startswith(t + ".") for f, t in DOORS):
            yield f"{name}:{line}: imports {dotted}; say it in messages, or open a door in tests/tidy_rules.py"


def _folder_of(parts: list[str]) -> str:
    """The folder that walls stand around: ``subaccount``, ``venues/paper``; none for a file of its own."""
    depth = 2 if parts[0] == "venues" else 1
    return "/".join(parts[:depth]) if len(parts) > depth else ""


def floats(name: str, tree: ast.Module) -> Iterator[str]:
    """Money is Decimal."""
    if not name.startswith(NO_FLOATS) or name in FLOATS_ALLOWED:
        return
    for node in ast.walk(tree):
        literal = isinstance(node, ast.Constant) and isinstance(node.value, float)
        named = isinstance(node, ast.Name) and node.id == "float"
        if literal or named:
            yield f"{name}:{getattr(node, 'lineno', 0)}: a float; money, prices and quantities are Decimal"


def asks(name: str, tree: ast.Module) -> Iterator[str]:
    """Actors never wait for each other."""
    if not name.endswith("/actor.py"):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr == "ask":
            yield f"{name}:{node.lineno}: asks; actors tell, and get answers as messages"


ONE_STEP = frozenset({"pairs", "keys", "list", "sorted", "range"})
"""Calls that look at a live container once; see actors/core/safe_copy.py."""


def glances(name: str, tree: ast.Module) -> Iterator[str]:
    """Whoever looks from another thread copies what it looks at in one step."""
    for node in ast.walk(tree):
        if _is_call(node, {"list", "tuple", "sorted", "set"}) and _is_items(node.args):  # type: ignore[attr-defined]
            yield f"{name}:{node.lineno}: not one step for other threads; use actors.core.safe_copy.pairs"  # type: ignore[attr-defined]
        if not isinstance(node, ast.FunctionDef) or node.name != "inspect_state":
            continue
        for inner in ast.walk(node):
            live = inner.iter if isinstance(inner, ast.For | ast.comprehension) else None
            if _is_call(inner, {"tuple", "set", "dict"}):
                live = inner.args[0] if inner.args else None  # type: ignore[attr-defined]
            while isinstance(live, ast.Subscript):
                live = live.value
            is_live = isinstance(live, ast.Attribute) and live.attr != "unknown"
            if is_live or (isinstance(live, ast.Call) and not _is_call(live, ONE_STEP)):
                yield f"{name}:{node.lineno}: other threads look here; copy in one step, with actors.core.safe_copy"


def _is_call(node: ast.AST, names: Collection[str]) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names


def _is_items(arguments: Sequence[ast.expr]) -> bool:
    """Whether it is ``self....items()``, of what outlives a call."""
    first = arguments[0] if arguments else None
    called = first.func if isinstance(first, ast.Call) else None
    if not isinstance(called, ast.Attribute) or called.attr != "items":
        return False
    root = called.value
    while isinstance(root, ast.Attribute):
        root = root.value
    return isinstance(root, ast.Name) and root.id in {"self", "core", "engine", "house", "registry"}


def untested(root: Path) -> Iterator[str]:
    """Every file under actors/<x>/ has its test file, or a reason in the table."""
    for path in sorted((root / "actors").rglob("*/*.py")):
        name = path.relative_to(root).as_posix()
        test = root / "tests" / path.parent.relative_to(root / "actors") / f"test_{path.name}"
        if path.name == "__init__.py":
            continue
        if name in TESTED_ELSEWHERE:
            if test.exists():
                yield f"{name}:1: has its own test file now; take it out of TESTED_ELSEWHERE"
        elif not test.exists():
            yield f"{name}:1: no {test.relative_to(root).as_posix()}; write it"
