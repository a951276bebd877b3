"""The commands of an operator at 03:00: look inside, restart one, quarantine one, replay, follow."""

from __future__ import annotations

import sys
from decimal import Decimal
from typing import Annotated

import cyclopts
from cyclopts import Parameter

from actors.assembly.config import DEFAULT_DATA_DIR
from actors.cli import formats, show_actor, show_ops
from actors.cli.common import DataDir, Json, as_json, as_line, client, live, out, path, show, told

Replay = Annotated[bool, Parameter("--replay", negative=())]

deadletters = cyclopts.App(
    name="deadletters",
    help="List, show, replay or drop messages that no actor could handle.\n\nExample: bulkhead deadletters list acct-42",
)


@live
def inspect(
    actor: str,
    *,
    limits: Annotated[bool, Parameter(negative=())] = False,
    limit: int = 20,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json: Json = False,
) -> None:
    """Look inside one actor without stopping it: positions, mailbox, crashes, triggers, last messages, state.

    Example: bulkhead inspect acct-42

    Works also while the actor is stuck, crashed or in quarantine, and for gateway, writer, router.

    Args:
        actor: an account, or gateway, writer, router, feed, supervisor.
        limits: show the account's limits, too; 'bulkhead limits' says where each comes from.
        limit: how many waiting messages.
        data_dir: the engine's data folder.
        json: print the whole answer as JSON.
    """
    engine = client(data_dir)
    found = engine.get(path("actors", actor), limit=limit)
    if json:
        as_json(found)
        return
    state = found["guarded_state"] or found["state"]
    of_account = isinstance(state, dict) and "phase" in state
    account = engine.get(path("accounts", actor)) if of_account else None
    show_actor.actor(found, account, out, limits=limits)


@live
def mailbox(
    actor: str, *, limit: int = 100, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False
) -> None:
    """Show what waits in one actor's mailbox: lane, kind, age, cause.

    Example: bulkhead mailbox acct-42
    """
    show(
        client(data_dir).get(path("actors", actor), limit=limit)["snapshot"],
        show_actor.mailbox,
        json=json,
    )


@live
def trace(  # noqa: PLR0913 - one per bound of the trace
    actor: str,
    *,
    follow: Annotated[bool, Parameter(negative=())] = False,
    seconds: int = 60,
    rate: int = 50,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json: Json = False,
) -> None:
    """Show the last messages of one actor, or follow them live.

    Example: bulkhead trace acct-42 --follow --seconds 30

    Args:
        actor: an account, or gateway, writer, router, feed, supervisor.
        follow: print each message as it is handled, until the time is up or Ctrl-C.
        seconds: how long to follow.
        rate: at most so many messages a second; what is above is only counted.
        data_dir: the engine's data folder.
        json: one JSON object per line.
    """
    engine = client(data_dir)
    if not follow:
        show(engine.get(path("actors", actor))["snapshot"]["trace"], show_actor.trace, json=json)
        return
    for entry in engine.stream(path("actors", actor, "trace"), seconds=seconds, rate=rate):
        if json:
            as_line(entry)
        else:
            show_ops.followed(entry, out)


@live
def tree(*, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """Show the supervision tree, and every account that is not running.

    Example: bulkhead tree
    """
    show(client(data_dir).get("/v1/tree"), show_ops.tree, json=json)


@live
def crashes(
    actor: str | None = None, *, limit: int = 20, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False
) -> None:
    """List the latest crashes, of one actor or of all.

    Example: bulkhead crashes acct-42
    """
    show(client(data_dir).get("/v1/crashes", actor=actor, limit=limit), show_ops.crashes, json=json)


@live
def stuck(*, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """List turns that the watchdog caught past their deadline, with their stack.

    Example: bulkhead stuck
    """
    show(client(data_dir).get("/v1/stuck"), show_ops.stuck, json=json)


@live
def restart(actor: str, *, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """Restart one actor from its durable state; its mailbox is kept, nobody else notices.

    Example: bulkhead restart acct-42
    """
    answer = client(data_dir).post(path("actors", actor, "restart"))
    told(answer, f"{actor}: {'restarting' if answer['restarted'] else 'not restarted'}", json=json)


@live
def quarantine(
    account: str,
    *,
    reason: str = "asked for by an operator",
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json: Json = False,
) -> None:
    """Take one account out of service; its orders are cancelled, its liquidation stays guarded.

    Example: bulkhead quarantine acct-42 --reason "odd fills"

    'bulkhead release' takes it back.
    """
    answer = client(data_dir).post(path("accounts", account, "quarantine"), {"reason": reason})
    told(answer, f"{account}: in quarantine", json=json)


@live
def release(
    account: str, *, replay: Replay = False, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False
) -> None:
    """Put an account back into service; the message that failed is dropped, or replayed.

    Example: bulkhead release acct-42 --replay

    Args:
        account: an account in quarantine.
        replay: tell it the message that failed once more, for example after a fix.
        data_dir: the engine's data folder.
        json: print the answer as JSON.
    """
    body = {"poison": "replay" if replay else "drop"}
    answer = client(data_dir).post(path("accounts", account, "release"), body)
    letter = answer["dead_letter_id"]
    done = (
        "no message was waiting"
        if letter is None
        else f"dead letter {letter} {'replayed' if replay else 'dropped'}"
    )
    told(answer, f"{account}: released, {done}", json=json)


@live
def quarantined(*, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """List accounts that are out of service, and why.

    Example: bulkhead quarantined
    """
    show(client(data_dir).get("/v1/quarantine"), show_ops.quarantined, json=json)


@live
def why(client_order_id: str, *, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """Show what set an order off, and what came of it.

    Example: bulkhead why bh-k7m2qx-4t0w9c5e8h2r6v1n-3
    """
    found = client(data_dir).get(path("orders", client_order_id))
    show([found], show_ops.caused, json=json)


@live
def caused(cause: str, *, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """Show all orders that one cause set off, for example a tick.

    Example: bulkhead caused tick:BTCUSDT:5123107839020
    """
    show(client(data_dir).get(path("causes", cause)), show_ops.caused, json=json)


@live
def audit(
    target: str | None = None, *, limit: int = 50, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False
) -> None:
    """List what operators did, to one actor or to all.

    Example: bulkhead audit acct-42
    """
    show(client(data_dir).get("/v1/audit", target=target, limit=limit), show_ops.audit, json=json)


@live
def stats(*, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = True) -> None:  # noqa: ARG001 - the only format
    """Print the engine's counters as JSON.

    Example: bulkhead stats
    """
    as_json(client(data_dir).get("/v1/stats"))


@live
def alarms(
    *,
    all: Annotated[bool, Parameter("--all", negative=())] = False,  # noqa: A002 - its name on the command line
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json: Json = False,
) -> None:
    """List alarms that nobody has acknowledged, the newest last; they outlive a restart.

    Example: bulkhead alarms

    Args:
        all: those that somebody acknowledged since the start, too.
        data_dir: the engine's data folder.
        json: print the answer as JSON.
    """
    show(client(data_dir).get("/v1/alarms", unacknowledged=not all), formats.alarms, json=json)


@live
def ack(
    numbers: Annotated[tuple[int, ...], Parameter(consume_multiple=True)],
    /,
    *,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json: Json = False,
) -> None:
    """Acknowledge alarms: you have seen them. What raises one again makes a new one.

    Example: bulkhead ack 7 9

    Args:
        numbers: as 'bulkhead alarms' shows them.
        data_dir: the engine's data folder.
        json: print the answers as JSON.
    """
    engine = client(data_dir)
    for number in numbers:
        answer = engine.post(path("alarms", number, "ack"))
        told(answer, f"alarm {number} acknowledged: {answer['text']}", json=json)


@live
def master(*, data_dir: DataDir = DEFAULT_DATA_DIR, limit: int = 20, json: Json = False) -> None:
    """Show how the master account is set: modes, leverage by symbol, and what the fleet may hold and holds.

    Example: bulkhead master --limit 5

    Args:
        data_dir: the engine's data folder.
        limit: how many symbols; those that the fleet holds most of come first.
        json: print the answer as JSON.
    """
    show(client(data_dir).get("/v1/master", limit=limit), show_ops.master, json=json)


@live
def reconcile(*, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """Compare the accounts' positions with the exchange's, per symbol; exit 1 if they differ.

    Example: bulkhead reconcile
    """
    found = client(data_dir).get("/v1/reconciliation", settle_seconds=5)
    show(found, formats.reconciliation, json=json)
    if any(Decimal(d["difference"]) for d in found):
        sys.exit(1)


@deadletters.command(name="list")
def deadletters_list(
    actor: str | None = None,
    *,
    status: str | None = None,
    limit: int = 20,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json: Json = False,
) -> None:
    """List dead letters, of one actor or of all, newest first.

    Example: bulkhead deadletters list acct-42 --status open
    """
    found = client(data_dir).get("/v1/deadletters", actor=actor, status=status, limit=limit)
    show(found, show_ops.dead_letters, json=json)


@deadletters.command(name="show")
def deadletters_show(number: int, *, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """Show one dead letter: message, error, traceback, the state that it met.

    Example: bulkhead deadletters show 7
    """
    show(client(data_dir).get(path("deadletters", number)), show_ops.dead_letter, json=json)


@deadletters.command(name="replay")
def deadletters_replay(number: int, *, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """Tell the message to its account once more, for example after a fix; only once.

    Example: bulkhead deadletters replay 7
    """
    answer = client(data_dir).post(path("deadletters", number, "replay"))
    told(answer, f"dead letter {number} replayed to {answer['actor']}", json=json)


@deadletters.command(name="drop")
def deadletters_drop(number: int, *, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """Close a dead letter without a replay; it stays readable.

    Example: bulkhead deadletters drop 7
    """
    told(
        client(data_dir).post(path("deadletters", number, "drop")), f"dead letter {number} dropped", json=json
    )
