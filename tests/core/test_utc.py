"""Times as texts, those too that no calendar has."""

from __future__ import annotations

import pytest

from actors.core.utc import day_of, second_of, time_of


@pytest.mark.parametrize(
    ("wall_ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (-5, "1970-01-01T00:00:00.000Z"),
        (10**18, "9999-12-31T00:00:00.000Z"),
        (1_795_348_092_157, "2026-11-22T11:48:12.157Z"),
    ],
)
def test_times(wall_ms, text):
    assert time_of(wall_ms) == text
    assert day_of(wall_ms) == text[:10]
    assert second_of(wall_ms) == f"{text[:10]} {text[11:19]}"
