"""Where the clients live, and how a script of theirs is run: in their own environment, with nothing of ours."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.e2e.processes import ROOT

SCRIPTS = Path(__file__).parent
LIGHT, HEAVY = ".venv-clients", ".venv-clients-heavy"
SCRIPT_SECONDS = 150


def python_of(environment):
    """Its interpreter; skips where nobody set it up, which ``make test`` and ``make clients`` do."""
    python = ROOT / environment / "bin" / "python"
    if not python.exists():
        pytest.skip(
            f"{environment} is not set up; 'make {'test' if environment == LIGHT else 'clients'}' does it"
        )
    return python


def run_script(name, *arguments, environment=LIGHT, seconds=SCRIPT_SECONDS):
    """Run a script to its end; what it printed last, as JSON, with all it said in ``errors``."""
    done = subprocess.run(
        [python_of(environment), "-W", "error::DeprecationWarning:__main__", SCRIPTS / name, *map(str, arguments)],
        cwd=SCRIPTS, capture_output=True, text=True, timeout=seconds, check=False,
        env={k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "VIRTUAL_ENV"}},
    )  # fmt: skip
    assert done.returncode == 0, (
        f"{name} ended with {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-6000:]}"
    )
    return json.loads(done.stdout)
