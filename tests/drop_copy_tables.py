"""What the events of a drop copy say is what the tables have, which the projector made: each row once, with the same figures."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal as D

import psycopg

MONEY = frozenset({
    "quantity", "price", "fee", "realized", "amount", "leverage", "trigger_price", "rate", "mark", "entry_price", "mae", "mfe",
    "funding",
})  # fmt: skip

ORDER = (
    "client_order_id",
    "account",
    "symbol",
    "side",
    "quantity",
    "price",
    "leverage",
    "purpose",
    "strategy",
)
FILL = ("symbol", "trade_id", "client_order_id", "account", "side", "quantity", "price", "realized")
CLOSED = (
    "position_id",
    "account",
    "symbol",
    "quantity",
    "entry_price",
    "realized",
    "mae",
    "mfe",
    "strategy",
    "opened_ms",
    "closed_ms",
)
STOP = (
    "client_order_id",
    "account",
    "type",
    "symbol",
    "side",
    "quantity",
    "trigger_price",
    "leverage",
    "strategy",
)

PHASES = {"STUCK": "STUCK", "LIQUIDATED": "LIQUIDATED", "REDUCING": "BREACH", "LIQUIDATING": "BREACH"}


class Told:
    """Events, as rows of the tables would have them."""

    def __init__(self, found):
        self.found = found

    def of(self, kind, **more):
        return [e for e in self.found if e["kind"] == kind and all(e.get(n) == v for n, v in more.items())]

    def rows(self, names, *kinds):
        """Rows of events; each kind is a name, or a pair of a name and an action."""
        wanted = [kind if isinstance(kind, tuple) else (kind, None) for kind in kinds]
        return Counter(
            tuple(D(e[n]) if n in MONEY and e[n] is not None else e[n] for n in names)
            for e in self.found
            if any(e["kind"] == k and action in {None, e.get("action")} for k, action in wanted)
        )

    def ledger(self):
        """Each change of a balance: position, account, type of income, amount."""
        entries = []
        for e in self.found:
            at = (e["position"], e["account"])
            match e["kind"], e.get("action"):
                case ("FILL", _) | ("LIQUIDATION", "TAKEN_OVER"):
                    entries += [(*at, "REALIZED_PNL", D(e["realized"])), (*at, "COMMISSION", -D(e["fee"]))]
                case "FUNDING", _:
                    entries.append((*at, "FUNDING_FEE", D(e["amount"])))
                case "FEE", "BOOKED":
                    entries.append((*at, "COMMISSION", -D(e["fee"])))
                case "BALANCE", "ADJUSTED":
                    entries.append((*at, "TRANSFER", D(e["amount"])))
                case "BALANCE", "BAD_DEBT":
                    entries.append((*at, "INSURANCE_CLEAR", D(e["amount"])))
                case "STATUS", "ADOPTED":
                    entries.append((*at, "TRANSFER", D(e["balance"])))
        return Counter(entry for entry in entries if entry[-1])

    def alerts(self):
        """What an operator is told of: position, number of the fact, account, kind."""
        return Counter(
            (*map(int, e["id"].split("-")), e["account"], kind)
            for e in self.found
            if (kind := _alert(e)) is not None
        )

    def limits(self):
        """The own limits that each account has in the end."""
        found = {}
        for e in self.of("LIMITS", action="OWN"):
            for name, value in e.items():
                if name.startswith("limit."):
                    found[e["account"], name.removeprefix("limit.")] = value
        return {key: value for key, value in found.items() if value is not None}

    def last(self, kind, action, field):
        """What a field of each account is in the end."""
        return {e["account"]: e[field] for e in self.of(kind, action=action)}

    def funding(self):
        """What each account got at each settlement of a symbol."""
        sums = Counter()
        for e in self.of("FUNDING"):
            sums[e["account"], e["symbol"], e["funding_ms"]] += D(e["amount"])
        return dict(sums)


def _alert(event):
    match event["kind"], event.get("action"):
        case "BREACH", "PHASE":
            waits = event["phase"] in {"REDUCING", "LIQUIDATING"} and (
                event["refusals"] or event["retry_at_ms"]
            )
            return None if waits else PHASES.get(event["phase"])
        case "BREACH", "DAY_STOPPED":
            return "BREACH"
        case "BREACH", action:
            return action  # POSITION, BREAKER
        case "LIQUIDATION", "TAKEN_OVER":
            return "TAKEOVER"
        case "BALANCE", "BAD_DEBT":
            return "BAD_DEBT"
        case "CLOSE_OUT", "BEGAN":
            return "CLOSE_OUT"
        case "CONDITIONAL", "PLACED":
            return "STOP_REFUSED" if event["attempt"] else None
        case "CONDITIONAL", "ENDED":
            return "STOP_REFUSED" if event["status"] == "REJECTED" else None
        case "FILL", _:
            return "FEE_PENDING" if event["fee_rate"] is None and event["fee_amount"] is not None else None
        case "FEE", "LEARNED":
            return "FEE_PENDING"
    return None


def compare(dsn, found):
    """Hold the events of a whole journal, each once, against every table that has them; all must be projected."""
    told = Told(found)
    with psycopg.connect(dsn) as connection:

        def rows(query):
            return Counter(tuple(row) for row in connection.execute(query).fetchall())

        def pairs(query):
            return {tuple(row[:-1]) if len(row) > 2 else row[0]: row[-1] for row in connection.execute(query)}

        assert told.rows(ORDER, "ORDER", ("LIQUIDATION", "ORDER")) == rows(
            "SELECT client_order_id, account_id, symbol, side, quantity, price, leverage, purpose, strategy FROM bulkhead.intent"
        )
        assert told.rows(("client_order_id", "status"), "ORDER_ENDED") == rows(
            "SELECT client_order_id, status FROM bulkhead.intent WHERE status NOT IN ('INTENDED', 'ACKNOWLEDGED')"
        )
        fills = told.rows(FILL, "FILL")
        assert set(fills.values()) <= {1}
        assert fills == rows(
            "SELECT symbol, trade_id, client_order_id, account_id, side, quantity, price, realized FROM bulkhead.fill"
        )
        assert _fees(told) == pairs("SELECT symbol, trade_id, account_id, fee FROM bulkhead.fill")
        assert told.rows(CLOSED, "POSITION_CLOSED") == rows(
            "SELECT position_id, account_id, symbol, quantity, entry_price, realized, mae, mfe, strategy, opened_ms, closed_ms "
            "FROM bulkhead.closed_position"
        )
        assert told.rows(STOP, ("CONDITIONAL", "PLACED")) == rows(
            "SELECT client_order_id, account_id, kind, symbol, side, quantity, trigger_price, leverage, strategy "
            "FROM bulkhead.conditional"
        )
        assert told.rows(("client_order_id", "status"), ("CONDITIONAL", "ENDED")) == rows(
            "SELECT client_order_id, status FROM bulkhead.conditional WHERE status <> 'WAITING'"
        )
        assert told.funding() == pairs("SELECT account_id, symbol, funding_ms, amount FROM bulkhead.funding")
        assert told.ledger() == rows("SELECT position, account_id, income_type, amount FROM bulkhead.ledger")
        assert told.alerts() == rows("SELECT position, fact, account_id, kind FROM bulkhead.alert")
        assert told.limits() == pairs("SELECT account_id, name, value FROM bulkhead.account_limit")
        breakers = pairs("SELECT account_id, breaker FROM bulkhead.account_risk")
        for account, breaker in told.last("BREACH", "BREAKER", "breaker").items():
            assert breakers[account] == breaker, account
        statuses = pairs(
            "SELECT account_id, platform_status FROM bulkhead.account WHERE platform_status IS NOT NULL"
        )
        for account, status in told.last("STATUS", "STATUS", "status").items():
            assert statuses[account] == status, account
        balances = pairs("SELECT account_id, balance FROM bulkhead.account")
        sums = Counter()
        for (_, account, _, amount), count in told.ledger().items():
            sums[account] += amount * count
        assert {account: sums[account] for account in balances} == balances


def _fees(told):
    """What each trade cost in the end; one that was pending is booked later."""
    fees = Counter({(e["symbol"], e["trade_id"], e["account"]): D(e["fee"]) for e in told.of("FILL")})
    for e in told.of("FEE", action="BOOKED"):
        fees[e["symbol"], e["trade_id"], e["account"]] += D(e["fee"])
    return dict(fees)
