"""What commands share: consoles, common options, the engine's client, and how answers are printed."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
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
from actors.core.errors import BadInput, BulkheadError
from actors.core.names import shown

EXIT_PIPE_CLOSED = 141
"""A shell's exit code of a program that SIGPIPE ended; 1 would mean a refusal or a difference."""
PIPE_WIDTH = 10_000
"""Width in cells for a pipe or a file: each row stays one line."""
COLOURED_MAX = 100_000
"""Characters of JSON that a person gets in colours."""
DOTS = frozenset({".", ".."})
"""Names of folders: what makes URLs resolves them and takes the part before away with them."""


class Terminal(Console):
    """A console: a person's terminal wraps between words, a pipe or a file gets each line whole.

    Text is never read as markup, and control characters in it never reach a terminal.

    Args:
        stderr: standard error instead of standard output.
    """

    def __init__(self, *, stderr: bool = False) -> None:
        stream = sys.stderr if stderr else sys.stdout  # None if the shell closed it: >&-
        person = stream is not None and stream.isatty()
        width = None if person or "COLUMNS" in os.environ else PIPE_WIDTH
        super().__init__(stderr=stderr, soft_wrap=not person, width=width, emoji=False, markup=False)

    def print(self, *objects: Any, **how: Any) -> None:
        """Print; see ``Console.print``.

        Raises:
            BulkheadError: it cannot be written.
        """
        with self._writing():
            super().print(*map(_visible, objects), **how)

    def write(self, text: str) -> None:
        """Write text that may be long: rich lays out each character of what it prints, in a hundred times the memory.

        Raises:
            BulkheadError: it cannot be written.
        """
        if self.quiet:
            return
        with self._writing():
            self.file.write(safe(text))
            self.file.flush()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Say that there is no room for the output: a traceback's exit code 1 would be a refusal, or a difference."""
        try:
            yield
        except BrokenPipeError:
            self.on_broken_pipe()
        except OSError as error:
            self._silence()
            raise BulkheadError(
                f"the output cannot be written: {error.strerror}; what came before is not whole"
            ) from None

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render, and make safe what is written, whatever it came from."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=safe(segment.text))

    def on_broken_pipe(self) -> None:
        """End without a message, as the reader closed the pipe; rich calls it."""
        self._silence()
        raise SystemExit(EXIT_PIPE_CLOSED)

    def _silence(self) -> None:
        """Whatever still waits to be written goes nowhere."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _visible(thing: Any) -> Any:
    """Text made safe before it is laid out: a control character has no width, the sign that replaces it has one."""
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
Archive = Annotated[Path | None, Parameter("--archive")]
"""Folder of archived rows of the journal."""


def client(data_dir: Path) -> Any:
    """A client of the engine that runs on a data folder.

    Raises:
        BadInput: no engine has left its address there.
    """
    from actors.api.client import Client  # noqa: PLC0415 - a second of imports

    return Client(data_dir)


def path(*parts: object) -> str:
    """A path of the API; a part may hold any character.

    Raises:
        BadInput: a part is empty, "." or "..": the path would be another one, that of all accounts instead of one.
    """
    for part in map(str, parts):
        if not part:
            raise BadInput(
                "an empty name was given; give the name itself, and look whether a variable of your shell is set"
            )
        if part in DOTS:
            raise BadInput(f"{shown(part)} is no name; give that of one account, actor, order or symbol")
    return "/".join(["/v1", *(quote(str(part), safe="") for part in parts)])


def given(dsn: str | None) -> str | None:
    """The DSN that was given, if one was.

    Raises:
        BadInput: it is empty, as of a variable that is not set; the embedded database is another one than was meant.
    """
    if dsn is not None and not dsn.strip():
        raise BadInput(
            "the DSN is empty; give one like postgresql://user@host:5432/name, or leave it out for the embedded database"
        )
    return dsn


def print_answer(found: Any, table: Callable[[Any, Console], None], *, json: bool) -> None:
    """Print an answer as a table, or as JSON."""
    if json:
        print_json(found)
    else:
        table(found, out)


def print_json(found: Any) -> None:
    """Print an answer as JSON, whole."""
    text = escaped(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    if out.is_terminal and len(text) <= COLOURED_MAX:
        out.print(JSONHighlighter()(Text(text)), soft_wrap=True)
    else:
        out.write(f"{text}\n")


def print_json_line(found: Any) -> None:
    """Print an answer as one line of JSON, at once."""
    out.write(escaped(msgspec.json.encode(found).decode()) + "\n")


def print_done(answer: Any, text: str, *, json: bool) -> None:
    """Print a text about what was done, or the engine's answer as JSON."""
    if json:
        print_json(answer)
    else:
        out.print(text, markup=False)


def house_took(answer: dict[str, Any]) -> str:
    """What the house took over, from an answer without an exchange order."""
    took = answer["house"]
    what = f"{took['quantity']} {took['symbol']} is too small for the exchange, so the house took it"
    return f"{what} at {took['price']} for a fee of {took['fee']}"


def print_outcome(answer: dict[str, Any], done: str, *, json: bool) -> None:
    """Print the result of a command; if it was rejected, every reason, and exit with 1."""
    if json:
        print_json(answer)
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
