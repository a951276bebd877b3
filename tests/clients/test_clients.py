"""Clients as traders use them, each in a process of its own, against a paper exchange on loopback.

Nothing of theirs is changed but hosts and key. What the SDK logs when an answer does not have its types, and what
any client warns of, is a fault of ours.
"""

from __future__ import annotations

import pytest

from tests.clients.running import run_script
from tests.e2e.processes import KEY, SECRET, Paper

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

SCRIPTS = [
    ("ccxt_rest.py", "sync"),
    ("ccxt_rest.py", "async"),
    ("ccxt_pro.py",),
    ("sdk_rest.py",),
    ("sdk_streams.py",),
]


@pytest.mark.parametrize("script", SCRIPTS, ids=" ".join)
def test_a_real_client_finds_the_exchange_that_it_expects(script):
    paper = Paper()
    try:
        name, *given = script
        report = run_script(name, paper.address.rest, paper.address.websocket, KEY, SECRET, *given)
    finally:
        paper.stop()
    told = "\n".join(f"-- {step}\n{why}" for step, why in report["failed"].items())
    assert not report["failed"], told
    assert report["complaints"] == []
    assert len(report["passed"]) >= 15
