"""docs/http-api.md: every command in it works when pasted into a shell, and every route in it is one."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest

from actors.api import pools
from tests.api.documents import operations, websockets
from tests.e2e.processes import ROOT, EngineProcess

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

TEXT = (ROOT / "docs" / "http-api.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
ROUTE = re.compile(r"`(GET|POST|DELETE) (/[^`]*)`")


def shaped(path):
    """A path with all its parameters named alike."""
    return re.sub(r"\{[^}]*\}", "{}", path)


@pytest.mark.skipif(shutil.which("curl") is None, reason="the examples are for curl")
def test_every_example_works(paper, tmp_path):
    engine = EngineProcess(paper, tmp_path / ".data" / "bulkhead")
    try:
        script = "\n".join(f"{block}echo; echo --- " for block in BLOCKS)
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-e"], input=script, cwd=tmp_path, text=True, capture_output=True,
            timeout=60, check=False,
        )  # fmt: skip
    finally:
        engine.stop()
    assert done.returncode == 0, done.stderr
    said = [json.loads(part) for part in done.stdout.split("---") if part.strip()]
    assert said[0]["status"] in {"ok", "reduce-only"}
    assert said[1] == {"created": 1}
    assert said[2]["type"] == "Accepted", said[2]
    assert len(said) == 3


def test_every_route_in_it_is_one():
    ours = {(method, shaped(path)) for method, path in operations() | websockets()}
    documented = {(method, shaped(path)) for method, path in ROUTE.findall(TEXT)}
    assert documented - ours == set()
    assert websockets() - documented == set()


@pytest.mark.parametrize("slots", pools.ALL, ids=lambda slots: slots.name)
def test_the_bounds_in_it_are_those_of_the_pools(slots):
    [row] = [line for line in TEXT.split("\n") if f"| `{slots.name}` |" in line]
    assert row.split("|")[-2].strip() == f"{slots.most:,}"
