"""Who is seen before and after all that is under way is known; most of it is in test_protocol.py."""

from __future__ import annotations

from decimal import Decimal as D

from hypothesis import given
from hypothesis import strategies as st

from actors.gateway.fleets import Fleets, Strays
from actors.gateway.messages import Report, ReportStatus
from actors.gateway.orders import Alarm, Request
from actors.order_ids import DIGITS, FleetId, Origin, StartId, client_order_id
from actors.units import AccountId, ClientOrderId
from tests.factories import ETH

parts = st.text(DIGITS, min_size=6, max_size=6)
ids = st.builds(
    lambda fleet, start, n: client_order_id(Origin(fleet, start), AccountId(f"acct-{n}"), n),
    st.sampled_from(["aaaaaa", "bbbbbb", "cccccc"]), st.sampled_from(["111111", "222222"]), st.integers(0, 3),
) | st.builds("bh-0123456789abcdef-{}".format, st.integers(0, 3)) | st.sampled_from(["web_1", "bh-", "bh-x-1"])  # fmt: skip


def report(id_, status):
    return Report(
        client_order_id=ClientOrderId(id_), exchange_order_id=1, symbol=ETH, status=status, executed=D(0)
    )


@given(
    st.lists(st.tuples(ids, st.sampled_from(ReportStatus), st.booleans())),
    st.sets(ids),
    st.integers(0, 20),
)
def test_whatever_is_seen_whenever_only_unexplained_orders_of_our_fleet_are_cancelled(
    seen, known, recovered_after
):
    strays, effects = Strays(Fleets(Origin(FleetId("aaaaaa"), StartId("111111")))), []
    for n, (id_, status, resting) in enumerate(seen):
        if n == recovered_after:
            effects += strays.recovered(known.__contains__, 5)
        found = strays.seen(report(id_, status), known.__contains__, 5, resting=resting)
        assert not found or n >= recovered_after
        effects += found
    if len(seen) <= recovered_after:
        effects += strays.recovered(known.__contains__, 5)
    assert [e.client_order_id for e in effects if isinstance(e, Request)] == [
        id_ for id_, _, resting in seen if resting and id_.startswith("bh-aaaaaa-") and id_ not in known
    ]
    texts = [e.text for e in effects if isinstance(e, Alarm)]
    for fleet in ("bbbbbb", "cccccc"):
        strange = any(id_.startswith(f"bh-{fleet}-") and id_ not in known for id_, _, _ in seen)
        assert sum(f"another fleet, {fleet}," in t for t in texts) == strange
