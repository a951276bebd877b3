"""Clients as traders use them, each in a process of its own, against a paper exchange on loopback.

Nothing of theirs is changed but hosts and key. What the SDK logs when an answer does not have its types, and what
any client warns of, is a fault of ours.
"""

from __future__ import annotations

import pytest

from tests.clients.running import run_script
from tests.e2e.processes import KEY, SECRET, Paper

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

# Each script, and how many steps it has: one that tries nothing has shown nothing.
SCRIPTS = [
    (("ccxt_rest.py", "sync"), 51),
    (("ccxt_rest.py", "async"), 51),
    (("ccxt_pro.py",), 15),
    (("sdk_rest.py",), 29),
    (("sdk_streams.py",), 13),
]


@pytest.mark.parametrize(("script", "steps"), SCRIPTS, ids=[" ".join(script) for script, _ in SCRIPTS])
def test_a_real_client_finds_the_exchange_that_it_expects(script, steps):
    paper = Paper(limits="none")
    try:
        name, *given = script
        report = run_script(name, paper.address.rest, paper.address.websocket, KEY, SECRET, *given)
    finally:
        paper.stop()
    told = "\n".join(f"-- {step}\n{why}" for step, why in report["failed"].items())
    assert not report["failed"], told
    assert report["complaints"] == []
    assert len(report["passed"]) == steps
