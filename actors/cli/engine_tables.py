"""Tables of the commands about the engine as a whole."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from actors.cli.safe import safe
from actors.cli.table import Sheet
from actors.cli.values import Found, brief, day_time
from actors.core.clearing_messages import clearing_name, is_clearing
from actors.core.units import plain

NAME_WIDTH = 11
"""Cells of the first column."""

ALARMS_SHOWN = 3

TROUBLED_NAMED = 5
"""Clearings that are named because they are not running."""

WHY_CLOSED = {
    "start": "it is starting: the state of some orders is not known yet",
    "stop": "it is stopping",
    "writer": "Postgres is away, or too many decisions wait for it",
    "projector": "the projector is being restarted, or failed too often; 'bulkhead restart projector'",
    "projection": "the tables of people and of the platform are too far behind the journal",
    "gateway": "the gateway is being restarted",
    "router": "the router is being restarted",
    "feed": "the feed is being restarted",
    "user stream": "the exchange's user stream is down",
    "exchange clock": "the exchange's time is not known",
    "watchdog": "a turn does not end; 'bulkhead stuck' shows it",
    "overload": "messages wait more than a second for their turn",
    "breaker": "many accounts failed with the same error; 'bulkhead crashes' shows it",
    "emergency stop of all": "'bulkhead emergency-stop --everybody --call-off' ends it",
    "copy": "another engine uses a copy of this database",
    "fenced": "another engine owns the database; this one ends",
    "halt": "it must not continue after a fault, and ends",
}
"""What closes the gate for new risk, as docs/operating.md explains it."""

STREAMS = {
    "UP": "user stream UP",
    "UNPROVEN": "user stream connected; the first order confirms it",
    "DOWN": "user stream DOWN",
}

FINE, BAD = "green", "red"


def status(found: Found, out: Console) -> None:
    """One line or two per part."""
    stats, health, address = found["stats"], found["health"], found["address"]
    up = f"up {_span(stats['uptime_s'])}, fleet {stats['fleet']['fleet']}, " if stats else ""
    _line("engine", f"{up}{address['url']}, process {address['pid']}", out)
    closed = health.get("closed_symbols", ())
    if health["status"] == "ok" and not closed:
        _line("new risk", "open", out, FINE)
    elif health["status"] == "ok":
        _line("new risk", f"open, but not in {', '.join(closed)}", out, BAD)
    else:
        halted = "halted" if health["status"] == "halted" else "none; reducing orders only"
        _line("new risk", halted, out, BAD)
        for closer in health["closed_by"]:
            _line("", f"{closer}: {why_closed(closer)}", out, BAD)
    for name in map(clearing_name, closed):
        _line("", f"{name}: {why_closed(name)}", out, BAD)
    if not stats:
        _line("the rest", f"not available: {found['untold']}", out, BAD)
        return
    _postgres(stats["writer"], out)
    _redis(stats["redis"], out)
    _exchange(stats["gateway"], out)
    _clearing(stats["clearing"], out)
    _audit(stats["audit"], out)
    _accounts(stats, out)
    _alarms(stats["alarms"], found["alarms"], out)


def why_closed(closer: str) -> str:
    """Why something lets no new risk in, and what to do; a clearing does for its symbol only."""
    if is_clearing(closer):
        return f"it is being restarted, or failed too often; 'bulkhead restart {closer}'"
    return WHY_CLOSED.get(closer, "being restarted")


def _line(name: str, text: str, out: Console, style: str = "") -> None:
    """A name and its text, wrapped beside the name."""
    width = max(1, out.width - NAME_WIDTH)
    for number, part in enumerate(Text(safe(text), style).wrap(out, width)):
        head = Text(name if not number else "", "bold")
        head.pad_right(NAME_WIDTH - len(head))
        out.print(head + part)


def _span(seconds: float) -> str:
    """A duration in its two largest units."""
    rest = int(seconds)
    parts: list[str] = []
    for name, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count or (name == "s" and not parts):
            parts.append(f"{count} {name}")
    return " ".join(parts[:2])


def _postgres(writer: Found, out: Console) -> None:
    waiting = f"{writer['waiting']:,} decisions wait"
    if writer["is_down"]:
        _line("postgres", f"AWAY; {waiting}", out, BAD)
    else:
        took = f"; the last commit took {writer['last_commit_ms']:.1f} ms" if writer["commits"] else ""
        _line("postgres", f"answers{took}; {waiting}", out)


def _redis(redis: Found | None, out: Console) -> None:
    """Nothing where no Redis is configured."""
    if redis is None:
        return
    if redis["connected"]:
        lag = f"{redis['lag']:,} decisions behind" if redis["lag"] else "up to date"
        events = "are refused" if "events" in redis["faults"] else lag
        _line("redis", f"answers; events {events}, {redis['snapshots']:,} snapshots written", out)
        for fault in redis["faults"].values():
            _line("", fault, out, BAD)
    else:
        _line("redis", f"AWAY; {redis['error'] or 'not connected yet'}", out, BAD)


def _exchange(gateway: Found, out: Console) -> None:
    reason = f" ({gateway['stream_reason']})" if gateway["stream_reason"] else ""
    stream = gateway["stream"]
    _line(
        "exchange",
        STREAMS.get(stream, f"user stream {stream}") + reason,
        out,
        BAD if stream == "DOWN" else "",
    )
    weight = gateway["weight"]
    _line(
        "",
        f"{gateway['tracked']:,} working orders, {gateway['queued']:,} waiting to be sent, "
        f"{len(gateway['unknown']):,} in unknown state; request weight {weight['used']:,} of {weight['limit']:,}",
        out,
        BAD if gateway["unknown"] else "",
    )


def _clearing(found: Found, out: Console) -> None:
    if found["clearing"] != "on":
        _line("clearing", "off; every order is sent by itself", out)
    else:
        waiting = sum(found["waiting"].values())
        oldest_ms = max(found["oldest_ms"].values(), default=0)
        since = f", the oldest since {oldest_ms / 1_000:,.1f} s" if waiting else ""
        flight = f"{found['blocks_in_flight']:,} blocks in flight"
        _line(
            "clearing",
            f"{found['symbols']:,} symbols; {waiting:,} orders wait to be sent{since}; {flight}",
            out,
        )
    if found["troubled"]:
        named = ", ".join(found["troubled"][:TROUBLED_NAMED])
        more = len(found["troubled"]) - TROUBLED_NAMED
        rest = f" and {more:,} more" if more > 0 else ""
        _line("", f"not running: {named}{rest}; 'bulkhead tree' shows why", out, BAD)


def _audit(found: Found, out: Console) -> None:
    if found is None:
        _line("audit", "off; no file is written", out)
        return
    up_to_date = "not up to date" if found["fault"] else "up to date"
    behind = f"{found['behind']:,} decisions behind" if found["behind"] else up_to_date
    left_out = f"; {found['left_out']:,} left out and counted" if found["left_out"] else ""
    _line("audit", f"line {found['last_line']:,}, {behind}{left_out}", out)
    if found["fault"]:
        _line("", f"FAILING: {found['fault']}", out, BAD)


def _accounts(stats: dict[str, Any], out: Console) -> None:
    phases = ", ".join(f"{count:,} {phase}" for phase, count in sorted(stats["phases"].items()))
    _line("accounts", f"{stats['accounts']:,}" + (f": {phases}" if phases else ""), out)
    rest = f"{stats['with_positions']:,} with positions, {stats['working_orders']:,} working orders"
    _line("", rest, out)
    if stats["quarantined"]:
        _line("", f"{stats['quarantined']:,} in quarantine; 'bulkhead quarantined' says why", out, BAD)


def _alarms(count: int, entries: list[Found], out: Console) -> None:
    shown = entries[-ALARMS_SHOWN:]
    _line("alarms", f"{count:,}" + (f", the latest {len(shown)}:" if shown else ""), out)
    for alarm in shown:
        text = Text(safe(f"{day_time(alarm['at_ms'])} {alarm['text']}"))
        out.print(Padding(text, (0, 0, 0, 2), expand=False))


def alarms(found: Found, out: Console) -> None:
    """One line per alarm: number, when last, how urgent, how often, what."""
    for alarm in found:
        often = (
            f" ({alarm['count']:,} times since {day_time(alarm['first_ms'])})" if alarm["count"] > 1 else ""
        )
        over = f" (over since {day_time(alarm['over_ms'])})" if alarm["over_ms"] else ""
        seen = f" (acknowledged by {alarm['acknowledged_by']})" if alarm["acknowledged_by"] else ""
        out.print(
            f"{alarm['alarm_id']} {day_time(alarm['at_ms'])} {alarm['level']} {alarm['text']}{often}{over}{seen}",
            style="red" if alarm["level"] == "CRITICAL" else "",
            markup=False,
            highlight=False,
        )
    if not found:
        out.print("no alarms")


def audit(found: Found, out: Console) -> None:
    """One line per operator action."""
    table = Sheet("time", "who", "action", "target", "detail")
    for entry in found:
        table.add_row(
            day_time(entry["at_ms"]),
            entry["who"],
            entry["action"],
            entry["target"],
            brief(entry["detail"], 100),
        )
    out.print(table if found else "no operator actions yet")


def master(found: Found, out: Console) -> None:
    """The master's settings, and one line per symbol."""
    answers = {True: "yes", False: "no", None: "unknown"}
    tier = "unknown" if found["fee_tier"] is None else found["fee_tier"]
    out.print(
        f"{found['position_mode']} mode, {found['margin_mode']} mode, margin in {found['margin_asset']}"
    )
    out.print(
        f"may trade: {answers[found['can_trade']]}, pays commission in BNB: {answers[found['bnb_burn']]}, "
        f"fee tier {tier}"
    )
    out.print(f"rules read {found['rules_read_s_ago']:.0f} s ago")
    table = Sheet("symbol", "status", "Leverage", "margin", "May hold", "Holds")
    for row in found["symbols"]:
        table.add_row(
            row["symbol"],
            row["status"],
            "unknown" if row["leverage"] is None else str(row["leverage"]),
            row["margin_type"] or "unknown",
            "unknown" if row["notional_cap"] is None else f"{float(row['notional_cap']):,.0f}",
            f"{float(row['held']):,.2f}",
        )
    out.print(table)


def reconciliation(found: Found, out: Console) -> None:
    """One line per symbol."""
    table = Sheet("symbol", "Accounts", "House", "In flight", "Exchange", "Difference")
    for d in found:
        sums = (plain(Decimal(d[name])) for name in ("virtual", "house", "in_flight", "master", "difference"))
        table.add_row(d["symbol"], *sums)
    out.print(table)
    differ = [d["symbol"] for d in found if Decimal(d["difference"])]
    # What a block traded for members whose accounts have not booked it yet.
    sides = (
        "accounts + house + in flight" if any(Decimal(d["in_flight"]) for d in found) else "accounts + house"
    )
    if differ:
        out.print(f"{sides} differ from the exchange in {', '.join(differ)}", style="red")
    else:
        out.print(f"{sides} = exchange, for every symbol", style="green")
