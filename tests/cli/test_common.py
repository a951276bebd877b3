"""What commands share: paths, and how answers are printed."""

from __future__ import annotations

import io
import json

import pytest

from actors.cli import common
from actors.core.errors import BadInput
from tests.cli.fake_engine import ACCEPTED


@pytest.fixture
def wide(monkeypatch):
    for console in (common.out, common.err):
        monkeypatch.setattr(console, "_width", 200)


def test_a_part_of_a_path_stays_one_part():
    assert common.path("accounts", "acct-1", "orders", 7) == "/v1/accounts/acct-1/orders/7"
    assert common.path("accounts", "a/b ?#%") == "/v1/accounts/a%2Fb%20%3F%23%25"


@pytest.mark.parametrize("part", ["", ".", ".."])
def test_a_part_that_would_make_it_another_path_is_refused(part):
    with pytest.raises(BadInput, match="name"):
        common.path("accounts", part, "close-out")


@pytest.mark.parametrize(
    "line",
    [
        "emergency-stop {}", "emergency-stop {} --call-off", "freeze {}", "cancel acct-1 {}", "close {} --yes", "orders {}",
        "restart {}", "clearing {}", "why {}", "caused {}", "statement {} --from 2026-01-01 --to 2026-02-01", "capture {}",
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["''", ".."])
def test_a_name_that_is_none_asks_nothing_of_all(line, name, engine, cli):
    """httpx makes POST /v1/close-out of /v1/accounts/../close-out: an emergency stop of everybody."""
    ran = cli(line.format(name))
    assert (ran.code, engine.requests) == (2, [])
    assert "name" in ran.err


@pytest.mark.parametrize(
    "line",
    [
        "run --dsn ''", "db status ''", "db adopt ''", "db adopt '' --undo", "history --dsn ''", "alerts --dsn ''",
        "statement a --from 2026-01-01 --to 2026-02-01 --dsn ''", "diff a now --dsn ''", "inspect a --at now --dsn ' '",
        "audit verify --against-journal --dsn ''",
    ],
)  # fmt: skip
def test_an_empty_dsn_is_not_the_embedded_database(line, engine, cli, tmp_path):
    """As of a variable that is not set: what was meant is another database."""
    ran = cli(f"{line} --data-dir {tmp_path}")
    assert ran.code == 2
    assert "the DSN is empty" in ran.err
    assert not list(tmp_path.iterdir())


def test_an_empty_symbol_is_not_all_symbols(engine, cli):
    ran = cli("history acct-1 --symbol ''")
    assert (ran.code, engine.requests) == (2, [])
    assert "--symbol: '' says nothing" in ran.err


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (ACCEPTED, "done\n"),
        ({**ACCEPTED, "client_order_id": "bh-1"}, "bh-1 done\n"),
        ({"type": "Pending", "message": "Postgres is away"}, "Postgres is away\n"),
        (
            {**ACCEPTED, "house": {"quantity": "0.001", "symbol": "ETHUSDT", "price": "1500", "fee": "0.1"}},
            "closed: 0.001 ETHUSDT is too small for the exchange, so the house took it at 1500 for a fee of 0.1\n",
        ),
    ],
)
def test_an_outcome_is_one_line(answer, text, wide, capsys):
    common.print_outcome(answer, "done", json=False)
    assert capsys.readouterr() == (text, "")
    common.print_outcome(answer, "done", json=True)
    assert json.loads(capsys.readouterr().out) == answer


@pytest.mark.parametrize("as_json", [True, False])
def test_a_refused_command_ends_with_1(as_json, wide, capsys):
    answer = {"type": "Rejected", "rejections": [{"code": "NO_PRICE", "text": "[/] none"}]}
    with pytest.raises(SystemExit) as ended:
        common.print_outcome(answer, "done", json=as_json)
    assert ended.value.code == 1
    shown = capsys.readouterr()
    if as_json:
        assert json.loads(shown.out) == answer
    else:
        assert shown == ("", "rejected: NO_PRICE: [/] none\n")


def test_an_answer_is_a_table_or_json(wide, capsys):
    def table(found, out):
        out.print(f"table of {found['n']}")

    common.print_answer({"n": 1}, table, json=False)
    assert capsys.readouterr().out == "table of 1\n"
    common.print_answer({"n": 1}, table, json=True)
    assert json.loads(capsys.readouterr().out) == {"n": 1}
    common.print_done({"n": 1}, "text", json=False)
    assert capsys.readouterr().out == "text\n"
    common.print_done({"n": 1}, "text", json=True)
    assert json.loads(capsys.readouterr().out) == {"n": 1}


def test_no_engine_is_an_error_of_ours(tmp_path):
    with pytest.raises(BadInput, match="no engine runs on"):
        common.client(tmp_path)


class Stream(io.StringIO):
    def __init__(self, *, person):
        super().__init__()
        self.isatty = lambda: person


@pytest.mark.parametrize(
    ("person", "columns", "width"),
    [(False, None, common.PIPE_WIDTH), (False, "60", 60), (True, "60", 60)],
)
def test_a_pipe_has_the_width_of_a_row_unless_columns_are_set(person, columns, width, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns:
        monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr("sys.stdout", Stream(person=person))
    terminal = common.Terminal()
    assert (terminal.width, terminal.soft_wrap) == (width, not person)
