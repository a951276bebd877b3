"""The vocabulary of events: every fact of an account has one, and what the house took, with the same id, kind and fields in every release."""

from __future__ import annotations

import re
from decimal import Decimal as D
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core import events
from actors.core.clearing_facts import LostOrderBooked
from actors.core.enums import OrderType, Purpose, TimeInForce
from actors.core.errors import BadInput
from actors.core.events import ALL_PARTS, POSITION_MAX, EventId, EventKind, event_id, events_of
from actors.core.facts import BalanceAdjusted, CloseOutEnded, OrderIntended, TrailMoved
from tests.factories import BUY, ETH
from tests.golden.scenes import SCENES

ORDER = (
    "client_order_id symbol side type quantity price time_in_force reduce_only leverage purpose tier decided_ms "
    "conditional_id attempt strategy"
)
TRADED = (
    "client_order_id exchange_order_id trade_id symbol side quantity price quote_quantity maker trade_ms fee fee_asset "
    "fee_amount fee_rate closed_quantity realized purpose tier type"
)
SPOKEN = {
    "BALANCE ADJUSTED": "amount reason",
    "BALANCE BAD_DEBT": "amount",
    "BREACH BREAKER": "breaker reason until_ms by_hand",
    "BREACH DAY_STOPPED": "value limit",
    "BREACH PHASE": "phase refusals retry_at_ms",
    "BREACH POSITION": "symbol alert value limit",
    "CANCEL": "client_order_id symbol",
    "CLOSE_OUT BEGAN": "reason scope",
    "CLOSE_OUT ENDED": "",
    "CONDITIONAL DUE": "client_order_id",
    "CONDITIONAL ENDED": "client_order_id status reason order_id",
    "CONDITIONAL PLACED": "client_order_id type symbol side quantity trigger_price callback_rate activation_price reduce_only "
    "leverage decided_ms attempt strategy",
    "CONDITIONAL TRAIL_MOVED": "client_order_id extreme",
    "FEE BOOKED": "symbol trade_id client_order_id fee_asset fee_amount fee_rate fee_rate_ms fee",
    "FEE LEARNED": "symbol trade_id fee_asset fee_amount",
    "FILL": TRADED,
    "FUNDING": "symbol rate mark amount funding_ms quantity position_id",
    "HOUSE LOST_ORDER": "client_order_id exchange_order_id symbol side quantity value trades placed_ms",
    "LIMITS BELOW": "",
    "LIMITS MAINTENANCE_RATE": "rate",
    "LIMITS OWN": "",
    "LIQUIDATION ORDER": ORDER,
    "LIQUIDATION TAKEN_OVER": "symbol quantity price realized fee taken_ms",
    "ORDER": ORDER,
    "ORDER_ACKNOWLEDGED": "client_order_id exchange_order_id",
    "ORDER_ENDED": "client_order_id status code reason",
    "POSITION_CLOSED": "position_id symbol quantity entry_price realized fees funding mae mfe strategy purpose opened_ms "
    "closed_ms",
    "STATUS ADOPTED": "status mode rate balance",
    "STATUS ADOPTION_UNDONE": "balance",
    "STATUS CARRIED": "version",
    "STATUS DAY_BEGAN": "start_ms equity",
    "STATUS DAY_ENDED": "",
    "STATUS MODE": "mode",
    "STATUS OPENED": "mode rate",
    "STATUS STATUS": "status",
}
"""Kind, action, and the names of the fields; a limit's is ``limit.NAME``. Others read them: they are only added to."""

PAGE = Path(__file__).parents[2] / "docs" / "drop-copy.md"

HEAD = ["id", "position", "account", "wall_ms", "cause", "kind"]


class Row(NamedTuple):
    position: int
    stream: str
    wall_ms: int
    cause: str
    facts: tuple
    fault: str = ""


def rows():
    """Rows of lives that have every kind of fact."""
    found = [(scene.stream, facts) for scene in (made() for made in SCENES) for _, facts, _ in scene.rows]
    return [Row(n, stream, n * 1_000, "why", facts) for n, (stream, facts) in enumerate(found, 1)]


def test_every_kind_of_fact_has_its_event_and_the_fields_that_are_spoken():
    seen: dict[str, set[str]] = {}
    for row in rows():
        for event in events_of(row):
            names = list(event.fields)
            head = [n for n in ("action",) if n in names]
            name = " ".join([event.kind.value, *(str(event.fields[n]) for n in head)])
            said = [n for n in names if n != "action" and not n.startswith(("limit.", "position."))]
            seen.setdefault(name, set()).add(" ".join(said))
    assert {name: {fields} for name, fields in SPOKEN.items()} == seen


def test_the_page_about_drop_copies_has_the_same_events_and_fields():
    rows = re.findall(r"^\| (\S*) ?\| (\S*) ?\| (.*?) ?\|$", PAGE.read_text(), re.MULTILINE)
    found, kind = {}, ""
    for kind_, action, fields in rows:
        kind = kind_.strip("`") or kind
        if kind in EventKind.__members__:
            names = [
                n for n in re.findall(r"`([a-z_.]+)`", fields) if not n.startswith(("limit.", "position."))
            ]
            found[f"{kind} {action.strip('`')}".strip()] = " ".join(names)
    assert found.pop("UNREADABLE") == "fault"
    assert found["LIQUIDATION ORDER"] == ""
    assert found == {**SPOKEN, "LIQUIDATION ORDER": ""}


def test_an_event_names_its_row_and_its_fact():
    for row in rows():
        told = events_of(row)
        if row.stream.startswith("clearing:"):
            lost = [n for n, fact in enumerate(row.facts) if isinstance(fact, LostOrderBooked)]
            assert [(str(e.id), e.account) for e in told] == [
                (f"{row.position}-{n}", row.stream) for n in lost
            ]
            continue
        assert [str(e.id) for e in told] == [f"{row.position}-{part}" for part in range(len(row.facts))]
        for event in told:
            flat = event.flat()
            assert list(flat)[:6] == HEAD
            assert flat["id"] == f"{event.position}-{event.id.part}"
            assert (flat["account"], flat["wall_ms"], flat["cause"]) == (row.stream, row.wall_ms, "why")
            assert msgspec.json.decode(msgspec.json.encode(flat)) == flat
            assert not any(isinstance(value, D | float) for value in flat.values())


def test_amounts_have_no_exponent_and_lose_no_digit():
    row = Row(
        7, "a", 1, "", (BalanceAdjusted(D("1E+3"), "DEPOSIT"), TrailMoved("x", D("1.10E-9")), CloseOutEnded())
    )
    first, second, third = events_of(row)
    assert first.fields["amount"] == "1000"
    assert second.fields["extreme"] == "0.00000000110"
    assert third.flat() == {
        "id": "7-2", "position": 7, "account": "a", "wall_ms": 1, "cause": "", "kind": "CLOSE_OUT", "action": "ENDED",
    }  # fmt: skip


@pytest.mark.parametrize("purpose", Purpose)
def test_an_order_of_a_liquidation_is_one_of_its_steps(purpose):
    order = OrderIntended(
        account_id="a", sequence=1, client_order_id="c", symbol=ETH, side=BUY, order_type=OrderType.MARKET,
        quantity=D(1), price=None, time_in_force=TimeInForce.GTC, reduce_only=True, leverage=D(5), margin_reserved=D(0),
        purpose=purpose, tier=2, decided_ms=1, cause="", strategy="trend",
    )  # fmt: skip
    [event] = events_of(Row(1, "a", 1, "", (order,)))
    is_step = purpose in {Purpose.ADL, Purpose.LIQUIDATION}
    assert event.kind is (EventKind.LIQUIDATION if is_step else EventKind.ORDER)
    assert event.fields.get("action") == ("ORDER" if is_step else None)
    assert (event.fields["purpose"], event.fields["price"], event.fields["strategy"]) == (
        purpose.value,
        None,
        "trend",
    )


def test_a_row_that_cannot_be_read_is_told_and_not_left_out():
    [event] = events_of(Row(9, "a", 1, "", (), "facts of version 99"))
    assert (str(event.id), event.kind, event.fields) == (
        "9-0",
        EventKind.UNREADABLE,
        {"fault": "facts of version 99"},
    )
    assert events_of(Row(9, "clearing:ETHUSDT", 1, "", (), "facts of version 99")) == ()


def test_a_fact_that_nobody_knows_is_no_event_by_guess():
    with pytest.raises(AssertionError):
        events._told("no fact")  # type: ignore[arg-type]


@given(st.integers(0, POSITION_MAX), st.integers(0, POSITION_MAX))
def test_an_id_is_read_as_it_was_written(position, part):
    assert event_id(str(EventId(position, part))) == (position, part)
    assert event_id(str(position)) == (position, ALL_PARTS)
    assert EventId(position, part) <= event_id(str(position))


@pytest.mark.parametrize(
    "text",
    ["", "-", "1-", "-1", "1-2-3", "x", "1_0", "+1", " 1", "1.0", "\u0661", "9" * 19, "9" * 500, "now"],
)
def test_what_is_no_place_is_refused_with_an_example(text):
    with pytest.raises(BadInput, match="is no place in the journal; give the id of the last event"):
        event_id(text)
