"""CSV for spreadsheets: what somebody wrote as a tag or a reason is shown there, and not run."""

from __future__ import annotations

import csv
import io

import pytest

from actors.cli import history_tables, statement_page
from actors.cli.spreadsheet import cell, csv_text

EVIL = "=cmd|' /C calc'!A0"


@pytest.mark.parametrize(
    "text", [EVIL, "+1+2", "-2+3", "@SUM(A1)", "\tx", "\r=1", "=", "-", "\uff1d1", "-1e5", "-x", "+\u0661"]
)
def test_a_formula_is_text(text):
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize(
    "value", ["-1.34", "+5", "0", "-0.000000000000000001", "acct-1", "bh-1", "", None, 7, -7, "1-0", "a=b"]
)
def test_numbers_and_other_texts_are_as_they_are(value):
    assert cell(value) == value


def test_rows_are_read_as_they_were_written():
    rows = [["a", 'say "x", y'], ["two\nlines", "-5.0"]]
    assert list(csv.reader(io.StringIO(csv_text(rows)))) == rows


def test_histories_and_statements_have_no_formula(capsys):
    history_tables.csv_of(
        [{"at_ms": 0, "strategy": EVIL, "amount": "-5", "cause": "+x"}], ["strategy", "amount", "cause"]
    )
    entry = dict.fromkeys(statement_page.COLUMNS, "") | {
        "at_ms": 0,
        "info": EVIL,
        "amount": "-5",
        "balance": "-5",
    }
    statement_page.csv_of({"from_ms": 0, "to_ms": 1, "opening": "0", "closing": "-5", "entries": [entry]})
    cells = [value for row in csv.reader(io.StringIO(capsys.readouterr().out)) for value in row]
    assert cells.count(f"'{EVIL}") == 2
    assert cells.count("-5") == 4
    assert "'+x" in cells
    assert not [value for value in cells if value.startswith(("=", "+"))]
