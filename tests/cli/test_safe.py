"""Text from outside reaches a terminal as text: no markup, no escape sequence, nothing that turns or hides a line."""

from __future__ import annotations

import io
import json
import sys

import pytest
from rich.cells import cell_len
from rich.text import Text

from actors.cli import (
    accounts_tables,
    actors_tables,
    common,
    deadletters,
    engine_tables,
    history_tables,
    limits,
    orders_tables,
    quarantine,
)
from actors.cli.common import Terminal
from actors.cli.safe import escaped, safe
from actors.cli.table import Sheet

ESC = "\x1b[31m\x1b]0;owned\x07\x9b2J\r\b\x7f\u202e\u2066\u200b\u2028"
HOSTILE = f"[/] [red]desk[/red] :smile: {ESC}"
CONTROL = [c for c in map(chr, [*range(32), *range(0x7F, 0xA0)]) if c not in "\n\t"]


class Person(io.StringIO):
    """A terminal."""

    def isatty(self):
        return True


@pytest.fixture
def shown(monkeypatch):
    """What is printed, in a terminal of 80 columns that knows no colours."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")

    def of(call, found):
        stream = Person()
        monkeypatch.setattr(sys, "stdout", stream)
        call(found, Terminal())
        return stream.getvalue()

    return of


def hostile(value):
    """An answer of the engine, whose every text is hostile but those that are numbers or times."""
    if isinstance(value, dict):
        return {k: hostile(v) for k, v in value.items()}
    if isinstance(value, list):
        return [hostile(v) for v in value]
    return HOSTILE if value == "x" else value


SNAPSHOT = {
    "name": "x", "kind": "x", "status": "x", "restarts": 1,
    "counters": {"accepted": 1, "queued": 2}, "busy_with": {"kind": "x", "age_ms": 1.0, "lane": "x", "cause": "x", "content": "x"},
    "mailbox": [{"lane": "x", "kind": "x", "age_ms": 1.0, "cause": "x", "content": "x"}],
    "trace": [{"kind": "x", "age_ms": 1.0, "took_us": 1.0, "cause": "x", "content": "x", "at_ms": 1}],
    "crashes": [{"wall_ms": 1, "error": "x", "message": "x", "traceback": "x", "message_kind": "x", "where": "x"}],
}  # fmt: skip
ORDER = {
    "cause": "x", "account_id": "x", "client_order_id": "x", "purpose": "x", "tier": 1, "side": "x", "quantity": "1",
    "symbol": "x", "order_type": "x", "filled": "1", "status": "x", "trade_ids": [1], "end": "x", "became": "x",
    "decided_ms": 1, "end_code": None, "end_reason": "x",
}  # fmt: skip


def _actor(found, out):
    actors_tables.actor(found, None, out, limits=True)


TABLES = {
    "accounts": (accounts_tables.accounts, [{
        "account_id": "x", "status": "x", "phase": "x", "actor": "x", "balance": "1", "equity": None, "available": "1",
        "margin_ratio": None, "positions": [], "restarts": 0,
    }]),
    "actor": (_actor, {
        "snapshot": SNAPSHOT, "state": {"x": "x", "limits": {"max": "x"}}, "triggers": [{"symbol": "x", "below": True, "price": 1.0}],
        "every_tick": ["x"], "guard": SNAPSHOT, "guarded_state": None, "wall_ms": 1_700_000_000_000,
    }),
    "mailbox": (actors_tables.mailbox, SNAPSHOT),
    "alarms": (engine_tables.alarms, [{
        "alarm_id": 1, "at_ms": 1, "text": "x", "level": "x", "count": 2, "first_ms": 1, "over_ms": 1, "acknowledged_by": "x",
    }]),
    "top": (actors_tables.top, [{
        "name": "x", "kind": "x", "status": "x", "depth": 1, "oldest_ms": 1.0, "slowest_turn_us": 1.0, "restarts": 1, "margin_ratio": None,
    }]),
    "tree": (actors_tables.tree, {
        "name": "x", "status": "x", "strategy": "x", "group": "x", "restarts": 1, "last_error": "x", "counts": {}, "children": [],
    }),
    "crashes": (actors_tables.crashes, [{"actor": "x", "report": SNAPSHOT["crashes"][0]}]),
    "stuck": (actors_tables.stuck, [{"wall_ms": 1, "actor": "x", "dispatcher": "x", "for_ms": 1.0, "message": "x", "stack": "x"}]),
    "quarantined": (quarantine.quarantined_table, [{"account_id": "x", "since_ms": 1, "reason": "x"}]),
    "dead letters": (deadletters.dead_letters_table, [{
        "dead_letter_id": 1, "at_ms": 1, "actor": "x", "message_kind": "x", "status": "x", "error": "x",
    }]),
    "dead letter": (deadletters.dead_letter_table, {
        "dead_letter_id": 1, "at_ms": 1, "actor": "x", "status": "x", "resolved_by": "x", "resolved_ms": 1, "payload": "x",
        "message": "x", "error": "x", "state": "x", "traceback": "x",
    }),
    "caused": (orders_tables.caused, [ORDER]),
    "audit": (engine_tables.audit, [{"at_ms": 1, "who": "x", "action": "x", "target": "x", "detail": "x"}]),
    "followed": (actors_tables.followed, {"took_us": 1.0, "kind": "x", "cause": "x", "content": "x", "at_ms": 1}),
    "limits": (limits.limits_table, [{"name": "x", "value": "x", "source": "x", "unit": "x", "text": "x"}]),
    "reconciliation": (engine_tables.reconciliation, [{"symbol": "x", "virtual": "1", "house": "0", "in_flight": "0", "master": "0", "difference": "1"}]),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLES)
def test_no_text_from_outside_is_markup_or_a_control_character(name, shown):
    table, found = TABLES[name]
    text = shown(table, hostile(found))
    assert not [c for c in CONTROL if c in text], text
    assert not [c for c in "\u202e\u2066\u200b\u2028" if c in text], text
    assert "[/]" in text
    assert "[red]desk[/red]" in text
    assert "\N{SYMBOL FOR ESCAPE}" in text
    assert max(cell_len(line) for line in text.split("\n")) <= 80


def test_a_character_is_replaced_by_one_so_that_widths_and_styles_stay():
    assert safe("a\x1bb\x00\x9b\u202e\n\tc名") == "a␛b␀\ufffd\ufffd\n\tc名"
    text = Text("a\x1bred", "red")
    assert len(safe(text.plain)) == len(text.plain)
    assert safe("plain") == "plain"


def test_the_terminal_itself_is_the_last_barrier(shown):
    assert shown(lambda found, out: out.print(found), HOSTILE).startswith("[/] [red]desk[/red] :smile: ␛[31m")
    assert "␛" in shown(lambda found, out: out.print(Text.assemble((found, "bold"))), HOSTILE)
    sheet = Sheet("a", title=HOSTILE)
    sheet.add_row("1")
    assert "[/]" in shown(lambda _found, out: out.print(sheet), None)


@pytest.mark.parametrize(
    "text", ["\n\t plain", "\r\x0b\x1c\x85\u2028\u2029\ud800", "名\U000e0041é~\x7f\x1f ", "\xa0\xad"]
)
def test_it_is_the_same_as_one_character_after_the_other(text):
    assert safe(text) == "".join(c if c.isprintable() or c in "\n\t" else safe(c) for c in text)
    assert all(c.isprintable() or c in "\n\t" for c in safe(text) + escaped(text))


def test_what_may_be_long_is_written_without_being_laid_out(monkeypatch):
    """A history of a hundred thousand lines took gigabytes: rich keeps a style for each word of JSON."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(common, "out", Terminal())
    monkeypatch.setattr(Terminal, "print", None)
    found = [{"name": HOSTILE, "n": n} for n in range(1_000)]
    common.print_json(found)
    assert json.loads(stream.getvalue()) == found
    history_tables.console.write("a\x1b[2J,b\n")
    assert "\x1b" not in stream.getvalue()


def test_json_is_whole_and_safe(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    found = {"name": HOSTILE + "名\U000e0041"}
    monkeypatch.setattr(common, "out", Terminal())
    for call in (common.print_json, common.print_json_line):
        stream.truncate(0)
        stream.seek(0)
        call(found)
        text = stream.getvalue()
        assert json.loads(text) == found
        assert not [c for c in CONTROL if c in text]
        assert "\u202e" not in text
        assert "名" in text
