"""Flip every comparison of the decision code, one at a time, and see a test fail each time.

``make mutants`` runs it; CI too. Each comparison is tried at its edge (< as <=) and the other way round (< as >=).
A mutant that no test notices is a limit that nobody checks. What is listed in ``EQUIVALENT`` cannot be
noticed, with the reason.

    python -m tests.mutants                  all
    python -m tests.mutants limit_checks     some
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import importlib.abc
import importlib.util
import io
import multiprocessing
import os
import sys
import time
from pathlib import Path

import hypothesis
import msgspec
import pytest
import structlog

ROOT = Path(__file__).parents[1]
THIRD_PARTY = (hypothesis, msgspec, pytest, structlog)
"""Imported before the fork, so that each mutant imports our own modules only."""

SUITES = {
    "checks": [
        "test_checks",
        "test_dust",
        "test_prospects",
        "test_limits_together",
        "test_conditionals",
        "test_commitments",
        "test_seed_000",
        "test_decide",
    ],
    "limit_checks": [
        "test_limit_checks",
        "test_prospects",
        "test_limits_together",
        "test_checks",
        "test_seed_001",
        "test_conditionals",
    ],
    "steps": ["test_steps", "test_dust", "test_adl"],
    "dust": ["test_dust"],
    "prospects": ["test_prospects"],
    "control": ["test_control", "test_steps", "test_prospects", "test_breaker", "test_fees", "test_losses"],
    "adl": [
        "test_adl",
        "test_steps",
        "test_bad_debt",
        "test_dust",
        "test_seed_000",
        "test_losses",
        "test_conditionals",
        "test_decide",
        "test_books",
        "test_fees",
    ],
    "losses": ["test_losses", "test_seeds_002_to_004", "test_limit_checks", "test_breaker"],
    "breaker": ["test_breaker", "test_seeds_002_to_004"],
    "conditionals": ["test_conditionals", "test_protection", "test_breaker", "test_waited"],
    "waited": ["test_waited"],
    "monitor": ["test_monitor"],
    "margin": ["test_margin", "test_steps", "test_adl", "test_prospects"],
    "commitments": ["test_commitments", "test_protection", "test_breaker"],
    "value_at_risk": ["test_limit_checks"],
    "sizing": ["test_seeds_002_to_004"],
    "report": ["test_report"],
    "fees": ["test_fees", "test_ledger"],
    "holdings": ["test_holdings", "test_funding", "test_actor"],
    "funding": ["test_funding", "test_booking"],
    "ledger": [
        "test_ledger",
        "test_funding",
        "test_fees",
        "test_booking",
        "test_losses",
        "test_adl",
        "test_state",
    ],
}
"""Which tests are to notice, quickest first."""

EDGE = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt}
REVERSE = {
    ast.Lt: ast.GtE, ast.LtE: ast.Gt, ast.Gt: ast.LtE, ast.GtE: ast.Lt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip

EQUIVALENT: dict[tuple[str, str, str], str] = {
    (
        "margin",
        "self.equity <= ZERO",
        "self.equity < ZERO",
    ): "the ratio is 1 there, which closes everything as well",
    (
        "margin",
        "bracket.notional_floor <= abs(q) * price < bracket.notional_cap",
        "bracket.notional_floor <= abs(q) * price <= bracket.notional_cap",
    ): "at the edge of two brackets both give the same price",
}
"""Module, comparison, what it becomes: why nothing can tell them apart."""

SECONDS_EACH = 120


class Mutant(msgspec.Struct, frozen=True):
    """The ``number``-th operator of a module, turned into another."""

    module: str
    number: int
    kind: str
    line: int
    before: str
    after: str

    @property
    def path(self) -> Path:
        return ROOT / "actors" / "subaccount" / f"{self.module}.py"


def operators(tree):
    """Every comparison operator of a module in order: the node and its index there."""
    return [
        (node, i) for node in ast.walk(tree) if isinstance(node, ast.Compare) for i in range(len(node.ops))
    ]


def mutants_of(module):
    """All mutants of a module."""
    source = (ROOT / "actors" / "subaccount" / f"{module}.py").read_text(encoding="utf-8")
    found = []
    for number, (node, i) in enumerate(operators(ast.parse(source))):
        for kind, table in (("edge", EDGE), ("reverse", REVERSE)):
            becomes = table.get(type(node.ops[i]))
            if becomes is None:
                continue
            before, original = ast.unparse(node), node.ops[i]
            node.ops[i] = becomes()
            after, node.ops[i] = ast.unparse(node), original
            mutant = Mutant(module, number, kind, node.lineno, before, after)
            if (module, before, after) not in EQUIVALENT:
                found.append(mutant)
    return found


class _Loader(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module mutated, and leaves all others alone."""

    def __init__(self, mutant):
        self.mutant, self.name = mutant, f"actors.subaccount.{mutant.module}"

    def find_spec(self, name, path, target=None):
        return importlib.util.spec_from_loader(name, self) if name == self.name else None

    def exec_module(self, module):
        tree = ast.parse(self.mutant.path.read_text(encoding="utf-8"))
        node, i = operators(tree)[self.mutant.number]
        node.ops[i] = (EDGE if self.mutant.kind == "edge" else REVERSE)[type(node.ops[i])]()
        module.__file__ = str(self.mutant.path)
        exec(compile(tree, str(self.mutant.path), "exec"), module.__dict__)


def survives(mutant):
    """Whether no test notices; run in a process of its own."""
    sys.meta_path.insert(0, _Loader(mutant))
    files = [str(ROOT / "tests" / "subaccount" / f"{name}.py") for name in SUITES[mutant.module]]
    options = [
        "-x",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        "-p",
        "no:randomly",
        f"--timeout={SECONDS_EACH}",
    ]
    with (
        Path(os.devnull).open("w") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        code = pytest.main([*options, *files])
    return mutant, code == pytest.ExitCode.OK


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("modules", nargs="*", help=", ".join(SUITES))
    modules = parser.parse_args().modules or list(SUITES)
    os.chdir(ROOT)
    wanted = [mutant for module in modules for mutant in mutants_of(module)]
    began, alive = time.monotonic(), []
    context = multiprocessing.get_context("fork")
    with context.Pool(os.cpu_count(), maxtasksperchild=1) as pool:
        for done, (mutant, survived) in enumerate(pool.imap_unordered(survives, wanted), 1):
            if survived:
                alive.append(mutant)
                print(
                    f"\r{mutant.path.relative_to(ROOT)}:{mutant.line}: {mutant.before}  ->  {mutant.after}: nobody noticed"
                )
            if sys.stdout.isatty() or done % 50 == 0:
                print(f"\r{done} of {len(wanted)} mutants, {len(alive)} alive", end="", flush=True)
    print(f"\r{len(wanted)} mutants, {len(alive)} alive, {time.monotonic() - began:.0f} s")
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main())
