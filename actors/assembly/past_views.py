"""What people are shown of an account's past: the structs, and how they are made. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal, InvalidOperation
from itertools import islice
from typing import Any

import msgspec

from actors.core import fact_codec
from actors.core.errors import BadInput
from actors.persistence.journal import Entry
from actors.persistence.past import Past, Point
from actors.subaccount.state import AccountState
from actors.subaccount.state_codec import state_hash

NOT_COMPARED = frozenset({"base_limits", "platform", "sequence"})
"""Parts of a state that are no difference: ``limits`` says what the first makes, and the last always differs."""


class PastView(msgspec.Struct, frozen=True, kw_only=True):
    """An account as it was after one of its decisions. Money in quote asset, times in Unix milliseconds.

    ``position``, ``sequence``, ``wall_ms`` and ``cause`` are of that decision, ``first`` and ``last`` of the account's
    first and its last one. It was folded of ``decisions`` with ``facts`` in ``took_us`` microseconds, from the snapshot after
    decision ``snapshot``, or from the first fact. ``account`` is as ``GET /v1/accounts/...`` has it; prices of then are not
    in the journal, so what needs one is null. ``state`` is everything.
    """

    account_id: str
    position: int
    sequence: int
    wall_ms: int
    cause: str
    first: Point
    last: Point
    state_hash: str
    snapshot: int | None
    decisions: int
    facts: int
    took_us: int
    account: Any
    state: Any


class Change(msgspec.Struct, frozen=True):
    """One field of a state that changed; None where it was or is not there."""

    field: str
    before: Any
    after: Any


class DecisionView(msgspec.Struct, frozen=True):
    """One decision of the journal."""

    position: int
    sequence: int
    wall_ms: int
    cause: str
    facts: Any


class DiffView(msgspec.Struct, frozen=True, kw_only=True):
    """What changed of an account between two of its decisions, and by which, oldest first.

    ``between`` is how many decisions there are; ``decisions`` are the first of them, as many as were asked for.
    """

    account_id: str
    before: Point
    after: Point
    before_hash: str
    after_hash: str
    changes: list[Change]
    between: int
    decisions: list[DecisionView]


def past_view(found: Past, account: Any) -> PastView:
    """A past state as it is shown; ``account`` is what is shown of a live one."""
    return PastView(
        account_id=found.state.account_id,
        position=found.point.position,
        sequence=found.point.sequence,
        wall_ms=found.point.wall_ms,
        cause=found.point.cause,
        first=found.first,
        last=found.last,
        state_hash=state_hash(found.state),
        snapshot=found.snapshot,
        decisions=found.decisions,
        facts=found.facts,
        took_us=found.took_ns // 1_000,
        account=account,
        state=found.state,
    )


def check_order(before: Point, after: Point) -> None:
    """Refuse to look backwards.

    Raises:
        BadInput: the first point is behind the second.
    """
    if before.sequence > after.sequence:
        raise BadInput(
            f"the first point, #{before.sequence}, is behind the second, #{after.sequence}; give the earlier one first"
        )


def diff_view(before: Past, after: Past, between: Iterable[Entry], limit: int) -> DiffView:
    """What changed between two pasts of one account; ``between`` are the rows behind the first up to the second."""
    return DiffView(
        account_id=after.state.account_id,
        before=before.point,
        after=after.point,
        before_hash=state_hash(before.state),
        after_hash=state_hash(after.state),
        changes=changes(before.state, after.state),
        between=after.point.sequence - before.point.sequence,
        decisions=[_decision(row) for row in islice(between, limit)],
    )


def _decision(row: Entry) -> DecisionView:
    facts = msgspec.to_builtins(fact_codec.decode(row.version, row.facts))
    return DecisionView(row.position, row.sequence, row.wall_ms, row.cause, facts)


def changes(before: AccountState, after: AccountState) -> list[Change]:
    """Every field that differs, in the order of the state's fields. What has an id is named by it, not by its place.

    What is new or gone, as an order or a position, is one change.
    """
    return list(_differ("", _compared(before), _compared(after)))


def _compared(state: AccountState) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(state))
    return {name: value for name, value in fields.items() if name not in NOT_COMPARED}


def _differ(path: str, before: Any, after: Any) -> Iterator[Change]:
    if _alike(before, after):
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for name in {**before, **after}:
            yield from _differ(f"{path}.{name}" if path else name, before.get(name), after.get(name))
    elif isinstance(before, list) and isinstance(after, list) and _is_table([*before, *after]):
        was, is_ = _by_id(before), _by_id(after)
        for id_ in {**was, **is_}:
            yield from _differ(f"{path}[{id_}]", was.get(id_), is_.get(id_))
    else:
        yield Change(path, before, after)


def _is_table(items: list[Any]) -> bool:
    return any(isinstance(one, dict | list) for one in items)


def _by_id(items: list[Any]) -> dict[str, Any]:
    return {_id(one, number): one[1] if _is_pair(one) else one for number, one in enumerate(items)}


def _is_pair(one: Any) -> bool:
    """Whether it is a name and its value, as an account's own limits are."""
    return isinstance(one, list) and len(one) == 2 and isinstance(one[0], str)  # noqa: PLR2004


def _id(one: Any, number: int) -> str:
    if _is_pair(one):
        return str(one[0])
    if isinstance(one, dict):
        inner = one.get("intent")
        id_ = one.get("client_order_id") or (
            inner.get("client_order_id") if isinstance(inner, dict) else None
        )
        if id_:
            return str(id_)
        if one.get("symbol"):
            # One position of a symbol; of its trades with pending fees there may be several.
            return f"{one['symbol']} {one['trade_id']}" if "trade_id" in one else str(one["symbol"])
    return str(number)


def _alike(one: Any, other: Any) -> bool:
    """Whether two values say the same: 0 and 0.00 do."""
    if one == other:
        return True
    if isinstance(one, str) and isinstance(other, str):
        try:
            return Decimal(one) == Decimal(other)
        except InvalidOperation:
            return False
    return False
