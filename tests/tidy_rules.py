"""The walls between folders, and rules of style, as functions over a tree; each fault names file, line and cure."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

FUNCTION_LINES_MAX = 60
FILE_LINES_MAX = 605
"""As long as the longest file is; lower it when that one gets shorter, and never raise it. Not a goal: a file is as long as
its concept."""
TOP_LEVEL_MAX = 3
EXCEPTIONS_MAX = 5

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

LAYERS = (
    ("core",),
    ("limits",),
    ("runtime",),
    ("supervision",),
    ("symbol_router",),
    ("feed", "subaccount", "gateway", "clearing"),
    ("persistence", "venues"),
    ("supervisor",),
    ("assembly",),
    ("api",),
    ("cli",),
)
"""Who may import whom: what stands further down may import what stands above it, never the other way."""

RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}

PURE = ("core", "limits", "symbol_router", "feed", "subaccount", "gateway", "clearing")
"""Folders that decide: what they know of clocks, sockets, threads and mailboxes is in ``actor.py``."""

SPOKEN = frozenset({"messages", "port", "book", "durability"})
"""What one actor's folder may use of another's: the words between them, and the prices that all read."""

MAILBOXES = frozenset({"runtime", "supervision"})
"""Only ``actor.py``, and ports that name a ref, know about them inside the folders that decide."""

NO_FLOATS = (
    "actors/core/units.py",
    "actors/core/instruments.py",
    "actors/core/facts.py",
    "actors/core/clearing_facts.py",
    "actors/subaccount/",
    "actors/clearing/",
)

SAYS_IO = re.compile(r"\bI/O\b")
"""An adapter's file that reads a socket, a file or a clock says so in its docstring."""

EXCEPTIONS = {
    (
        "actors/subaccount/triggers.py",
        "floats",
    ): "the router's triggers, rounded outward; the proof is in its test",
    (
        "actors/venues/paper/in_process.py",
        "walls",
    ): "stands in for a venue in simulations, and reads as the engine does",
}
"""Rules that one file may break, each with its reason; at most five."""

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
        found += length(name, text)
        found += words(name, text)
        if not name.startswith(("tests/", "bench/", "actors/venues/paper/")):
            found += glances(name, tree)
        if name.startswith("actors/"):
            found += [*init_only(name, tree), *purity(name, tree), *walls(name, tree), *floats(name, tree)]
            found += asks(name, tree)
    return [*found, *untested(root), *too_many(root)]


def size(name: str, tree: ast.Module) -> Iterator[str]:
    """Functions that are too long. A file is as long as its concept."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            length = (node.end_lineno or 0) - (body[0].lineno if body else node.lineno) + 1
            nested = any(isinstance(n, ast.FunctionDef) for n in body)
            if length > FUNCTION_LINES_MAX and not nested:
                yield f"{name}:{node.lineno}: {node.name} has {length} lines, at most {FUNCTION_LINES_MAX}; split it"


def length(name: str, text: str) -> Iterator[str]:
    """No file of the program gets longer than the longest one is."""
    lines = text.count("\n")
    if lines > FILE_LINES_MAX and not name.startswith(("tests/", "bench/")):
        yield f"{name}:1: {lines} lines, and the longest file has {FILE_LINES_MAX}; cut it where its concept is"


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
    """Who decides imports no clock, socket, logger, thread or random; an adapter that does says so."""
    folder = name.split("/")[1]
    if folder in PURE and not name.endswith("/actor.py"):
        for line, dotted in imports(tree):
            if dotted.split(".")[0] in IMPURE:
                yield f"{name}:{line}: imports {dotted}; pass it in, or do it in actor.py"
    elif folder in {"persistence", "venues"} and not name.endswith("/actor.py"):
        impure = sorted({d.split(".")[0] for _, d in imports(tree)} & IMPURE - {"sys", "structlog"})
        if impure and not SAYS_IO.search(ast.get_docstring(tree) or ""):
            yield f"{name}:1: imports {', '.join(impure)}; say in its docstring what I/O it does"


def walls(name: str, tree: ast.Module) -> Iterator[str]:
    """Imports run one way, and one actor knows of another what both speak."""
    folder = _folder_of(name)
    if folder == "__init__":
        return
    rank = RANK.get(folder.split("/")[0])
    if rank is None:
        yield f"{name}:1: {folder} has no place in LAYERS of tests/tidy_rules.py; give it one"
        return
    for line, dotted in imports(tree):
        target = dotted.removeprefix("actors.") if dotted.startswith(("actors.", "supervisor")) else ""
        other = _folder_of(f"actors/{target.replace('.', '/')}/") if target else ""
        if not target or other == folder:
            continue
        if RANK.get(other.split("/")[0], -1) > rank:
            yield f"{name}:{line}: imports {dotted}, which stands above it; declare a port, or move it"
        elif (folder, other) == ("venues/paper", "venues/binance") and (name, "walls") not in EXCEPTIONS:
            yield f"{name}:{line}: imports {dotted}; the paper exchange has beliefs of its own about the protocol"
        elif other in MAILBOXES and folder in PURE and not name.endswith(("/actor.py", "/port.py")):
            yield f"{name}:{line}: imports {dotted}; only actor.py knows about mailboxes"
        elif other in PURE[2:] and folder in PURE and target.split(".")[1] not in SPOKEN:
            yield f"{name}:{line}: imports {dotted}; say it in messages, or declare a port"


def _folder_of(name: str) -> str:
    """The folder that walls stand around: ``subaccount``, ``venues/paper``, or ``supervisor``."""
    parts = name.removesuffix(".py").split("/")[1:]
    return "/".join(parts[:2]) if parts[0] == "venues" and len(parts) > 2 else parts[0]


def floats(name: str, tree: ast.Module) -> Iterator[str]:
    """Money is Decimal."""
    if not name.startswith(NO_FLOATS) or (name, "floats") in EXCEPTIONS:
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


COVERS = re.compile(r"^Covers: (.+)$", re.MULTILINE)


def untested(root: Path) -> Iterator[str]:
    """Every file with a function has a test file of its name, or a test that says in its docstring what it covers.

    Such a line is ``Covers: actors/subaccount/adl.py, actors/subaccount/steps.py``.
    """
    covered: set[str] = set()
    for path in (root / "tests").rglob("*.py"):
        for line in COVERS.findall(ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""):
            covered.update(line.replace(",", " ").split())
    for path in sorted((root / "actors").rglob("*/*.py")):
        name = path.relative_to(root).as_posix()
        test = root / "tests" / path.parent.relative_to(root / "actors") / f"test_{path.name}"
        tree = ast.parse(path.read_text(encoding="utf-8"))
        does = any(isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef) for n in ast.walk(tree))
        if does and not test.exists() and name not in covered:
            yield f"{name}:1: no {test.relative_to(root).as_posix()}, and no test says that it covers it; write it"
        covered.discard(name)
    for name in sorted(covered):
        yield f"{name}:1: a test says that it covers this file, which is not there"


def too_many(root: Path) -> Iterator[str]:
    """Top-level modules, and exceptions, stay few."""
    modules = [p.name for p in (root / "actors").glob("*.py") if p.name != "__init__.py"]
    if len(modules) > TOP_LEVEL_MAX:
        yield f"actors/{modules[0]}:1: {len(modules)} modules at the top of actors/; at most {TOP_LEVEL_MAX}"
    if len(EXCEPTIONS) > EXCEPTIONS_MAX:
        yield f"tests/tidy_rules.py:1: {len(EXCEPTIONS)} exceptions; at most {EXCEPTIONS_MAX}"
