"""The command of drop copies: what it asks for, and how events look."""

from __future__ import annotations

import json

import pytest

from actors.cli import drop_copy
from actors.core.errors import BadInput

ORDER = {
    "id": "4-0", "position": 4, "account": "acct-1", "wall_ms": 1_700_000_000_000, "cause": "api:ann:1", "kind": "ORDER",
    "client_order_id": "bh-1", "symbol": "ETHUSDT", "quantity": "0.5", "price": None, "reduce_only": True, "tier": 0,
    "strategy": "", "possible_resend": True,
}  # fmt: skip
BALANCE = {
    "id": "5-1", "position": 5, "account": "[red]x\x1b[2J", "wall_ms": 1_700_000_000_000, "cause": "", "kind": "BALANCE",
    "action": "ADJUSTED", "amount": "1000", "reason": "\x1b]0;title\x07", "possible_resend": False,
}  # fmt: skip


@pytest.fixture
def asked(monkeypatch):
    """What the command asks its client for."""
    found = []

    class Client:
        after, root = "5-1", "5:00"

        def events(self, *, follow):
            found.append(follow)
            yield from (ORDER, BALANCE)

    def client_of(data_dir, accounts, kinds, after, note, roots):
        found.append((accounts, kinds, after, *roots))
        note("the connection was lost")
        return Client()

    monkeypatch.setattr(drop_copy, "client_of", client_of)
    return found


@pytest.mark.parametrize(
    ("line", "request_", "follow"),
    [
        ("drop-copy", ((), [], "0"), False),
        ("drop-copy --follow", ((), [], "now"), True),
        ("drop-copy a b --kinds fill,order --after 7-1", (("a", "b"), ["fill", "order"], "7-1"), False),
        ("drop-copy --after 7-1 --root 8:ab --root 2:cd", ((), [], "7-1", "8:ab", "2:cd"), False),
        # Empty is no default: the last id of a program that lost it, a list of kinds that nobody filled.
        ("drop-copy --follow --after ''", ((), [], ""), True),
        ("drop-copy --kinds ,", ((), ["", ""], "0"), False),
        ("drop-copy --kinds ''", ((), [""], "0"), False),
    ],
)
def test_what_it_asks_for(line, request_, follow, asked, cli):
    shown = cli(line)
    assert asked == [request_, follow]
    assert "-- the connection was lost" in shown.err


def test_an_event_is_a_line_and_what_is_empty_is_left_out(asked, cli):
    first, second = cli("drop-copy").out.splitlines()
    assert first == (
        "4-0       2023-11-14 22:13:20.000  acct-1  ORDER  client_order_id=bh-1  symbol=ETHUSDT  quantity=0.5  "
        "reduce_only=yes"
    )
    assert second.startswith("5-1       2023-11-14 22:13:20.000  [red]x")
    assert "BALANCE ADJUSTED  amount=1000  reason=" in second
    assert "\x1b" not in second


def test_json_is_a_line_for_each_event_as_it_came(asked, cli):
    assert [json.loads(line) for line in cli("drop-copy --json").out.splitlines()] == [ORDER, BALANCE]


def test_no_engine_is_said(cli, tmp_path):
    shown = cli(f"drop-copy --data-dir {tmp_path}")
    assert shown.code == 2
    assert "no engine runs on" in shown.err
    with pytest.raises(BadInput):
        drop_copy.client_of(tmp_path, (), [], "x", print, ())
