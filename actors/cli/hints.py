"""The error for a command line that is not understood: one line, with the command that was probably meant.

People try the names that other systems use; ``HINTS`` has them. A name that is only misspelt is found
among the commands.
"""

from __future__ import annotations

import difflib

from cyclopts import CycloptsError, UnknownCommandError
from rich.text import Text

from actors.cli.safe import safe

HINTS = {
    "balance": "accounts (of all), inspect ACCOUNT (of one); deposit ACCOUNT AMOUNT changes it",
    "bal": "accounts (of all), inspect ACCOUNT (of one)",
    "wallet": "accounts (of all), inspect ACCOUNT (of one)",
    "equity": "accounts (of all), inspect ACCOUNT (of one)",
    "account": "accounts (of all), inspect ACCOUNT (of one)",
    "show": "inspect ACCOUNT",
    "info": "inspect ACCOUNT, or status of the engine",
    "get": "inspect ACCOUNT",
    "list": "accounts, positions, orders ACCOUNT",
    "ls": "accounts, positions, orders ACCOUNT",
    "pos": "positions",
    "position": "positions [ACCOUNT]",
    "portfolio": "positions [ACCOUNT], report ACCOUNT",
    "pnl": "report ACCOUNT, closed ACCOUNT",
    "buy": "order ACCOUNT buy QUANTITY SYMBOL",
    "sell": "order ACCOUNT sell QUANTITY SYMBOL",
    "long": "order ACCOUNT buy QUANTITY SYMBOL",
    "short": "order ACCOUNT sell QUANTITY SYMBOL",
    "trade": "order ACCOUNT buy QUANTITY SYMBOL",
    "place": "order ACCOUNT buy QUANTITY SYMBOL",
    "submit": "order ACCOUNT buy QUANTITY SYMBOL",
    "fills": "history ACCOUNT --kind fill, why ORDER (with its trades)",
    "trades": "history ACCOUNT --kind fill, statement ACCOUNT, why ORDER (with its trades)",
    "income": "statement ACCOUNT --from TIME --to TIME",
    "ledger": "statement ACCOUNT --from TIME --to TIME",
    "funding": "history ACCOUNT --kind funding",
    "history-show": "history [ACCOUNT] --hours 24",
    "open-orders": "orders ACCOUNT",
    "exit": "close ACCOUNT [SYMBOL]",
    "flatten": "close ACCOUNT [SYMBOL], or emergency-stop ACCOUNT",
    "flat": "close ACCOUNT [SYMBOL], or emergency-stop ACCOUNT",
    "panic": "emergency-stop ACCOUNT, or emergency-stop --everybody",
    "close-out": "emergency-stop ACCOUNT, or emergency-stop --everybody",
    "stop": "Ctrl-C in the terminal of 'bulkhead run', or SIGTERM, ends the engine; of one account: "
    "close, freeze, quarantine or emergency-stop ACCOUNT",
    "kill": "restart ACCOUNT, quarantine ACCOUNT; SIGTERM ends the engine",
    "shutdown": "Ctrl-C in the terminal of 'bulkhead run', or SIGTERM, ends the engine",
    "start": "run (the engine), paper (an exchange to try it on)",
    "serve": "run (the engine)",
    "engine": "run (the engine), status",
    "exchange": "paper (an exchange to try it on), master",
    "add": "create ACCOUNT DEPOSIT",
    "new": "create ACCOUNT DEPOSIT",
    "delete": "freeze ACCOUNT; accounts are not deleted, their history is kept",
    "remove": "freeze ACCOUNT; accounts are not deleted, their history is kept",
    "withdraw": "deposit ACCOUNT -- -AMOUNT",
    "transfer": "deposit ACCOUNT AMOUNT, or deposit ACCOUNT -- -AMOUNT",
    "resume": "unfreeze ACCOUNT, release ACCOUNT",
    "pause": "freeze ACCOUNT",
    "health": "status",
    "ps": "top, tree",
    "ping": "status",
    "log": "trace ACCOUNT --follow, alarms",
    "logs": "trace ACCOUNT --follow, alarms",
    "tail": "trace ACCOUNT --follow",
    "errors": "alarms, crashes, deadletters list",
    "leverage": "order ... --leverage N; master shows the exchange's",
    "limit": "limits ACCOUNT, set-limit ACCOUNT NAME VALUE",
    "set": "set-limit ACCOUNT NAME VALUE",
    "liquidate": "emergency-stop ACCOUNT, mode ACCOUNT INSTANT_CLOSE",
    "symbols": "master",
    "markets": "master",
    "books": "reconcile",
    "check": "reconcile, db check, status",
    "version": "--version",
    "help": "--help",
    "backtest": "replay FILE",
}
"""Names that people try, and the commands for them."""

NEAR = 0.6
"""How similar a misspelt name must be, 0 to 1."""
VERY_NEAR = 0.8
NAMED = 3
FEW = 6
"""Up to this many commands are all named."""


def explained(error: CycloptsError) -> Text:
    """The error of a command line, and how to correct it."""
    chain = " ".join(["bulkhead", *(error.command_chain or ())])
    if isinstance(error, UnknownCommandError) and error.unused_tokens:
        text = unknown(error.unused_tokens[0], _commands(error), chain)
    else:
        text = f"{str(error).strip().rstrip('.')}; '{chain} --help' has an example"
    return Text(safe(f"error: {text}"), "red")


def _commands(error: UnknownCommandError) -> list[str]:
    app = error.app
    return [name for name in app if not name.startswith("-")] if app is not None else []


def unknown(name: str, commands: list[str], chain: str = "bulkhead") -> str:
    """The error for a name that is no command.

    Args:
        name: what was typed.
        commands: those that there are.
        chain: what was typed before it.
    """
    said, typed = f'Unknown command "{name[:40]}".', name.lower()[:40]
    if len(commands) <= FEW:
        return f"{said} {chain} knows {', '.join(commands)}"
    near = difflib.get_close_matches(typed, commands, n=NAMED, cutoff=NEAR)
    tried = typed if typed in HINTS else next(iter(difflib.get_close_matches(typed, HINTS, 1, VERY_NEAR)), "")
    if tried and not (near and tried != typed):
        return f"{said} Did you mean: {HINTS[tried]}"
    if near:
        return f"{said} Did you mean {' or '.join(near)}?"
    return f"{said} '{chain} --help' lists the commands"
