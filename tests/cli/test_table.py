"""Tables of the command line: every word whole at every width, nothing left out, no markup in names."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from actors.cli.table import WHOLE, Sheet, fitted, least_width, packed

LINES = str.maketrans(dict.fromkeys("┏┓┗┛┃━┡┩╇┳┻│└┘┴─├┤┼", " "))


def drawn(sheet, width):
    out = io.StringIO()
    Console(file=out, width=width, emoji=False).print(sheet)
    return out.getvalue()


def words(text):
    return text.translate(LINES).split()


def sheet_of(rows, *columns):
    sheet = Sheet(*columns)
    for row in rows:
        sheet.add_row(*row)
    return sheet


ACCOUNTS = [
    ("acct-1", "ACTIVE", "RUNNING", "250,000.00", "249,972.56", "0.0008"),
    ("customer-0123456789-europe-desk", "FROZEN", "QUARANTINED", "1.00", "no price", ""),
]
COLUMNS = ("account", "status", "actor", "Balance", "Equity", "Ratio")


@pytest.mark.parametrize("width", [32, 40, 60, 79, 80, 81, 90, 100, 130, 400])
def test_every_word_is_whole_and_none_is_missing(width):
    text = drawn(sheet_of(ACCOUNTS, *COLUMNS), width)
    assert max(cell_len(line) for line in text.split("\n")) <= width
    cells = [word for row in ACCOUNTS for cell in row for word in cell.split()]
    found = words(text)
    for word in {*cells, *(column.lower() for column in COLUMNS)}:
        assert found.count(word) >= cells.count(word), f"{word}\n{text}"
    assert set(found) <= {*cells, *(column.lower() for column in COLUMNS)}


def test_what_fits_is_a_table_and_what_does_not_is_stacked():
    sheet = sheet_of(ACCOUNTS, *COLUMNS)
    wide, narrow = drawn(sheet, 130), drawn(sheet, 60)
    assert len([line for line in wide.split("\n") if "acct-1" in line and "0.0008" in line]) == 1
    assert "┃ account" in wide
    assert narrow.split("\n")[0].split() == ["account", "status", "actor"]
    assert "  balance 250,000.00  equity 249,972.56  ratio 0.0008" in narrow
    assert "  balance 1.00  equity no price\n" in narrow, "an empty cell is not named"


@pytest.mark.parametrize("name", ["[/]", "[red]desk", ":smile:", "名前-1", "a b", "x\\"])
@pytest.mark.parametrize("width", [24, 80])
def test_a_name_is_text_and_never_markup(name, width):
    assert name in drawn(
        sheet_of([(name, "ACTIVE", "1")], "account", "status", "Balance of the account"), width
    )


def test_prose_wraps_between_words_before_anything_is_stacked():
    prose = "the breaker opened after three losses in a row of this strategy"
    text = drawn(sheet_of([("acct-1", prose)], "account", "reason"), 50)
    assert "┃ account" in text
    assert set(words(text)) == {"account", "reason", "acct-1", *prose.split()}
    assert len(text.strip().split("\n")) > 5


def test_a_word_wider_than_the_terminal_is_folded_not_cut():
    name = "x" * 100
    text = drawn(sheet_of([(name, "ACTIVE")], "account", "status"), 40)
    assert "\u2026" not in text
    assert "".join(words(text)).count("x") == 100
    assert "ACTIVE" in text


@given(
    st.lists(st.lists(st.text("ab ,.1", max_size=40), min_size=3, max_size=3), max_size=4),
    st.integers(10, 120),
)
def test_no_line_is_wider_than_the_terminal(rows, width):
    text = drawn(sheet_of(rows, "one", "two", "Three"), width)
    assert max(cell_len(line) for line in text.split("\n")) <= width
    assert "\u2026" not in text
    assert sum(map(text.count, "ab1")) >= sum(cell.count(c) for row in rows for cell in row for c in "ab1")


def test_a_row_of_another_length_is_refused():
    with pytest.raises(ValueError, match="2 cells for 1 columns"):
        Sheet("one").add_row("a", "b")


def test_widths():
    assert fitted([(3, 3), (4, 30)], 3 + 4 + 6 + 1) == [3, 4]
    assert fitted([(3, 3), (4, 30)], 3 + 4 + 6) is None
    assert fitted([(3, 3), (4, 30)], 100) == [3, 30]
    assert fitted([(3, 9), (4, 30)], 3 + 4 + 7 + 8) == [9, 6]
    assert least_width("2026-11-21 18:05:32.123") == 23
    assert least_width("w" * WHOLE + " x") == WHOLE
    assert least_width("a sentence of many words that may wrap") == WHOLE
    assert least_width("") == 0
    assert [line.plain for line in packed([("a", drawn_text("1")), ("b", drawn_text("22"))], 9)] == [
        "a 1  b 22"
    ]
    assert [line.plain for line in packed([("a", drawn_text("1")), ("b", drawn_text("22"))], 8)] == [
        "a 1",
        "b 22",
    ]


def drawn_text(text):
    from rich.text import Text

    return Text(text)
