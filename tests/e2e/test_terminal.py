"""Every command that people read, in a pseudo-terminal of 80 and of 130 columns: exit code, whole words, no traceback.

A new command needs one line in CASES. ``{n}`` is another number each time that the case runs; the
other fields are in ``world``.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import pytest

from actors.api.client import EngineError
from actors.cli import common, main
from tests.e2e.frozen import Frozen
from tests.e2e.processes import EngineProcess, account_bodies, until
from tests.e2e.terminal import CTRL_C, Terminal, cells

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

WIDTHS = (80, 130)
LONG = "customer-0123456789-europe-desk-7-momentum-{n}"
POISONED = "poisoned-account-of-the-europe-desk-{n}"
ODD = "[/b] [red]desk"
"""Markup, in a text: no id can have it."""
FRAME = re.compile(r"[\u2500-\u257f]+")
CHANGING = re.compile(r"\bbh-[0-9a-z]{6}-[0-9a-z]{16}-\d+\b|\d+")


class Case(NamedTuple):
    """A command with its arguments, words that it must show, its exit code."""

    command: str
    shows: str = ""
    code: int = 0
    traceback: bool = False
    deed: bool = False


def deed(*arguments, **more):
    """A command that changes something: each run of it gets names of its own."""
    return Case(*arguments, deed=True, **more)


CASES = {
    "accounts": Case("accounts --limit 50", f"account balance equity positions restarts {LONG}"),
    "positions": Case("positions", f"quantity unrealized liquidation {LONG} BTCUSDT -0.5"),
    "orders": Case(f"orders {LONG}", "what filled status order {resting} WAITING LIMIT 1,500.00"),
    "prices": Case("prices ETHUSDT", "symbol price from age ETHUSDT exchange"),
    "clearing": Case("clearing ETHUSDT", "ETHUSDT clearing RUNNING in flight since the start: block orders"),
    "history": Case(
        f"history {LONG}", "time kind what balance end order cause FILLED STOP_MARKET {resting} FILL DEPOSIT"
    ),
    "alerts": Case(
        "alerts acct-6", "WARNING BREAKER acct-6: breaker open: odd fills, seen by the desk of Europe"
    ),
    "statement": Case(
        f"statement {LONG} --from 2020-01-01 --to 2099-01-01",
        f"ACCOUNT STATEMENT {LONG} Opening balance TRANSFER COMMISSION Closing Trades BTCUSDT entry price",
    ),
    "order": deed(f"order {LONG} buy 0.05 ETHUSDT", "accepted and durable"),
    "cancel": deed(f"cancel {LONG} {{doomed}}", "cancel requested"),
    "create": deed("create a-new-account-of-the-europe-desk-{n} 100", "created"),
    "deposit": deed("deposit acct-1 1{n}", "booked"),
    "freeze": deed("freeze acct-1{n}", "frozen"),
    "unfreeze": deed("unfreeze acct-1{n}", "active"),
    "inspect": Case(
        f"inspect {LONG}", f"{LONG} RUNNING HEALTHY messages state triggers mailbox OrderAccepted"
    ),
    "diff": Case(f"diff {LONG} #0", "before after field balance time cause fact OrderIntended FillApplied"),
    "status": Case(
        "status", "engine fleet new risk open postgres exchange audit line accounts quarantine alarms"
    ),
    "mailbox": Case("mailbox {full}", "lane kind content FaultOnPurpose", traceback=True),
    "trace": Case(f"trace {LONG}", "time took us cause content OrderAccepted OrderClosed"),
    "top": Case("top --once --by ratio --limit 60", f"waiting slowest us margin ratio {LONG}"),
    "tree": Case("tree", "supervisor RUNNING writer gateway {full} QUARANTINED"),
    "crashes": Case("crashes", "FaultInjected FaultOnPurpose"),
    "drop-copy": Case(f"drop-copy {LONG}", f"STATUS OPENED {LONG} ORDER FILL BALANCE ADJUSTED quantity"),
    "stuck": Case("stuck", "acct-5 on_receive ms on"),
    "restart": deed(f"restart {LONG}", f"{LONG}: restarting"),
    "quarantine": deed("quarantine acct-2{n} --reason odd-fills", "in quarantine"),
    "release": deed("release acct-3{n}", "released, no message was waiting"),
    "quarantined": Case("quarantined", f"account since reason {{full}} {ODD}"),
    "why": Case(
        "why {resting}", f"cause account order status {{resting}} {LONG} ACKNOWLEDGED decided: USER accepted"
    ),
    "caused": Case("caused {cause}", "cause account order trades {cause} FILLED"),
    "audit": Case("audit --limit 200", f"time who action detail {LONG} local-operator trip"),
    "stats": Case("stats", "working_orders"),
    "alarms": Case("alarms", f"{{full}} quarantine CRITICAL WARNING {ODD}"),
    "ack": deed("ack {alarm}", "acknowledged: quarantined after"),
    "master": Case("master", "one-way mode BTCUSDT leverage"),
    "reconcile": Case("reconcile", "accounts + house = exchange, for every symbol BTCUSDT difference"),
    "limits": Case(f"limits {LONG}", "limit value comes from meaning max_notional_per_trade 200000"),
    "set-limit": deed("set-limit acct-1 max_positions 1{n}", "max_positions = 1{n}"),
    "unset-limit": deed(
        "unset-limit acct-1 max_positions", "max_positions removed, the inherited value applies again"
    ),
    "mode": deed("mode acct-1 INSTANT_CLOSE", "INSTANT_CLOSE"),
    "risk": Case("risk acct-6", "breaker OPEN losses, 1 refused orders"),
    "book-fee": Case(
        "book-fee acct-1 ETHUSDT 7 --rate 512.5", "FEE_NOT_PENDING no fee of trade 7 is pending", code=1
    ),
    "report": Case(f"report {LONG}", "value drawdown strategy trend exposure"),
    "emergency-stop": deed("emergency-stop acct-4{n}", "everything is being cancelled and closed"),
    "retry": deed("retry acct-1", "retry requested;"),
    "reopen": Case("reopen acct-1 --reason appeal", "rejected: ACCOUNT_NOT_ACTIVE acct-1 is", code=1),
    "closed": Case("closed acct-7", "closed symbol net worst best ETHUSDT why USER"),
    "size": deed(f"size {LONG} BTCUSDT --volatility 0.6", "BTCUSDT notional equity"),
    "deadletters list": Case("deadletters list", "number time actor kind error FaultOnPurpose"),
    "deadletters show": Case("deadletters show {letter}", "message error state traceback", traceback=True),
    "deadletters replay": deed("deadletters replay {lone_letter}", "replayed to"),
    "deadletters drop": deed("deadletters drop {other_letter}", "dropped"),
    "breaker trip": deed("breaker trip acct-5{n}", "breaker open"),
    "breaker reset": deed("breaker reset acct-6", "cool", code=1),
}
DATABASE = {
    f"db {c}" for c in "init check status verify hash rebuild unpark accept-restore adopt archive".split()
}
ELSEWHERE = {
    "capture", "rerun", "deadletters export", "demo", "run", "paper", "replay", "sample-recording", "close",
    "audit verify", "audit show", *DATABASE,
}  # fmt: skip
"""Not asked of a running engine; test_terminal_demo.py, test_time_travel.py, test_audit.py and test_db.py have them.

'close' looks again: test_owner.py."""

WRONG = (
    ("accounts --limit x", "--limit", 2),
    ("accounts --limit 0", ">= 1", 2),
    ("nosuch", "Unknown command", 2),
    ("stop", "freeze, quarantine or emergency-stop ACCOUNT", 2),
    ("close nobody", "there is no account 'nobody'", 2),
    ("close acct-1 ETHUSDT --yes", "acct-1 has no position in ETHUSDT", 2),
    ("order acct-1 long 1 ETHUSDT", "a long position is opened with BUY", 2),
    ("order acct-1 buy 1 ETHUSD", "did you mean ETHUSDT", 1),
    ("history nobody", "there is no account 'nobody'", 2),
    ("history acct-1 --hours 0", "--hours: 0 is not above 0 and at most 87,600", 2),
    ("alerts nobody", "there is no account 'nobody'", 2),
    (
        "statement acct-1 --from today --to 2099-01-01",
        "--from: 'today' is no time; it looks like 2026-11-01",
        2,
    ),
    ("top --every 0", "must be 0.2 to 60", 2),
    ("create", "--account requires an argument", 2),
    ("inspect nobody", "there is no actor 'nobody'", 2),
    ("risk nobody", "there is no account 'nobody'", 2),
    ("positions nobody", "there is no account 'nobody'", 2),
    ("inspect nobody --at now", "the journal has no account 'nobody'", 2),
    ("inspect acct-1 --at 2020-01-01", "acct-1 did not exist then; it begins with", 2),
    ("inspect acct-1 --at 99999999", "is in the future: the journal ends at", 2),
    ("diff acct-7 now #0", "give the earlier one first", 2),
    ("capture nobody", "there is no account 'nobody'", 2),
    ("deadletters export 999999", "there is no dead letter 999999", 2),
    ("trace nobody --follow", "there is no actor 'nobody'", 2),
    ("why nope", "there is no order 'nope'; an id looks like bh-k7m2qx", 2),
    ("prices ETHUSD", "symbol 'ETHUSD' is not traded here; 'bulkhead prices' lists those that are", 2),
    ("clearing ETHUSD", "there is no symbol 'ETHUSD'; did you mean ETHUSDT?", 2),
    ("orders", "give an account, or --waiting", 2),
    ("drop-copy nobody", "there is no account 'nobody'", 2),
    ("drop-copy --after x", "'x' is no place in the journal", 2),
    ("drop-copy --after 99999999", "is in the future: the journal ends at", 2),
    ("drop-copy --kinds fills", "'fills' is none of ORDER", 2),
    ("deadletters show 999999", "there is no dead letter 999999", 2),
    ("order acct-1 buy x BTCUSDT", "'x' is not a decimal number", 2),
    ("order acct-1 buy 1 NOSUCHUSDT", "UNKNOWN_SYMBOL", 1),
    ("deposit acct-1 nan", "amount: 'nan' is not a finite number", 2),
    ("deposit acct-1 1_000", "'1_000' is not a decimal number in plain digits", 2),
    ("deposit acct-1 1e40", "'1e40' has more than 18 digits", 2),
    ("create acct-nan nan", "deposit: 'nan' is not a finite number", 2),
    ("create a/b 5", "'a/b' cannot be an id", 2),
    ("ack 999999", "there is no alarm 999999", 2),
    ("size acct-1 BTCUSDT --volatility 0.6 --signal 7", "7", 2),
    ("mode acct-1 X", "INSTANT_CLOSE", 2),
    ("set-limit acct-1 max_positions 0", "max_positions", 1),
)


def commands(app, before=()):
    """Every command of the command line, as it is typed."""
    for name in app:
        if not name.startswith("-"):
            inner = [n for n in app[name] if not n.startswith("-")]
            if not inner or app[name].default_command is not None:
                yield " ".join((*before, name))
            if inner:
                yield from commands(app[name], (*before, name))


def test_every_command_has_a_case():
    known = set(CASES) | ELSEWHERE
    assert set(commands(main.app)) == known, "a command needs one line in CASES"


@pytest.fixture(scope="module")
def engine(paper, tmp_path_factory):
    process = EngineProcess(paper, tmp_path_factory.mktemp("terminal"))
    yield process
    process.stop()


@pytest.fixture(scope="module")
def world(engine):
    """Everything that an operator may meet, and the names of it for the n-th run of a case."""
    client = engine.client
    wide = [f"acct-{n}" for n in (1, 4, 5, 6, 7)]
    tens = [f"acct-{ten}{n}" for ten in range(1, 7) for n in range(1, 4)]
    bodies = account_bodies(0)
    for name in (
        *wide,
        *tens,
        "acct-odd",
        *(LONG.format(n=n) for n in range(1, 4)),
        *(POISONED.format(n=n) for n in range(1, 4)),
    ):
        bodies += [{**account_bodies(1, deposit="250000")[0], "account_id": name}]
    client.post("/v1/accounts", bodies)
    until(lambda: place(client, "acct-7", "ETHUSDT", "0.05")["type"] == "Accepted", "prices")
    until(lambda: client.get("/v1/accounts/acct-7")["positions"], "a position")
    assert place(client, "acct-7", "ETHUSDT", "0.05", side="SELL")["type"] == "Accepted"
    found = [{} for _ in range(3)]
    for n, names in enumerate(found, 1):
        names["n"] = n
        _fill(client, LONG.format(n=n), names)
    client.post("/v1/accounts/acct-6/breaker", {"reason": "odd fills, seen by the desk of Europe"})
    refused = place(client, "acct-6", "ETHUSDT", "0.05")
    assert refused["type"] != "Accepted"
    client.post("/v1/accounts/acct-5/fault", {"reason": "hang", "hang_ms": 1_500})
    for name in (f"acct-3{n}" for n in range(1, 4)):
        client.post(f"/v1/accounts/{name}/quarantine", {"reason": "to be released"})
    client.post("/v1/accounts/acct-odd/quarantine", {"reason": ODD})
    _quarantine(client, found)
    until(lambda: client.get("/v1/stuck"), "the watchdog")
    until(lambda: not client.get("/v1/health")["closed_by"], "the gate to open")
    until(lambda: client.get("/v1/accounts/acct-7/closed"), "a closed position")
    return found


def place(client, account, symbol, quantity, **changes):
    body = {"symbol": symbol, "side": "BUY", "quantity": quantity, "leverage": "5", **changes}
    return client.post(f"/v1/accounts/{account}/orders", body)


def _fill(client, account, names):
    """Positions, a conditional order, one that rests, the cause of one that filled."""
    client.post(f"/v1/accounts/{account}/limits", {"changes": {"max_notional_per_trade": "200000"}})
    client.post(f"/v1/accounts/{account}/limits", {"changes": {"max_price_deviation": "0.5"}})
    sold = place(client, account, "BTCUSDT", "0.5", side="SELL", strategy="trend")
    assert sold["type"] == "Accepted", sold
    until(lambda: client.get(f"/v1/accounts/{account}")["positions"], "a position")
    names["cause"] = client.get(f"/v1/orders/{sold['client_order_id']}")["cause"]
    stop = place(
        client, account, "BTCUSDT", "0.5", order_type="STOP_MARKET", trigger_price="90000", reduce_only=True
    )
    assert stop["type"] == "Accepted", stop
    for name in ("resting", "doomed"):
        order = place(client, account, "ETHUSDT", "1", order_type="LIMIT", price="1500")
        assert order["type"] == "Accepted", order
        names[name] = order["client_order_id"]
        address = f"/v1/orders/{names[name]}"
        until(lambda a=address: client.get(a)["status"] == "ACKNOWLEDGED", "it to rest")


def _quarantine(client, found):
    """Crashes, dead letters, mailboxes that nobody empties."""
    for n, names in enumerate(found, 1):
        client.post(f"/v1/accounts/acct-6{n}/fault", {"reason": "once"})
        until(lambda a=f"acct-6{n}": client.get("/v1/deadletters", actor=a), "a dead letter")
        names["lone_letter"] = client.get("/v1/deadletters", actor=f"acct-6{n}")[0]["dead_letter_id"]
        names["full"] = POISONED.format(n=1)
        for k in range(7):
            client.post(f"/v1/accounts/{POISONED.format(n=n)}/fault", {"reason": f"poison {k} of the desk"})
    for n, names in enumerate(found, 1):
        account = POISONED.format(n=n)
        until(
            lambda a=account: client.get(f"/v1/actors/{a}")["snapshot"]["status"] == "QUARANTINED",
            "quarantine",
        )
        letters = until(
            lambda a=account: (x := client.get("/v1/deadletters", actor=a, limit=50)) and len(x) > 1 and x,
            "dead letters",
        )
        names["alarm"] = next(
            a["alarm_id"]
            for a in client.get("/v1/alarms")
            if account in a["text"] and "quarantined after" in a["text"]
        )
        names["letter"], names["other_letter"] = (x["dead_letter_id"] for x in letters[:2])


@pytest.fixture(scope="module")
def frozen(engine, world, tmp_path_factory):
    stand_in = Frozen(engine.client, tmp_path_factory.mktemp("frozen"))
    yield stand_in
    stand_in.stop()


def wide(arguments):
    """What a command prints where there is room for all of it, in this process."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        for console in (common.out, common.err):
            patch.setattr(console, "_width", 10_000)
            patch.setattr(console, "soft_wrap", True)
        try:
            main.app(arguments, exit_on_error=False)
        except SystemExit as ended:
            code = ended.code
    return code or 0, out.getvalue() + err.getvalue()


def arguments_of(case, names, folder):
    """The command line of a case, one list; a name with spaces stays one argument."""
    return [*(word.format(**names) for word in case.command.split()), "--data-dir", str(folder)]


def words(text, *, alike=False):
    """Words without frames; ``alike`` makes all numbers one, where each run has its own."""
    found = FRAME.sub(" ", text).split()
    return [CHANGING.sub("0", word) for word in found] if alike else found


def broken(text, everything, columns, *, alike=False):
    """Words that the wide output does not have; what is wider than the terminal may be broken."""
    whole = set(words(everything, alike=alike))
    huge = [word for word in whole if cells(word) > columns - 8]
    return [w for w in words(text, alike=alike) if w not in whole and not any(w in word for word in huge)]


@pytest.mark.parametrize("name", CASES)
def test_words_stay_whole_at_80_and_at_130_columns(name, world, frozen):
    case = CASES[name]

    def at(run):
        names, columns = world[run if case.deed else 2], WIDTHS[run]
        with Terminal(*arguments_of(case, names, frozen.folder), columns=columns) as terminal:
            return terminal.wait(), terminal

    with ThreadPoolExecutor(2) as pool:
        seen = list(pool.map(at, range(len(WIDTHS))))
    code, everything = wide(arguments_of(case, world[2], frozen.folder))
    assert code == case.code, everything
    for run, (columns, (exit_code, terminal)) in enumerate(zip(WIDTHS, seen, strict=True)):
        assert exit_code == case.code, terminal.text
        assert "cli.py" not in terminal.text, terminal.text
        assert case.traceback or "Traceback" not in terminal.text or name in {"inspect", "crashes"}
        assert "\u2026" not in terminal.text, terminal.shown()
        assert terminal.too_wide() == [], columns
        assert broken(terminal.text, everything, columns, alike=case.deed) == [], terminal.shown()
        flat = " ".join(FRAME.sub(" ", terminal.text).split())
        for word in case.shows.format(**world[run if case.deed else 2]).split(" "):
            assert word in flat, f"{word!r} at {columns} columns:\n{terminal.shown()}"


@pytest.mark.parametrize(("line", "text", "code"), WRONG)
def test_what_is_wrong_is_said_in_a_few_lines(line, text, code, world, engine, frozen):
    with Terminal(*line.split(), "--data-dir", frozen.folder) as terminal:
        assert terminal.wait() == code, terminal.text
    said = [x for x in FRAME.sub("", terminal.text).split("\n") if x.strip() and x.strip() != "Error"]
    assert len(said) <= 3, terminal.text
    assert text in " ".join(" ".join(said).split())
    assert "Traceback" not in terminal.text
    assert "500" not in terminal.text
    assert terminal.too_wide() == []


def test_without_an_engine_every_command_says_so_in_a_few_lines(tmp_path):
    with Terminal("accounts", "--data-dir", "nowhere", cwd=tmp_path) as terminal:
        assert terminal.wait() == 2
    assert len(terminal.text.strip().split("\n")) <= 2, terminal.text
    assert "no engine runs on nowhere" in terminal.text
    (tmp_path / "api.json").write_text(json.dumps({"url": "http://127.0.0.1:9", "token": "t", "pid": 1}))
    with Terminal("accounts", "--data-dir", ".", cwd=tmp_path) as terminal:
        assert terminal.wait() == 2
    assert len(terminal.text.strip().split("\n")) <= 2, terminal.text
    assert "does not answer" in terminal.text


@pytest.mark.parametrize("columns", [40, 20])
@pytest.mark.parametrize(
    "command", ["accounts", "positions", "limits acct-1", "tree", "audit", "closed acct-7"]
)
def test_a_narrow_terminal_shows_it_all_the_same(columns, command, world, frozen):
    with Terminal(*command.split(), "--data-dir", frozen.folder, columns=columns) as terminal:
        assert terminal.wait() == 0, terminal.text
    assert terminal.too_wide() == []
    assert "\u2026" not in terminal.text
    narrow = "".join(FRAME.sub("", terminal.text).split())
    assert words(narrow) != []


def test_columns_set_by_hand_count(world, frozen):
    with Terminal("accounts", "--data-dir", frozen.folder, columns=130, COLUMNS="60") as terminal:
        assert terminal.wait() == 0
    assert max(map(cells, terminal.lines)) <= 60


@pytest.mark.parametrize("environment", [{"TERM": "dumb"}, {"NO_COLOR": "1"}])
def test_without_colours_nothing_but_text_is_written(environment, world, frozen):
    with Terminal("tree", "--data-dir", frozen.folder, **environment) as terminal:
        assert terminal.wait() == 0
    assert "supervisor RUNNING" in terminal.text
    assert not re.search(rb"\x1b\[[0-9;]*3[0-7]", terminal.raw), "no colour"
    if environment.get("TERM") == "dumb":
        assert b"\x1b" not in terminal.raw


def test_a_follower_ends_with_ctrl_c(world, engine):
    folder = engine.child.args[engine.child.args.index("--data-dir") + 1]
    account = LONG.format(n=1)
    with Terminal("trace", account, "--follow", "--data-dir", folder) as terminal:

        def seen():
            engine.client.post(f"/v1/accounts/{account}/balance", {"amount": "1"})
            return account in terminal.text or "AdjustBalance" in terminal.text or " us " in terminal.text

        until(seen, "a message")
        terminal.type(CTRL_C)
        assert terminal.wait(20) == 130
    assert "Traceback" not in terminal.text
    assert terminal.too_wide() == []


def test_a_reader_that_has_enough_ends_it_in_silence(world, engine, tmp_path):
    folder = engine.child.args[engine.child.args.index("--data-dir") + 1]
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "actors.cli", "limits", "acct-1", "--data-dir", str(folder)],
            stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
        )  # fmt: skip
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_pipe_gets_each_row_in_one_line(world, engine):
    folder = engine.child.args[engine.child.args.index("--data-dir") + 1]
    plain = {k: v for k, v in os.environ.items() if k != "COLUMNS"}
    done = subprocess.run(
        [sys.executable, "-m", "actors.cli", "accounts", "--limit", "100", "--data-dir", str(folder)],
        capture_output=True, text=True, timeout=60, check=True, env=plain,
    )  # fmt: skip
    [line] = [line for line in done.stdout.split("\n") if LONG.format(n=1) in line]
    assert "RUNNING" in line
    assert line.count("\u2502") == 11


def test_an_account_of_a_name_that_cannot_be_is_no_traceback(engine):
    with pytest.raises(EngineError, match="cannot be an id"):
        engine.client.post("/v1/accounts", [{"account_id": "a\nb", "deposit": "1"}])
