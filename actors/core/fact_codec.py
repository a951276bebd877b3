"""Facts as the journal keeps them: JSON in UTF-8, with the version of the vocabulary that it was written in.

Rules
1. ``VERSION`` counts changes of what is written already means: a fact or field renamed, split or read otherwise. Each
   has its step in ``UPCASTS``, from that version to the next, over plain JSON values.
2. A new fact, or a new field with a default that says what all rows before it meant, is no such change.
3. A default of a field is never changed, and a name is never used again for something else.
4. Nothing is guessed: what cannot be read raises, and puts its stream out of service.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from actors.core.errors import StateCorrupt
from actors.core.facts import AnyFact

VERSION = 1

Plain = list[dict[str, Any]]
Upcast = Callable[[Plain], Plain]

UPCASTS: Mapping[int, Upcast] = {}
"""From each version before ``VERSION``, the facts of one decision as they are said in the next."""

_ENCODER = msgspec.json.Encoder()
_DECODER: msgspec.json.Decoder[tuple[AnyFact, ...]] = msgspec.json.Decoder(tuple[AnyFact, ...])


def encode(facts: Sequence[AnyFact]) -> bytes:
    """The facts of one decision, in the present version."""
    return _ENCODER.encode(facts)


def decode(version: int, data: bytes, upcasts: Mapping[int, Upcast] = UPCASTS) -> tuple[AnyFact, ...]:
    """The facts that ``encode`` of some release was given.

    Raises:
        StateCorrupt: of a later version than this program knows, or not facts at all; says which.
    """
    return decoded("facts", _DECODER, version, VERSION, data, upcasts)


def decode_lines(version: int, data: bytes) -> Sequence[tuple[AnyFact, ...]]:
    """The facts of several decisions of one version, a line each.

    Raises:
        StateCorrupt: as ``decode`` does.
    """
    if version != VERSION:
        return [decode(version, line) for line in data.split(b"\n")]
    try:
        decisions = tuple(_DECODER.decode_lines(data))
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise StateCorrupt(f"facts of version {version} cannot be read: {error}") from None
    refuse_no_number(f"facts of version {version}", data, decisions)
    return decisions


P = TypeVar("P")
V = TypeVar("V")


def decoded(  # noqa: PLR0913 - a codec's own
    kind: str,
    decoder: msgspec.json.Decoder[V],
    version: int,
    known: int,
    data: bytes | msgspec.Raw,
    upcasts: Mapping[int, Callable[[P], P]],
) -> V:
    """What was written in some version.

    Args:
        kind: what it is, for errors.
        decoder: of the version that is known here.
        version: that it was written in.
        known: the version that is known here.
        data: JSON.
        upcasts: the step from each version to the next.

    Raises:
        StateCorrupt: of a later version than this program knows, or not what ``kind`` says; says which.
    """
    try:
        value = decoder.decode(data if version == known else upcast(kind, version, known, data, upcasts))
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise StateCorrupt(f"{kind} of version {version} cannot be read: {error}") from None
    refuse_no_number(f"{kind} of version {version}", data, value)
    return value


def upcast(
    kind: str, version: int, to: int, data: bytes | msgspec.Raw, upcasts: Mapping[int, Callable[[P], P]]
) -> bytes:
    """What was written in an earlier version, as JSON of version ``to``.

    Args:
        kind: what it is, for errors.
        version: that it was written in.
        to: the version that is known here.
        data: JSON.
        upcasts: the step from each version to the next.

    Raises:
        StateCorrupt: of a later version, or a step that is missing or fails; says which.
        msgspec.MsgspecError: not JSON.
    """
    if version > to:
        raise StateCorrupt(f"{kind} of version {version}, which is of a later release: this one knows {to}")
    plain: P = msgspec.json.decode(data)
    for step in range(version, to):
        if step not in upcasts:
            raise StateCorrupt(f"{kind} of version {version} cannot be read: nothing leads from {step} on")
        try:
            plain = upcasts[step](plain)
        except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
            text = f"{type(error).__name__}: {error}"
            raise StateCorrupt(
                f"{kind} of version {version} cannot be read: from {step} on, {text}"
            ) from None
    return msgspec.json.encode(plain)


def refuse_no_number(kind: str, data: bytes | msgspec.Raw, value: Any) -> None:
    """Let nothing in that is not a number and compares with none.

    Raises:
        StateCorrupt: a decimal in ``value``, which ``data`` was decoded to, is NaN or infinite; names it.
    """
    # Restoring a fleet looks at each row, so all is looked at only if need be.
    if _may_have_none(bytes(data)):
        for path, number in _decimals("", value):
            if not number.is_finite():
                raise StateCorrupt(f"{kind} cannot be read: {path} is {number}, which is no number")


def _may_have_none(text: bytes) -> bool:
    """Whether a decimal that is no number may be written in it, as decimals write themselves.

    One letter is found many times faster than a word of three, and that letter is rare.
    """
    at = text.find(b"N")
    while at >= 0:
        if text.startswith(b"NaN", at):
            return True
        at = text.find(b"N", at + 1)
    return b"Infinity" in text


def _decimals(path: str, value: Any) -> Iterator[tuple[str, Decimal]]:
    if isinstance(value, Decimal):
        yield path, value
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from _decimals(f"{path}.{name}" if path else name, getattr(value, name))
    elif isinstance(value, tuple):
        for number, inner in enumerate(value):
            yield from _decimals(f"{path}[{number}]", inner)
