"""Commands without an engine."""

from __future__ import annotations

import shlex

import pytest

from actors.cli import common, main
from tests.cli.fake_engine import FakeEngine, Ran


@pytest.fixture
def engine(monkeypatch):
    fake = FakeEngine()
    monkeypatch.setattr("actors.api.client.Client", lambda _folder: fake)
    return fake


@pytest.fixture
def cli(engine, monkeypatch, capsys):
    """Run a command line in this process."""
    for console in (common.out, common.err):
        monkeypatch.setattr(console, "_width", 200)
        monkeypatch.setattr(console, "soft_wrap", True)

    def run(line):
        capsys.readouterr()
        try:
            main.main(shlex.split(line))
            code = 0
        except SystemExit as ended:
            code = ended.code or 0
        shown = capsys.readouterr()
        return Ran(code, shown.out, shown.err)

    return run
