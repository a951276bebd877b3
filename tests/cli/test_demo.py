"""The demo's command; test_demo_run.py has what it does."""

from __future__ import annotations

import pytest

from actors.cli.demo import LIMITS


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("demo", (2_000, 40, LIMITS, False)),
        ("demo --accounts 10 --seconds 5 --keep --limits none", (10, 5, "none", True)),
        ("demo --limits binance", (2_000, 40, "binance", False)),
    ],
)
def test_its_options_and_its_exit_code_are_passed_on(line, expected, cli, monkeypatch):
    seen = []

    def run_demo(accounts, seconds, limits, *, keep):
        seen.append((accounts, seconds, limits, keep))
        return 1

    monkeypatch.setattr("actors.cli.demo_run.run_demo", run_demo)
    assert cli(line).code == 1
    assert seen == [expected]


def test_other_limits_are_refused(cli, monkeypatch):
    monkeypatch.setattr("actors.cli.demo_run.run_demo", lambda *_, **__: 0)
    assert cli("demo --limits wide").code == 2
