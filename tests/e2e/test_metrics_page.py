"""docs/metrics.md lists exactly what a running engine's /metrics gives, with the same types."""

from __future__ import annotations

import re

import httpx
import pytest

from tests.e2e.processes import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

ROW = re.compile(r"^\| `(bulkhead_\w+)` \| (\w+) \| (.+?) \| (.+) \|$", re.MULTILINE)
TYPE = re.compile(r"^# TYPE (bulkhead_\w+) (\w+)$", re.MULTILINE)


def test_the_page_lists_what_there_is(engine):
    address = engine.client.address
    headers = {"Authorization": f"Bearer {address.viewer_token}"}
    text = httpx.get(f"{address.url}/metrics", headers=headers, timeout=20).text
    page = (ROOT / "docs" / "metrics.md").read_text()
    # Those of Redis are there if there is one: tests/e2e/test_redis.py.
    rows = [row for row in ROW.findall(page) if not row[0].startswith("bulkhead_redis_")]
    given = {name: kind for name, kind in TYPE.findall(text) if not name.endswith(("_gcount", "_gsum"))}
    assert {name: kind for name, kind, *_ in rows} == given
    assert len(rows) == len(given), "a metric stands there twice"
    known = set(given) | {f"{name}_{part}" for name in given for part in ("bucket", "count", "sum")}
    named = {name for name in re.findall(r"\bbulkhead_\w+", page) if not name.startswith("bulkhead_redis_")}
    assert named <= known
