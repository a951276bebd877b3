"""One table for everything that the command line shows, at any width, with every word whole.

A table that fits is drawn with its lines. One that does not fit first wraps its columns of
prose between words; what still does not fit is stacked: the first columns stay a table, the others
follow under their row as ``name value``. Nothing is left out, and no word or number is cut
unless it is by itself wider than the terminal. Cells are text, never markup: a name may hold
brackets. Control characters are shown as signs (``actors.cli.safe``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from actors.cli.safe import safe

Cell: TypeAlias = "str | Text"

WHOLE = 24
"""Cells up to this width are never wrapped, in terminal cells: a time with its date is one thing."""
BORDER = 3
"""What a drawn column costs beside its content, in terminal cells."""
GAP = "  "
INDENT = 2


class Sheet:
    """Rows under named columns, for ``Console.print``.

    Args:
        columns: their names; a name that begins with a capital marks a column of numbers, right-aligned.
        title: shown above.
    """

    def __init__(self, *columns: str, title: str | None = None) -> None:
        self.title = None if title is None else safe(title)
        self.names = [column.lower() for column in columns]
        self.numbers = [not column[0].islower() for column in columns]
        self.rows: list[list[Text]] = []

    def add_row(self, *cells: Cell) -> None:
        """Add a row.

        Raises:
            ValueError: not one cell per column.
        """
        if len(cells) != len(self.names):
            raise ValueError(f"{len(cells)} cells for {len(self.names)} columns")
        self.rows.append([_visible(cell) for cell in cells])

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it, as a table or stacked."""
        widths = fitted(self._needs(), options.max_width)
        if widths is not None:
            yield self._table(widths)
        else:
            yield from self._stacked(options.max_width)

    def _needs(self) -> list[tuple[int, int]]:
        """Least and natural width of each column, in terminal cells."""
        found = []
        for index, name in enumerate(self.names):
            cells = [row[index].plain for row in self.rows]
            head = cell_len(name)
            found.append(
                (
                    max([head, *map(least_width, cells)]),
                    max([head, *(cell_len(part) for cell in cells for part in cell.split("\n"))]),
                )
            )
        return found

    def _table(self, widths: Sequence[int]) -> Table:
        title = None if self.title is None else Text(self.title, "italic")
        table = Table(title=title, title_justify="left", header_style="bold")
        for name, number, width in zip(self.names, self.numbers, widths, strict=True):
            table.add_column(name, justify="right" if number else "left", width=width, overflow="fold")
        for row in self.rows:
            table.add_row(*row)
        return table

    def _stacked(self, width: int) -> RenderResult:
        natural = [most for _, most in self._needs()]
        kept = 0
        while sum(natural[: kept + 1]) + kept * len(GAP) <= width:
            kept += 1
        if self.title:
            yield Text(self.title, style="italic")
        if kept:
            yield self._line([Text(name, style="bold") for name in self.names[:kept]], natural)
        for row in self.rows:
            if kept:
                yield self._line(row[:kept], natural)
            named = [(n, v) for n, v in zip(self.names[kept:], row[kept:], strict=True) if v.plain]
            indent = INDENT if kept else 0
            for line in packed(named, width - indent):
                yield Padding(line, (0, 0, 0, indent), expand=False)
            if not kept:
                yield Text("")

    def _line(self, cells: Sequence[Text], widths: Sequence[int]) -> Text:
        parts = []
        for cell, number, width in zip(cells, self.numbers, widths, strict=False):
            part = cell.copy()
            part.pad_left(width - cell_len(cell.plain)) if number else part.pad_right(
                width - cell_len(cell.plain)
            )
            parts.append(part)
        line = Text(GAP, no_wrap=True).join(parts)
        line.rstrip()
        return line


def _visible(cell: Cell) -> Text:
    """A cell without markup and control characters."""
    if isinstance(cell, str):
        return Text(safe(cell))
    copy = cell.copy()
    copy.plain = safe(cell.plain)
    return copy


def least_width(cell: str) -> int:
    """The least width at which no word of a cell is broken, in terminal cells."""
    return max(
        (
            width if (width := cell_len(line)) <= WHOLE else max(WHOLE, *map(cell_len, line.split(" ")))
            for line in cell.split("\n")
        ),
        default=0,
    )


def fitted(needs: Sequence[tuple[int, int]], width: int) -> list[int] | None:
    """How wide each column is drawn, or None if the table does not fit.

    Args:
        needs: least and natural width of each column, in terminal cells.
        width: of the terminal.
    """
    spare = width - BORDER * len(needs) - 1 - sum(least for least, _ in needs)
    if spare < 0:
        return None
    widths = []
    for least, natural in needs:
        more = min(spare, natural - least)
        spare -= more
        widths.append(least + more)
    return widths


def packed(named: Sequence[tuple[str, Text]], width: int) -> list[Text]:
    """``name value`` pairs, as many on a line as fit whole; what is longer has lines of its own."""
    lines: list[Text] = []
    for name, value in named:
        pair = Text.assemble((name, "dim"), " ", value, overflow="fold")
        if lines and cell_len(lines[-1].plain) + len(GAP) + cell_len(pair.plain) <= width:
            lines[-1].append(GAP).append_text(pair)
        else:
            lines.append(pair)
    return lines


def pairs(named: Sequence[tuple[str, Text]], width: int) -> list[Text]:
    """Names and values from outside as lines of ``name value``."""
    return packed([(safe(name), _visible(value)) for name, value in named], width)
