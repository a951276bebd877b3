"""What must hold after each fault: the books in Postgres against the exchange, read independently of the engine."""

from __future__ import annotations

import time
from decimal import Decimal as D

from tests.e2e.processes import WAIT, differences

PAGE = 1000
STILL_WORKING = ("INTENDED", "ACKNOWLEDGED")


class Broken(AssertionError):
    """An invariant does not hold."""


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


class Books:
    """Checks of one run; raises ``Broken`` with what is wrong."""

    def __init__(self, world, load):
        self._world, self._load = world, load
        self.exchange = Exchange(world.paper)
        self._epoch = 0

    # -- while no engine runs

    def check_dead(self):
        """What holds at any time, whoever died in the middle of whatever."""
        sent = set(self.exchange.read_orders())  # before the database: what it shows is at least as new
        with self._world.sql() as own:
            self._durable_before_sent(own, sent)
            self._acknowledged_is_durable(own)
            self._no_trade_made_up(own)
            self._sums(own)
            self._epochs(own)

    def _durable_before_sent(self, own, sent):
        durable = {id_ for (id_,) in own.execute("SELECT client_order_id FROM bulkhead.intent")}
        if lost := sent - durable:
            raise Broken(f"{len(lost)} orders are at the exchange, and not in the database: {some(lost)}")
        never = {
            id_
            for (id_,) in own.execute(
                "SELECT client_order_id FROM bulkhead.intent WHERE status = 'NEVER_SENT'"
            )
        }
        if wrong := never & sent:
            raise Broken(f"{len(wrong)} orders are called NEVER_SENT, and the exchange has them: {some(wrong)}")

    def _acknowledged_is_durable(self, own):
        durable = {id_ for (id_,) in own.execute("SELECT client_order_id FROM bulkhead.intent")}
        if lost := set(self._load.accepted) - durable:
            raise Broken(f"{len(lost)} orders were acknowledged, and are not in the database: {some(lost)}")
        tried, acknowledged = dict(self._load.tried), dict(self._load.deposited)
        for account, deposits in own.execute("SELECT account_id, deposits FROM bulkhead.account"):
            if not acknowledged[account] <= deposits <= tried[account]:
                raise Broken(
                    f"{account} has deposits of {deposits}; {acknowledged[account]} were acknowledged, "
                    f"{tried[account]} were tried"
                )

    def _no_trade_made_up(self, own):
        booked = fills(own)
        if wrong := booked.keys() - self.exchange.read_trades().keys():
            raise Broken(f"{len(wrong)} trades are booked that the exchange does not have: {some(wrong)}")
        twice = own.execute(
            """
            SELECT f.symbol, f.trade_id, f.quantity, sum(t.quantity) FROM bulkhead.fill f
            LEFT JOIN trade_executions t ON t.client_order_id = f.client_order_id AND t.sub_account_id = f.account_id
            JOIN (SELECT client_order_id, count(*) AS n, sum(quantity) AS all_of_it FROM bulkhead.fill GROUP BY 1) o
                ON o.client_order_id = f.client_order_id
            GROUP BY f.symbol, f.trade_id, f.quantity, o.all_of_it
            HAVING abs(coalesce(sum(t.quantity), 0)::numeric - o.all_of_it) > 0.0000001"""
        ).fetchall()
        if twice:
            raise Broken(f"{len(twice)} trades are not in the platform's trade_executions once: {twice[:3]}")

    def _sums(self, own):
        wrong = own.execute(
            """
            SELECT a.account_id, a.balance, a.deposits + a.realized - a.fees + a.funding + a.bad_debt,
                s.current_balance::numeric, (SELECT sum(change_amount)::numeric FROM balance_logs l
                    WHERE l.sub_account_id = a.account_id),
                (SELECT sum(fee) FROM bulkhead.fill f WHERE f.account_id = a.account_id)
            FROM bulkhead.account a JOIN sub_accounts s ON s.id = a.account_id"""
        ).fetchall()
        for account, balance, sums, platform, logged, _fees in wrong:
            if balance != sums or abs(balance - platform) > D("0.000001") or abs(balance - logged) > D("0.000001"):
                raise Broken(
                    f"{account}: balance {balance}, its parts {sums}, the platform's {platform}, its log {logged}"
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
            "SELECT epoch, array_agg(DISTINCT role), array_agg(DISTINCT relation) FROM chaos.wrote "
            "GROUP BY epoch HAVING count(DISTINCT role) > 1"
        ).fetchall()
        if found:
            raise Broken(f"an engine wrote after its successor had begun: {found[:3]}")

    # -- while an engine runs and nobody uses it

    def check_quiet(self, client, seconds=WAIT):
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
            raise Broken(f"the books differ from the master's positions: {wrong}")

    def _differs(self, client):
        with self._world.sql() as own:
            working = {
                id_
                for (id_,) in own.execute(
                    "SELECT client_order_id FROM bulkhead.intent WHERE status = ANY(%s)", (list(STILL_WORKING),)
                )
            }
            if wrong := working ^ self.exchange.open_orders():
                return f"{len(wrong)} orders work on one side only: {some(wrong)}"
            at_exchange = self.exchange.read_trades()
            booked = fills(own)
            if wrong := at_exchange.keys() ^ booked.keys():
                return f"{len(wrong)} trades are on one side only: {some(wrong)}"
            for key, (order, quantity, price, fee) in booked.items():
                trade = at_exchange[key]
                told = (D(trade["qty"]), D(trade["price"]), D(trade["commission"]))
                if told != (quantity, price, fee) or self.exchange.orders.get(order, trade["orderId"]) != trade["orderId"]:
                    return f"the trade {key} is booked as {(order, quantity, price, fee)}, the exchange says {trade}"
            return self._accounts_differ(client, own)

    @staticmethod
    def _accounts_differ(client, own):
        """What the actors have in memory against what is durable."""
        held = {(p["account_id"], p["symbol"]): D(p["quantity"]) for p in client.get("/v1/positions", limit=10_000)}
        stored = {(a, s): q for a, s, q in own.execute("SELECT account_id, symbol, quantity FROM bulkhead.position")}
        if held != stored:
            return f"positions differ: {some({k for k in held.keys() | stored.keys() if held.get(k) != stored.get(k)})}"
        for account, balance in own.execute("SELECT account_id, balance FROM bulkhead.account").fetchall():
            told = D(client.get(f"/v1/accounts/{account}")["balance"])
            if told != balance:
                return f"{account} has a balance of {told} in memory and {balance} in the database"
        return ""


def fills(own):
    """What is booked, by symbol and trade id; one row each, by the table's key."""
    return {
        (symbol, trade): found
        for symbol, trade, *found in own.execute(
            "SELECT symbol, trade_id, client_order_id, quantity, price, fee FROM bulkhead.fill"
        )
    }


def some(found):
    """The first of many."""
    return ", ".join(map(str, sorted(found, key=str)[:4]))
