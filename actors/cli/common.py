"""What the commands that talk to a running engine share."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import msgspec
from cyclopts import Parameter
from rich.console import Console, ConsoleOptions, RenderableType
from rich.highlighter import JSONHighlighter
from rich.segment import Segment
from rich.text import Text

from actors.cli.safe import escaped, safe

EXIT_PIPE_CLOSED = 141
"""What a shell says of a program that SIGPIPE ended; 1 would be a refusal or a difference."""
EXIT_INTERRUPTED = 130
"""What a shell says of a program that Ctrl-C ended."""
PIPE_WIDTH = 10_000
"""Cells of a line for a program that reads us: a row stays one line."""


class Terminal(Console):
    """Where we print: a person's terminal wraps between words, a pipe or a file gets each line whole.

    Text is text: it is never read as markup, and nothing in it is obeyed by a terminal.

    Args:
        stderr: standard error instead of standard output.
    """

    def __init__(self, *, stderr: bool = False) -> None:
        person = (sys.stderr if stderr else sys.stdout).isatty()
        width = None if person or "COLUMNS" in os.environ else PIPE_WIDTH
        super().__init__(stderr=stderr, soft_wrap=not person, width=width, emoji=False, markup=False)

    def print(self, *objects: Any, **how: Any) -> None:
        """Print; see ``Console.print``."""
        super().print(*map(_visible, objects), **how)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """What is written at last, whatever it came from."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=safe(segment.text))

    def on_broken_pipe(self) -> None:
        """Whoever read us has enough: end in silence."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(EXIT_PIPE_CLOSED)


def _visible(thing: Any) -> Any:
    """Text made safe before it is laid out: a sign has a width, what it stands for has none."""
    if isinstance(thing, str):
        return safe(thing)
    if isinstance(thing, Text):
        thing = thing.copy()
        thing.plain = safe(thing.plain)
    return thing


out = Terminal()
err = Terminal(stderr=True)

DataDir = Annotated[Path, Parameter("--data-dir", env_var="BULKHEAD_DATA_DIR")]
Json = Annotated[bool, Parameter("--json", negative=())]


def client(data_dir: Path) -> Any:
    """The way to the engine of a data folder."""
    from actors.api.client import Client  # noqa: PLC0415 - a second of imports

    return Client(data_dir)


def path(*parts: object) -> str:
    """A path of the API; whatever stands in a name, it stays one part."""
    return "/".join(["/v1", *(quote(str(part), safe="") for part in parts)])


def show(found: Any, table: Callable[[Any, Console], None], *, json: bool) -> None:
    """Print an answer as a table, or as JSON."""
    if json:
        as_json(found)
    else:
        table(found, out)


def as_json(found: Any) -> None:
    """Print an answer as JSON, whole."""
    text = escaped(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    out.print(JSONHighlighter()(Text(text)), soft_wrap=True)


def as_line(found: Any) -> None:
    """Print an answer as one line of JSON, at once."""
    out.print(escaped(msgspec.json.encode(found).decode()), highlight=False, soft_wrap=True)


def told(answer: Any, text: str, *, json: bool) -> None:
    """Print what was done, or the engine's answer as JSON."""
    if json:
        as_json(answer)
    else:
        out.print(text, markup=False)


def house_took(answer: dict[str, Any]) -> str:
    """What the house took, of an answer without an order of the exchange."""
    took = answer["house"]
    what = f"{took['quantity']} {took['symbol']} is too small for the exchange, so the house took it"
    return f"{what} at {took['price']} for a fee of {took['fee']}"


def outcome(answer: dict[str, Any], done: str, *, json: bool) -> None:
    """Print what became of a command; exit 1 with every check that refused it."""
    if json:
        as_json(answer)
    elif answer["type"] == "Accepted" and answer.get("house"):
        out.print(f"closed: {house_took(answer)}")
    elif answer["type"] == "Accepted":
        out.print(f"{answer['client_order_id'] or ''} {done}".strip(), markup=False)
    elif answer["type"] == "Pending":
        out.print(answer["message"], style="yellow", markup=False)
    else:
        for rejection in answer["rejections"]:
            err.print(f"rejected: {rejection['code']}: {rejection['text']}", style="red", markup=False)
    if answer["type"] == "Rejected":
        sys.exit(1)
