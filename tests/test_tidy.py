"""The style guide is a test, and each of its rules is seen to fail on a planted fault."""

from __future__ import annotations

from pathlib import Path

import pytest

import tests.tidy_rules as rules

ROOT = Path(__file__).parent.parent


def test_the_tree_is_tidy():
    faults = rules.all_faults(ROOT)
    assert not faults, "\n".join(faults)


PLANTED = {
    "import time": ("actors/subaccount/x.py", "import time\n", "imports time"),
    "from threading": ("actors/gateway/x.py", "from threading import Lock\n", "imports threading.Lock"),
    "an adapter that does not say what it does": (
        "actors/persistence/x.py",
        '"""Rows."""\nimport psycopg\n',
        "say in its docstring what I/O",
    ),
    "a venue in the domain": (
        "actors/gateway/x.py",
        "from actors.venues.binance.rest import Order\n",
        "which stands above it",
    ),
    "the store in the domain": (
        "actors/subaccount/actor.py",
        "from actors.persistence.store import Store\n",
        "which stands above it",
    ),
    "an account in the runtime": (
        "actors/runtime/cell.py",
        "from actors.subaccount.state import AccountState\n",
        "which stands above it",
    ),
    "the domain in the core": (
        "actors/core/x.py",
        "from actors.feed.rates import RateKnown\n",
        "stands above it",
    ),
    "an upward import in a function": (
        "actors/runtime/x.py",
        "def f():\n    import actors.api.server\n",
        "which stands above it",
    ),
    "the engine's beliefs in the paper exchange": (
        "actors/venues/paper/x.py",
        "from actors.venues.binance.rest import Order\n",
        "beliefs of its own",
    ),
    "another folder": ("actors/feed/x.py", "from actors.subaccount.decide import decide\n", "declare a port"),
    "the supervisor": ("actors/feed/actor.py", "import supervisor\n", "which stands above it"),
    "runtime in a pure file": ("actors/feed/x.py", "from actors.runtime.clock import Clock\n", "mailboxes"),
    "a folder of no layer": ("actors/desk/x.py", "A = 1\n", "has no place in LAYERS"),
    "a file of none": ("actors/loose.py", "A = 1\n", "has no place in LAYERS"),
    "a float literal": ("actors/subaccount/x.py", "A = 0.5\n", "a float"),
    "a float call": ("actors/core/units.py", "A = float('1')\n", "a float"),
    "ask in an actor": ("actors/feed/actor.py", "def f(ref):\n    return ref.ask(1)\n", "asks"),
    "code in __init__": ("actors/feed/__init__.py", '"""Doc."""\nA = 1\n', "docstring only"),
    "a bare except": ("actors/feed/x.py", "try:\n    pass\nexcept:\n    pass\n", "bare except"),
    "a look in many steps": (
        "actors/feed/x.py",
        "def f(self):\n    return list(self._known.items())\n",
        "actors.core.safe_copy.pairs",
    ),
    "a live container in a state": (
        "actors/feed/actor.py",
        "class A:\n    def inspect_state(self):\n        return {k: 1 for k in self._known}\n",
        "other threads look here",
    ),
    "a tuple of a live container in a state": (
        "actors/feed/actor.py",
        "class A:\n    def inspect_state(self):\n        return tuple(self._known)\n",
        "other threads look here",
    ),
    "print": ("actors/feed/x.py", "print('x')\n", "print"),
    "a note to self": ("actors/feed/x.py", "A = 1  # TO" + "DO: later\n", "note to self"),
    "a long function": ("actors/feed/x.py", "def f():\n" + "    a = 1\n" * 61, "at most 60"),
    "the longest file": ("actors/feed/x.py", "A = 1\n" * 700, "cut it where its concept is"),
    "no test": ("actors/feed/x.py", "def f():\n    return 1\n", "write it"),
    "a registry": ("actors/feed/x.py", "A = 'https://files.python" + "hosted.org'\n", "registry host"),
}


@pytest.mark.parametrize("planted", PLANTED)
def test_a_planted_fault_is_found(planted, tmp_path):
    name, text, expected = PLANTED[planted]
    path = tmp_path / name
    path.parent.mkdir(parents=True)
    path.write_text(text)
    faults = rules.all_faults(tmp_path)
    assert any(f.startswith(name + ":") and expected in f for f in faults), faults


def test_what_a_test_says_that_it_covers_is_there(tmp_path):
    (tmp_path / "actors" / "feed").mkdir(parents=True)
    (tmp_path / "tests").mkdir()
    (tmp_path / "actors" / "feed" / "x.py").write_text("def f():\n    return 1\n")
    told = tmp_path / "tests" / "test_a.py"
    told.write_text('"""A.\n\nCovers: actors/feed/x.py\n"""\n')
    assert list(rules.untested(tmp_path)) == []
    told.write_text('"""A.\n\nCovers: actors/feed/x.py, actors/feed/y.py\n"""\n')
    [fault] = rules.untested(tmp_path)
    assert "actors/feed/y.py:1: a test says that it covers this file" in fault


def test_more_than_three_modules_at_the_top_are_found(tmp_path):
    (tmp_path / "actors").mkdir()
    for name in "abcd":
        (tmp_path / "actors" / f"{name}.py").write_text("")
    assert any("4 modules at the top" in fault for fault in rules.too_many(tmp_path))
