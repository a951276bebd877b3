"""The demo's command; test_demo_run.py has what it does."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("line", "expected"),
    [("demo", (2_000, 40, False)), ("demo --accounts 10 --seconds 5 --keep", (10, 5, True))],
)
def test_its_options_and_its_exit_code_are_passed_on(line, expected, cli, monkeypatch):
    seen = []

    def run_demo(accounts, seconds, *, keep):
        seen.append((accounts, seconds, keep))
        return 1

    monkeypatch.setattr("actors.cli.demo_run.run_demo", run_demo)
    assert cli(line).code == 1
    assert seen == [expected]
