"""Client order ids: whose an order is, and which one, by its id alone. Pure.

``bh-<fleet>-<start><account>-<number>``: the fleet is made once per database, the start at each
start of an engine, so that neither a new data folder nor a restored backup repeats an id. The account
is ten digits of a hash, the number is the order's sequence. All in base 32 without i, l, o and u.

Releases before that made ``bh-<16 hex digits of the account's hash>-<sequence>``; such orders may still
be under way, and are understood.
"""

from __future__ import annotations

import hashlib
import re
from typing import NewType

import msgspec

from actors.core.constants import CLIENT_ORDER_ID_PREFIX
from actors.core.units import AccountId, ClientOrderId

FleetId = NewType("FleetId", str)
StartId = NewType("StartId", str)

DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32 in lower case: nothing in it is read for something else."""

PART_LENGTH = 6
"""Digits of a fleet's id and of a start's: 30 bits each."""

_BITS = 5
_PAIRS = tuple(a + b for a in DIGITS for b in DIGITS)
_ACCOUNT_PAIRS = 5
_PART = f"[{DIGITS}]{{{PART_LENGTH}}}"
_SHAPE = re.compile(
    f"{CLIENT_ORDER_ID_PREFIX}-({_PART})-({_PART})([{DIGITS}]{{{2 * _ACCOUNT_PAIRS}}})-(0|[{DIGITS[1:]}][{DIGITS}]*)"
)
_OLD_SHAPE = re.compile(f"{CLIENT_ORDER_ID_PREFIX}-([0-9a-f]{{16}})-(0|[1-9][0-9]*)", re.ASCII)


class Origin(msgspec.Struct, frozen=True):
    """What the ids of one start of one engine begin with."""

    fleet: FleetId
    start: StartId


FIXED = Origin(FleetId("000000"), StartId("000000"))
"""For replay and simulation, where two runs must be the same to the last byte."""


class OrderName(msgspec.Struct, frozen=True):
    """A client order id taken apart; ``fleet`` and ``start`` are empty in one of an older release."""

    fleet: str
    start: str
    account: str
    sequence: int


def client_order_id(origin: Origin, account_id: AccountId, sequence: int) -> ClientOrderId:
    """The client order id of an account's ``sequence``-th order.

    At most 32 characters up to 33 million orders of an account, and never more than the 36 that the
    exchange takes before 35 million million.
    """
    return ClientOrderId(
        f"{CLIENT_ORDER_ID_PREFIX}-{origin.fleet}-{origin.start}{account_part(account_id)}-{_number(sequence)}"
    )


def parsed(id_: str) -> OrderName | None:
    """What a client order id says, or None when no release of ours makes such."""
    found = _SHAPE.fullmatch(id_)
    if found is not None:
        fleet, start, account, number = found.groups()
        return OrderName(fleet, start, account, _value(number))
    found = _OLD_SHAPE.fullmatch(id_)
    return None if found is None else OrderName("", "", found[1], int(found[2]))


def sequence_of(id_: str, fleet: FleetId, account_id: AccountId) -> int | None:
    """The sequence in an id of this account in this fleet, of whichever start or release; else None."""
    name = parsed(id_)
    if name is None:
        return None
    if name.fleet:
        is_its_own = name.fleet == fleet and name.account == account_part(account_id)
    else:
        is_its_own = name.account == hashlib.blake2b(account_id.encode(), digest_size=8).hexdigest()
    return name.sequence if is_its_own else None


def part_of(random: bytes) -> str:
    """A fleet's or a start's id out of ``PART_LENGTH`` random bytes."""
    return "".join(DIGITS[byte % len(DIGITS)] for byte in random[:PART_LENGTH])


def account_part(account_id: AccountId) -> str:
    """What an account's ids have of it: ten digits of a hash, which another account may share."""
    # 50 bits: of a million accounts, two are alike in one fleet of two thousand, and then the database
    # refuses the second order of that id, which is never sent.
    value = int.from_bytes(hashlib.blake2b(account_id.encode(), digest_size=8).digest()[:7])
    return "".join(_PAIRS[(value >> 10 * n) & 1023] for n in range(_ACCOUNT_PAIRS))


def _number(value: int) -> str:
    text = DIGITS[value & 31]
    while value := value >> _BITS:
        text = DIGITS[value & 31] + text
    return text


def _value(text: str) -> int:
    value = 0
    for digit in text:
        value = value << _BITS | DIGITS.index(digit)
    return value
