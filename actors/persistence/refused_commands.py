"""Commands that accounts refused by their own checks, for a history: they are decided by nobody, so the audit alone has them.

The audit writes so many of them and counts the others (``audit/rejections.py``); an engine with ``audit = "off"`` keeps none.

I/O: reads the audit's files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from functools import partial
from pathlib import Path
from typing import Any

from actors.core.errors import NotRecorded
from actors.core.utc import day_of
from actors.persistence.audit.chain import Unreadable
from actors.persistence.audit.files import FOLDER, days_in
from actors.persistence.audit.line import Kind, Line, read
from actors.persistence.audit.search import newest
from actors.persistence.history import LIMIT_MAX, Refused, Wanted
from actors.persistence.history_records import REFUSALS, HistoryKind, Record
from actors.subaccount.rejections import RejectCode

LATE = 2
"""A line that came late stands in the file of a later day; if the clock was ahead then, of a much later one."""

NUMBER = b'{"n":'
NUMBER_MAX = 18
"""Digits of it; more are damage."""

NO_NUMBER = 10**NUMBER_MAX
"""Behind all that there can be."""

KIND = f'"kind":"{Kind.REJECTION}"'.encode()


class RefusedCommands:
    """See the module.

    Args:
        data_folder: the engine's.
    """

    def __init__(self, data_folder: Path) -> None:
        self._folder = data_folder / FOLDER

    def __call__(self, wanted: Wanted, before: int | None) -> Iterator[Refused]:
        """Those that are wanted, newest first, from before a line of the audit.

        Of a day whose file is compressed the last ``LIMIT_MAX`` and one: more are on no page.

        Raises:
            NotRecorded: a file is there and cannot be read.
        """
        if wanted.kinds and not wanted.kinds & REFUSALS:
            return
        first, last = day_of(wanted.from_ms), day_of(wanted.to_ms)
        made = partial(_refused, wanted=wanted, before=before)
        try:
            days = [day for day in days_in(self._folder) if first <= day.day]
            inside = sum(day.day <= last for day in days)
            for day in reversed(days[: inside + LATE]):
                yield from newest(day, KIND, made, LIMIT_MAX + 1)
        except (OSError, Unreadable) as error:
            raise NotRecorded(f"the audit in {self._folder} cannot be read: {error}") from None


def _refused(raw: bytes, wanted: Wanted, before: int | None) -> Refused | None:
    """A line, if it is wanted; what the bytes say is looked at first, as reading one costs as much as finding hundreds."""
    if wanted.account_id is not None and b'"account":"' + wanted.account_id.encode() + b'"' not in raw:
        return None
    if before is not None and _number_of(raw) >= before:
        return None
    whole = read(raw)
    if whole is None or whole.line.kind != Kind.REJECTION:
        return None
    record = record_of(whole.line)
    return Refused(whole.line.n, record) if record is not None and _is_wanted(record, wanted) else None


def _number_of(raw: bytes) -> int:
    """The number that a line begins with; ``NO_NUMBER`` if it is no line."""
    number = raw[len(NUMBER) : raw.find(b",")]
    is_one = raw.startswith(NUMBER) and number.isdigit() and len(number) <= NUMBER_MAX
    return int(number) if is_one else NO_NUMBER


def _is_wanted(record: Record, wanted: Wanted) -> bool:
    return (
        wanted.from_ms <= record.at_ms < wanted.to_ms
        and wanted.account_id in {None, record.account_id}
        and wanted.symbol in {None, record.symbol}
        and (not wanted.kinds or bool(record.kinds & wanted.kinds))
    )


def record_of(line: Line) -> Record | None:
    """A line of the audit as one of a history; None for one that a later release wrote otherwise."""
    try:
        at_ms = round(datetime.fromisoformat(line.time).timestamp() * 1_000)
        rejections = [(str(r["code"]), str(r["text"])) for r in line.data["rejections"]]
        asked: Mapping[str, Any] = line.data["order"]
        poor = any(code == RejectCode.INSUFFICIENT_MARGIN for code, _ in rejections)
        return Record(
            id=f"audit-{line.n}",
            at_ms=at_ms,
            account_id=line.account,
            kind=HistoryKind.INSUFFICIENT_BALANCE if poor else HistoryKind.REFUSED,
            symbol=str(asked.get("symbol", "")),
            side=str(asked.get("side", "")),
            order_type=str(asked.get("kind") or asked.get("order_type") or ""),
            quantity=_number(asked.get("quantity")),
            price=_number(asked.get("price") or asked.get("trigger_price")),
            status="REFUSED",
            end="; ".join(f"{code} {text}" for code, text in rejections),
            text="" if asked.get("symbol") else str(line.data.get("command", "")),
            cause=line.cause,
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _number(value: object) -> Decimal | None:
    try:
        return None if value is None else Decimal(str(value))
    except InvalidOperation:
        return None
