"""What people see of clearing over the API: by symbol, in the order of service, and of one order where it is now.

Covers: actors/clearing/actor.py
"""

from __future__ import annotations

import asyncio
from decimal import Decimal as D
from types import SimpleNamespace

import msgspec
import pytest

from actors.api import clearing
from actors.api.clearing import ClearingInspector
from actors.api.errors import NotFound
from actors.clearing.actor import ClearingActor
from actors.clearing.book import QUIET_MS, group_of
from actors.clearing.bypass import Bypass
from actors.clearing.service import Serves, Service
from actors.core.clearing_messages import Want, clearing_name
from actors.core.enums import OrderClass, Side
from actors.core.order_messages import Submit
from actors.core.units import Symbol
from actors.gateway import waiting
from actors.gateway.actor import GatewayStatus
from actors.persistence.order_trail import OrderTrail
from actors.runtime.cell import Status
from tests.clearing.world import World, new_risk, order
from tests.factories import BTC, ETH, INSTRUMENTS
from tests.gateway.test_protocol import T0, core_of

LIQUIDATION = OrderClass.LIQUIDATION


class Seen:
    """An engine with one world's clearing of ETHUSDT, an idle one of BTCUSDT, and a gateway."""

    def __init__(self, setting="on"):
        self.world, self.gateway = World(), core_of(1, 1_000)
        self.services = {}
        self.gateway.budget.take(T0, LIQUIDATION)
        actors = {"gateway": self._ref("gateway", None), "writer": self._ref("writer", None)}
        if setting == "on":
            for symbol, world in ((ETH, self.world), (BTC, World())):
                actors[clearing_name(symbol)] = self._ref(clearing_name(symbol), self._clearing(world))
        self.actors = actors
        engine = SimpleNamespace(
            config=SimpleNamespace(clearing=setting), actors=actors, context=SimpleNamespace(instruments=INSTRUMENTS),
            clock=SimpleNamespace(wall_ms=lambda: T0 + 250, monotonic_ns=lambda: (T0 + 250) * 10**6),
        )  # fmt: skip
        lookup = SimpleNamespace(
            inspect=self._status,
            read_tables=self._read,
        )
        self.is_up = True
        self.trail = None
        self.inspector = ClearingInspector(SimpleNamespace(engine=engine, lookup=lookup))

    def _ref(self, name, actor):
        return SimpleNamespace(name=name, cell=SimpleNamespace(actor=actor, status=Status.RUNNING))

    def _clearing(self, world):
        actor = object.__new__(ClearingActor)
        actor._core, actor._moment = world.core, lambda: world.at
        symbol, actor._service = (
            world.stored.symbol,
            self.services.setdefault(world, Service(ETH, Serves.BLOCKS)),
        )
        actor.symbol, actor._context = symbol, SimpleNamespace(book=lambda _symbol: world.book)
        return actor

    def _status(self, name):
        """What the gateway says of itself, as far as clearing is concerned."""
        assert name == "gateway"
        if not self.is_up:
            return None
        core = self.gateway
        known = {
            "room_liquidations": 30, "waiting": core.send_policy.waiting(core.tracked, T0 + 250, 0),
            "slots": core.budget.slots.counts(), "paused_until_ms": T0 + 3_250,
        }  # fmt: skip
        return GatewayStatus(**{**dict.fromkeys(GatewayStatus.__struct_fields__, 0), **known})

    async def _read(self, question):
        return self.trail

    def hand_wants_on(self):
        """The gateway hears what the world's clearing wanted."""
        for wanted in self.world.wants.values():
            self.gateway.want(msgspec.structs.replace(wanted, since_ms=T0), T0)


@pytest.fixture
def seen():
    return Seen()


WAITED_MS = QUIET_MS
"""Long enough for the clearing to want a slot for its crowd."""


def crowd(world, count=3):
    world.place(*(order(f"a{n}", quantity=str(n), shortfall=D(n)) for n in range(1, count + 1)))
    world.wait(WAITED_MS)


def test_of_all_symbols_those_with_something_are_shown_and_the_others_counted(seen):
    crowd(seen.world)
    seen.world.place(new_risk("r"))
    seen.hand_wants_on()
    found = seen.inspector.overview()
    assert (found.clearing, found.idle, [one.symbol for one in found.symbols]) == ("on", 1, [ETH])
    liquidation, risk = found.symbols[0].groups
    assert (liquidation.symbol, liquidation.side, liquidation.order_class) == (ETH, Side.SELL, LIQUIDATION)
    assert (liquidation.orders, liquidation.quantity, liquidation.shortfall) == (3, D(6), D(6))
    assert (liquidation.oldest_ms, liquidation.place) == (WAITED_MS, 1)
    assert liquidation.expected_ms > 0
    assert (risk.orders, risk.place) == (1, 2)
    assert (found.slots.liquidations, found.slots.waiting, found.slots.held) == (30, 2, 0)
    assert found.slots.paused_ms == 3_000
    assert found.counters["blocks"] == 0


def test_a_symbol_has_its_waiting_orders_in_their_order(seen, monkeypatch):
    monkeypatch.setattr(clearing, "NAMED_MAX", 2)
    crowd(seen.world)
    found = seen.inspector.symbol("ethusdt")
    assert [(one.place, one.account_id, one.shortfall) for one in found.waiting] == [
        (1, "a3", D(3)),
        (2, "a2", D(2)),
    ]
    assert (found.more_waiting, found.status, found.blocks) == (1, "RUNNING", ())
    [group] = found.groups
    assert group.place is None, "the gateway has not heard of it"


def test_a_block_in_flight_has_its_members_and_what_they_got(seen, monkeypatch):
    monkeypatch.setattr(clearing, "NAMED_MAX", 2)
    world = seen.world
    crowd(world)
    world.grant(group_of(order()))
    [block] = seen.inspector.symbol("ETHUSDT").blocks
    assert (block.members, block.quantity, block.sent, block.rounds) == (3, D(6), False, 0)
    world.store()
    world.trade(block.client_order_id, "3")
    world.deliver_all()
    world.wait(20)
    world.store()
    [block] = seen.inspector.symbol("ETHUSDT").blocks
    assert (block.sent, block.executed, block.rounds) == (True, D(3), 1)
    assert [(m.account_id, m.quantity, m.allocated) for m in block.named] == [
        ("a3", D(3), D("1.5")), ("a2", D(2), D(1)),
    ]  # fmt: skip
    assert block.more == 1
    [plain] = seen.inspector.overview().symbols[0].blocks
    assert plain.named == (), "only a symbol's own view names them"


@pytest.mark.parametrize("typed", ["ETHUSD", "", "eth/usdt", "clearing:ETHUSDT", "X" * 500, "\x1b[31m"])
def test_an_unknown_symbol_is_named_and_near_ones_with_it(seen, typed):
    with pytest.raises(NotFound, match=r"^there is no symbol '") as error:
        seen.inspector.symbol(typed)
    assert "\x1b" not in str(error.value)
    assert len(str(error.value)) < 300
    if typed.upper().startswith("ETH"):
        assert "did you mean ETHUSDT" in str(error.value)


def test_a_symbol_without_a_clearing_says_so(seen):
    symbol = next(Symbol(s) for s in INSTRUMENTS if s not in {ETH, BTC})
    with pytest.raises(NotFound, match=f"the clearing of {symbol} is not running"):
        seen.inspector.symbol(symbol)


def test_clearing_that_is_off_is_no_error():
    off = Seen("off").inspector
    assert off.overview().clearing == "off"
    assert off.overview().symbols == ()
    assert off.symbol("ETHUSDT").status == "off"
    assert off.waiting(10).entries == ()
    assert off.totals().clearing == "off"
    with pytest.raises(NotFound, match="no symbol"):
        off.symbol("NOPE")


def test_a_clearing_that_is_not_running_is_shown_whatever_it_has(seen):
    ref = seen.actors[clearing_name(BTC)]
    ref.cell.status = Status.QUARANTINED
    ref.cell.actor._core = None
    found = seen.inspector.overview()
    assert [(one.symbol, one.status) for one in found.symbols] == [(BTC, "QUARANTINED")]
    assert seen.inspector.totals().troubled == (clearing_name(BTC),)
    assert seen.inspector.symbol("btcusdt").status == "QUARANTINED"


def test_one_that_serves_in_a_simpler_way_says_why_and_names_the_orders_of_unknown_fate(seen):
    world, ref = seen.world, seen.actors[clearing_name(ETH)]
    crowd(world)
    world.grant(group_of(order()))
    seen.services[world].fall_back("boom")
    ref.cell.status = Status.BYPASSED
    Bypass(ETH, world.book).begin(world.at)
    [one] = seen.inspector.overview().symbols
    assert (one.status, one.why, one.held, one.held_orders) == ("BYPASSED", "boom", 3, ())
    ref.cell.actor._core = None
    found = seen.inspector.symbol("ETHUSDT")
    assert (found.why, found.held, {o.account_id for o in found.held_orders}) == (
        "boom",
        3,
        {"a1", "a2", "a3"},
    )
    assert seen.inspector.totals().troubled == (clearing_name(ETH),)


def test_while_the_gateway_starts_there_are_no_slots_and_no_places(seen):
    crowd(seen.world)
    seen.is_up = False
    found = seen.inspector.overview()
    assert found.slots is None
    assert found.symbols[0].groups[0].place is None


def test_what_waits_is_one_entry_for_what_goes_as_one_order(seen):
    crowd(seen.world)
    seen.hand_wants_on()
    seen.world.place(new_risk("r", quantity="2"))
    found = seen.inspector.waiting(100)
    block, lone = found.entries
    assert (block.place, block.orders, block.account_id, block.quantity) == (1, 3, "", D(6))
    assert (block.shortfall, block.waited_ms) == (D(6), WAITED_MS)
    assert block.expected_ms > 0
    # The gateway has not heard of it yet, so it has no place.
    assert (lone.place, lone.orders, lone.account_id, lone.quantity) == (None, 1, "r", D(2))
    assert lone.expected_ms is None
    assert (found.more, found.orders) == (0, 4)
    cut = seen.inspector.waiting(1)
    assert (cut.entries, cut.more, cut.orders) == ((block,), 1, 4)


def test_a_group_that_the_gateway_knows_and_whose_clearing_has_nothing_any_more_is_still_shown(seen):
    seen.gateway.want(Want(group=group_of(order()), orders=7, shortfall=D(5), since_ms=T0), T0)
    [entry] = seen.inspector.waiting(10).entries
    assert (entry.place, entry.orders, entry.quantity, entry.shortfall) == (1, 7, D(0), D(5))
    assert (entry.account_id, entry.waited_ms) == ("", 250)


def test_an_order_that_waits_in_the_gateway_by_itself_is_an_entry():
    off = Seen("off")
    limit = msgspec.structs.replace(order("a1", quantity="3"), decided_ms=T0)
    off.gateway.submit(Submit((limit,), ()), T0)
    [entry] = off.inspector.waiting(10).entries
    assert (entry.place, entry.account_id, entry.client_order_id) == (1, "a1", limit.client_order_id)
    assert (entry.orders, entry.quantity, entry.waited_ms) == (1, D(3), 250)


def test_of_a_long_line_the_rest_is_counted(monkeypatch):
    monkeypatch.setattr(waiting, "ROWS_MAX", 2)
    seen = Seen()
    for n in range(4):
        one = msgspec.structs.replace(order(f"x{n}"), decided_ms=T0)
        seen.gateway.submit(Submit((one,), ()), T0)
    seen.world.place(new_risk("r"))
    found = seen.inspector.waiting(10)
    assert ([one.account_id for one in found.entries], found.more) == (["x0", "x1"], 2)


def trail(id_, status="INTENDED"):
    return OrderTrail(
        client_order_id=id_, account_id="a1", symbol=ETH, side="SELL", order_type="MARKET", quantity="1", filled="0",
        purpose="LIQUIDATION", tier=1, status=status, decided_ms=0, cause="", end_code=None, end_reason=None,
        trade_ids=[], became=None,
    )  # fmt: skip


def test_an_order_that_is_not_over_says_where_it_is(seen):
    world = seen.world
    crowd(world)
    seen.hand_wants_on()
    id_ = order("a1").client_order_id
    expected = (
        f"waits to be sent since {WAITED_MS / 1000:.1f} s, 3 of 3 in its group, which is at place 1 of 1"
    )
    assert seen.inspector.now(trail(id_)) == expected
    assert seen.inspector.now(trail(id_, "FILLED")) == ""
    assert seen.inspector.now(trail("bh-elsewhere")) == ""
    world.grant(group_of(order()))
    assert seen.inspector.now(trail(id_)) == "in block 1, 0 of 6 traded"


def test_an_order_alone_in_the_gateway_says_its_place():
    off = Seen("off")
    resting = msgspec.structs.replace(order("a1"), decided_ms=T0)
    off.gateway.submit(Submit((resting,), ()), T0)
    assert off.inspector.now(trail(resting.client_order_id)) == "waits to be sent, place 1 of 1"


def test_a_story_has_the_trail_and_an_unknown_id_is_named(seen):
    seen.trail = trail("bh-1", "FILLED")
    found = asyncio.run(seen.inspector.story(" bh-1 "))
    assert (found.client_order_id, found.now) == ("bh-1", "")
    seen.trail = None
    with pytest.raises(NotFound, match=r"there is no order 'nope'; an id looks like bh-k7m2qx"):
        asyncio.run(seen.inspector.story("nope"))
