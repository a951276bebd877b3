"""What must hold after each fault: the journal against the exchange, the engine's memory and the projected tables."""

from __future__ import annotations

import time
from decimal import Decimal as D

import msgspec

from actors.subaccount.state import AccountState
from actors.subaccount.state_codec import state_hash
from tests.chaos.journal import Broken, Journal
from tests.e2e.processes import WAIT, differences

PAGE = 1000
SMALL = D("0.000001")
"""The platform's balances are double precision."""


class Exchange:
    """What the paper exchange has of ours; read on from where it was read before."""

    def __init__(self, paper):
        self._paper = paper
        self.trades, self.orders = {}, {}
        self._next_trade, self._next_order = {}, 0

    def read_orders(self):
        """Every order that the exchange ever took, by client order id."""
        while True:
            page = self._paper.signed("/fapi/v1/allOrders", orderId=str(self._next_order), limit=str(PAGE))
            for order in page:
                if self.orders.setdefault(order["clientOrderId"], order["orderId"]) != order["orderId"]:
                    raise Broken(f"two orders at the exchange have the id {order['clientOrderId']}")
            if not page:
                return self.orders
            self._next_order = max(o["orderId"] for o in page) + 1

    def read_trades(self):
        """Every trade, by symbol and id."""
        for symbol in self._paper.state()["trades"]:
            while True:
                begin = self._next_trade.get(symbol, 1)
                page = self._paper.signed(
                    "/fapi/v1/userTrades", symbol=symbol, fromId=str(begin), limit=str(PAGE)
                )
                self.trades |= {(symbol, t["id"]): t for t in page}
                if page:
                    self._next_trade[symbol] = max(t["id"] for t in page) + 1
                if len(page) < PAGE:
                    break
        return self.trades

    def open_orders(self):
        """Client order ids of what rests."""
        return {o["clientOrderId"] for o in self._paper.signed("/fapi/v1/openOrders")}

    def positions(self):
        """The master's, by symbol."""
        return {s: D(q) for s, q in self._paper.state()["positions"].items()}


class Books:
    """Checks of one run; raises ``Broken`` with what is wrong."""

    def __init__(self, world, load):
        self._world, self._load = world, load
        self.exchange, self.journal = Exchange(world.paper), Journal()
        self._epoch = 0

    # -- while no engine runs

    def check_dead(self):
        """What holds at any time, whoever died in the middle of whatever."""
        # In this order: what is read later is at least as new.
        sent = set(self.exchange.read_orders())
        with self._world.sql() as own:
            journal = self.journal.read(own)
            self._epochs(own)
            self._platform(own)
        if lost := sent - journal.orders.keys() - journal.blocks.keys():
            raise Broken(f"{len(lost)} orders are at the exchange without a durable decision: {some(lost)}")
        ends = [*journal.ended.items(), *journal.blocks_ended.items()]
        never = {id_ for id_, status in ends if status == "NEVER_SENT"}
        if wrong := never & sent:
            raise Broken(
                f"{len(wrong)} orders are called NEVER_SENT, and the exchange has them: {some(wrong)}"
            )
        if wrong := journal.trades.keys() - self.exchange.read_trades().keys():
            raise Broken(f"{len(wrong)} trades are booked that the exchange does not have: {some(wrong)}")
        self._acknowledged()
        for account, state in journal.states.items():
            parts = state.deposits + state.realized - state.fees + state.funding + state.bad_debt
            if state.balance != parts:
                raise Broken(f"{account} has a balance of {state.balance}, its parts are {parts}")

    def _acknowledged(self):
        """What a client was told to be done is durable."""
        if lost := set(self._load.accepted) - self.journal.orders.keys():
            raise Broken(f"{len(lost)} orders were acknowledged, and are not in the journal: {some(lost)}")
        for account, state in self.journal.states.items():
            least, most = self._load.deposited[account], self._load.tried[account]
            if not least <= state.deposits <= most:
                raise Broken(
                    f"{account} has deposits of {state.deposits}; {least} were acknowledged, {most} were tried"
                )

    def _epochs(self, own):
        [(least, most)] = own.execute("SELECT min(epoch), max(epoch) FROM bulkhead.shard").fetchall()
        if least != most or most < self._epoch:
            raise Broken(f"epochs are {least} to {most} after {self._epoch}")
        self._epoch = most
        self.check_writers(own)

    def check_writers(self, own):
        """Under one epoch one engine wrote, and no other."""
        found = own.execute(
            "SELECT epoch, role, array_agg(relation ORDER BY relation) FROM chaos.wrote WHERE epoch IN "
            "(SELECT epoch FROM chaos.wrote GROUP BY epoch HAVING count(DISTINCT role) > 1) GROUP BY 1, 2 ORDER BY 1, 2"
        ).fetchall()
        if found:
            raise Broken(f"an engine wrote after its successor had begun: {found[:3]}")

    @staticmethod
    def _platform(own):
        """Each of the platform's balances is the sum of its log, however far the projection has come."""
        for account, balance, logged in own.execute(
            "SELECT id, current_balance::numeric, (SELECT sum(change_amount)::numeric FROM balance_logs l "
            "WHERE l.sub_account_id = s.id) FROM sub_accounts s"
        ):
            if abs(balance - logged) > SMALL:
                raise Broken(f"{account}: the platform's balance is {balance}, its log adds up to {logged}")

    # -- while an engine runs and nobody uses it

    def check_quiet(self, client, seconds=2 * WAIT):
        """The books equal the exchange, once all that is under way is done."""
        deadline = time.monotonic() + seconds
        while True:
            wrong = self._differs(client)
            if not wrong:
                break
            if time.monotonic() > deadline:
                raise Broken(f"after {seconds:.0f} s without load: {wrong}")
            time.sleep(0.1)
        if wrong := {s: d for s, d in differences(client).items() if d}:
            raise Broken(f"the engine's books differ from the master's positions: {wrong}")

    def _differs(self, client):
        with self._world.sql() as own:
            journal = self.journal.read(own)
            return (
                self._orders_differ(journal)
                or self._trades_differ(journal)
                or self._memory_differs(journal, client)
                or self._projection_differs(journal, own)
            )

    def _orders_differ(self, journal):
        if wrong := journal.working() ^ self.exchange.open_orders():
            return f"{len(wrong)} orders work on one side only: {some(wrong)}"
        undecided = journal.orders.keys() - self.exchange.read_orders().keys() - journal.ended.keys()
        undecided |= journal.blocks.keys() - journal.blocks_ended.keys()
        return f"{len(undecided)} orders have no fate: {some(undecided)}" if undecided else ""

    def _trades_differ(self, journal):
        at_exchange = self.exchange.read_trades()
        if wrong := at_exchange.keys() ^ journal.trades.keys():
            return f"{len(wrong)} trades are on one side only: {some(wrong)}"
        for key, (order, own, fee) in journal.trades.items():
            told = at_exchange[key]
            same = (D(told["qty"]), D(told["price"]), D(told["commission"]), told["orderId"], told["side"])
            if same != (own.quantity, own.price, fee, own.exchange_order_id, str(own.side)):
                return f"the trade {key} is booked as {own}, the exchange says {told}"
            if self.exchange.orders[order] != own.exchange_order_id:
                return f"the trade {key} is booked on another order: {order}"
        if lost := journal.parts.keys() - journal.fills.keys():
            return f"{len(lost)} parts of rounds are not booked: {some(lost)}"
        if (ours := journal.positions()) != (masters := self.exchange.positions()):
            return f"positions of accounts and house are {ours}, the master's {masters}"
        return ""

    @staticmethod
    def _memory_differs(journal, client):
        """What the actors have in memory is what the journal folds to, to the last field."""
        for account, state in journal.states.items():
            shown = client.get(f"/v1/actors/{account}")["state"]
            live = msgspec.convert(
                {k: v for k, v in shown.items() if k not in {"limits", "base_limits"}},
                AccountState,
                strict=False,
            )
            if state_hash(live) != state_hash(state):
                made = msgspec.to_builtins(state)
                wrong = {
                    k: (v, made.get(k)) for k, v in msgspec.to_builtins(live).items() if v != made.get(k)
                }
                return f"{account}, in memory and by the journal: {wrong}"
        return ""

    def _projection_differs(self, journal, own):
        """The projected tables, once they are as far as the journal."""
        if not self._world.is_projected:
            return ""
        [(position,)] = own.execute("SELECT position FROM bulkhead.projection WHERE shard = 0").fetchall()
        if position != journal.position:
            return f"the projection is at {position}, the journal at {journal.position}"
        if parked := own.execute("SELECT stream, error FROM bulkhead.parked").fetchall():
            return f"streams are parked: {parked[:3]}"
        booked = {
            (symbol, trade, order): fee
            for symbol, trade, order, fee in own.execute(
                "SELECT symbol, trade_id, client_order_id, fee FROM bulkhead.fill"
            )
        }
        if booked != {key: f.fee for key, (_, f) in journal.fills.items()}:
            return "bulkhead.fill differs from the journal's trades"
        executed = own.execute(
            "SELECT client_order_id, sum(quantity)::numeric FROM trade_executions "
            "WHERE client_order_id = ANY(%s) GROUP BY 1", ([f.client_order_id for _, f in journal.fills.values()],)
        )  # fmt: skip
        return _executions_differ(journal, dict(executed.fetchall())) or _tables_differ(journal, own)


def _executions_differ(journal, executed):
    """Each trade is in the platform's trade_executions, in one or two parts, once."""
    wanted: dict[str, D] = {}
    for _, fact in journal.fills.values():
        wanted[fact.client_order_id] = wanted.get(fact.client_order_id, D(0)) + fact.trade.quantity
    wrong = [id_ for id_, quantity in wanted.items() if abs(executed.get(id_, D(0)) - quantity) > SMALL]
    return f"trade_executions do not add up for {len(wrong)} orders: {some(wrong)}" if wrong else ""


def _tables_differ(journal, own):
    """Orders, balances and positions of our own tables and the platform's against the states of the journal."""
    intents = dict(own.execute("SELECT client_order_id, status FROM bulkhead.intent").fetchall())
    working = {id_ for id_, status in intents.items() if status in {"INTENDED", "ACKNOWLEDGED"}}
    if intents.keys() != journal.orders.keys() or working != journal.working():
        return "bulkhead.intent differs from the journal's orders"
    balances = own.execute(
        "SELECT account_id, balance, current_balance::numeric FROM bulkhead.account "
        "JOIN sub_accounts ON id = account_id"
    ).fetchall()
    for account, balance, platform in balances:
        state = journal.states[account]
        if balance != state.balance or abs(platform - state.balance) > SMALL:
            return f"{account}: {balance} and the platform's {platform} are not {state.balance}"
    held = {(a, p.symbol): p.quantity for a, state in journal.states.items() for p in state.positions}
    query = "SELECT account_id, symbol, quantity FROM bulkhead.position"
    if held != {(a, s): q for a, s, q in own.execute(query)}:
        return "bulkhead.position differs from the journal's positions"
    query = "SELECT sub_account_id, symbol, quantity::numeric FROM virtual_positions WHERE status = 'OPEN'"
    platform = {(a, plain_symbol(s)): q for a, s, q in own.execute(query)}
    if platform.keys() != held.keys() or any(abs(abs(held[k]) - q) > SMALL for k, q in platform.items()):
        return "the platform's virtual_positions differ from the journal's positions"
    return ""


def plain_symbol(spelled):
    """The exchange's symbol of the platform's spelling, BTC/USDT:USDT."""
    return spelled.partition(":")[0].replace("/", "")


def some(found):
    """The first of many."""
    return ", ".join(map(str, sorted(found, key=str)[:4]))
