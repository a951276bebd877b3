"""CSV that people open in a spreadsheet: no text of it is run as a formula there. Pure."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import Any

FORMULA = re.compile(r"[=+\-@\t\r]|[\uff1d\uff0b\uff0d\uff20]")
"""What a spreadsheet takes for the begin of a formula, also in its wide form."""

NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?", re.ASCII)


def cell(value: Any) -> Any:
    """A value as a cell: an apostrophe before what would be a formula, as spreadsheets themselves write it; never before a number."""
    if isinstance(value, str) and FORMULA.match(value) and not NUMBER.fullmatch(value):
        return f"'{value}"
    return value


def csv_text(rows: Iterable[Sequence[Any]]) -> str:
    """Rows as CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([cell(value) for value in row] for row in rows)
    return text.getvalue()
