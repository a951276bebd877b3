"""What the commands about the past print."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from rich.console import Console
from rich.text import Text

from actors.assembly.program import program
from actors.cli.table import Sheet
from actors.cli.values import Found, brief, day_time

if TYPE_CHECKING:
    from actors.assembly.rerun import Rerun
    from actors.subaccount.capture import Capture, CapturedDecision
    from actors.subaccount.state import AccountState

MANY = 1_000
"""Facts of which it is worth saying how many were folded in a second."""

SHOWN = 160
"""Characters of a fact or a message in a line."""


UNSAID = frozenset({"fact", "account_id"})
UNSET: tuple[Any, ...] = (None, "", "0", 0, [], {}, False)
"""What says nothing in a line."""


def where(found: Found, out: Console) -> None:
    """Where in the journal a past state stands, and how it was found."""
    out.print(
        f"position {found['position']} of the journal, #{found['sequence']} of the account at {day_time(found['wall_ms'])} UTC, "
        f"cause {found['cause'] or 'none'}",
        highlight=False,
    )
    last = found["last"]
    if last["sequence"] == found["sequence"]:
        out.print("nothing was decided since", highlight=False)
    else:
        later = last["sequence"] - found["sequence"]
        out.print(
            f"{later:,} {'decision' if later == 1 else 'decisions'} since, the last is #{last['sequence']} at "
            f"{day_time(last['wall_ms'])} UTC",
            highlight=False,
        )
    begin = "the first fact" if found["snapshot"] is None else f"the snapshot after #{found['snapshot']}"
    out.print(f"folded from {begin}: {speed(found)}", highlight=False, style="dim")
    out.print()


def speed(found: Found) -> str:
    """How much was folded, and how fast."""
    took_s = max(found["took_us"], 1) / 1e6
    text = f"{_counted(found['decisions'], 'decision')}, {_counted(found['facts'], 'fact')} in {took_s:.3f} s"
    many = found["facts"] >= MANY
    return f"{text} ({found['facts'] / took_s:,.0f} facts a second)" if many else text


def diff(found: Found, out: Console) -> None:
    """What changed, and by which facts."""
    for name in ("before", "after"):
        point = found[name]
        out.print(
            f"{name:<7}#{point['sequence']} at {day_time(point['wall_ms'])} UTC, position {point['position']}, "
            f"state {found[f'{name}_hash']}",
            highlight=False,
        )
    table = Sheet("field", "before", "after")
    for change in found["changes"]:
        table.add_row(change["field"], _value(change["before"]), _value(change["after"]))
    out.print(table if found["changes"] else "nothing changed")
    facts = Sheet("time", "#", "position", "cause", "fact", "what")
    for decision in found["decisions"]:
        stands = (
            day_time(decision["wall_ms"]),
            str(decision["sequence"]),
            str(decision["position"]),
            decision["cause"],
        )
        for fact in decision["facts"]:
            facts.add_row(*stands, fact["fact"], _fields(fact))
    if found["decisions"]:
        out.print(facts)
    left = found["between"] - len(found["decisions"])
    if left:
        out.print(f"... and {left:,} decisions more; --limit shows them", highlight=False)


def _value(value: Any) -> str:
    if value is None or value == []:
        return "-"
    if isinstance(value, dict):
        return _fields(value)
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _fields(fact: Found) -> str:
    told = (
        f"{name} {_value(value)}" for name, value in fact.items() if name not in UNSAID and value not in UNSET
    )
    return brief(", ".join(told), SHOWN)


def written(found: Capture, name: str, size: int, out: Console) -> None:
    """What a capture holds."""
    decided = [one for one in found.decisions if not one.is_look]
    durable, failed = sum(one.position > 0 for one in decided), sum(bool(one.error) for one in decided)
    what = "one that failed" if failed else f"{durable} in the journal"
    out.print(
        f"{name}: {_counted(len(decided), 'decision')} of {found.account} ({what}), "
        f"{'what it would decide now, ' if len(decided) < len(found.decisions) else ''}{size:,} bytes; "
        f"'bulkhead rerun {name}' makes them again",
        highlight=False,
    )


def head(found: Capture, name: str, out: Console) -> None:
    """Of what a capture is."""
    what = f"dead letter {found.dead_letter} of" if found.dead_letter else "capture of"
    out.print(
        f"{name}: {what} {found.account}, made {day_time(found.made_ms)} UTC by release {found.program or 'unknown'}",
        highlight=False,
    )
    if found.program and found.program != program():
        out.print(f"this is release {program()}: decisions may differ because rules changed", style="yellow")


def outcome(one: Rerun, out: Console) -> None:
    """One decision that was made again, in a line; and what differs."""
    style = {"SAME": "green", "SAME_ERROR": "green", "DIFFERENT": "red"}[one.verdict]
    line = Text.assemble(
        f"{one.number:>3}  ",
        (f"{one.verdict.replace('_', ' ').lower():<10}", style),
        f"  {_stands(one.recorded)}  {_told(one)}",
    )
    out.print(line)
    if one.difference:
        out.print(f"     {one.difference}", style="red", highlight=False)
    if one.traceback:
        out.print(one.traceback, highlight=False)


def _told(one: Rerun) -> str:
    if one.error:
        return brief(one.error, SHOWN)
    kinds = Counter(fact["fact"] for fact in msgspec.json.decode(one.facts))
    if kinds:
        return ", ".join(kind if count == 1 else f"{count} {kind}" for kind, count in kinds.items())
    reply = msgspec.json.decode(one.reply)
    if reply and reply.get("type") == "Rejected":
        return "refused: " + ", ".join(rejection["code"] for rejection in reply["rejections"])
    return "nothing"


def _stands(recorded: CapturedDecision) -> str:
    if recorded.is_look:
        return "now"
    stands = f"#{recorded.sequence}"
    if recorded.position:
        stands += f" at {recorded.position}"
    return f"{stands}  {recorded.message_kind} ({recorded.cause})"


def summary(found: Capture, outcomes: Sequence[Rerun], out: Console) -> None:
    """How many are the same, and the first that is not."""
    if not outcomes:
        out.print("the file holds no decision", style="yellow")
        return
    differing = [one for one in outcomes if one.difference]
    failed = sum(one.verdict == "SAME_ERROR" for one in outcomes)
    if failed:
        what = "it fails as it did" if len(outcomes) == 1 else f"{failed} of {len(outcomes)} fail as they did"
        out.print(f"{what}: with the same error, at the same lines", style="green" if not differing else "")
        if not differing:
            return
    if not differing:
        durable = sum(one.recorded.position > 0 for one in outcomes)
        out.print(
            f"all {_counted(len(outcomes), 'decision')} as recorded, byte for byte; {durable} compared with the journal",
            style="green",
            highlight=False,
        )
        return
    first = differing[0]
    out.print(
        f"{len(differing)} of {_counted(len(outcomes), 'decision')} of {found.account} differ, first number {first.number}: "
        f"{first.recorded.message_kind} ({first.recorded.cause})",
        style="red",
        highlight=False,
    )


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def before(number: int, recorded: CapturedDecision, state: AccountState, message: Any, out: Console) -> None:
    """What a decision is about to be made of."""
    out.print(Text(f"\n{number}  {_stands(recorded)}", "bold"))
    standing = f"balance {state.balance}  {state.status}, {state.phase}  breaker {state.risk.breaker}"
    out.print(f"state    {standing}", highlight=False)
    for position in state.positions:
        out.print(
            f"         {position.quantity} {position.symbol} at {position.entry_price}", highlight=False
        )
    out.print(
        f"         {_counted(len(state.orders), 'order')}, {_counted(len(state.conditionals), 'conditional order')}",
        highlight=False,
    )
    fields = msgspec.json.encode(message, enc_hook=str).decode()
    out.print(f"message  {recorded.message_kind} {fields}", highlight=False)
    if recorded.inputs is not None:
        out.print(f"clock    {day_time(recorded.inputs.wall_ms)} UTC", highlight=False)
        for symbol, tick in recorded.inputs.ticks.items():
            price = "no price" if tick is None else f"bid {tick.bid} ask {tick.ask}"
            out.print(f"market   {symbol} {price}", highlight=False)


def plain(found: Capture, outcomes: Sequence[Rerun]) -> Any:
    """The outcome of a rerun as JSON."""
    differing = [one.number for one in outcomes if one.difference]
    return {
        "account": found.account,
        "made_ms": found.made_ms,
        "program": found.program,
        "dead_letter": found.dead_letter,
        "same": not differing,
        "first_difference": differing[0] if differing else None,
        "decisions": [
            {
                "number": one.number,
                "sequence": one.recorded.sequence,
                "position": one.recorded.position,
                "is_look": one.recorded.is_look,
                "message_kind": one.recorded.message_kind,
                "cause": one.recorded.cause,
                "verdict": one.verdict.value,
                "difference": one.difference,
                "error": one.error,
                "traceback": one.traceback,
                "facts": msgspec.json.decode(one.facts),
                "reply": msgspec.json.decode(one.reply),
            }
            for one in outcomes
        ],
    }
