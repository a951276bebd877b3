"""Explains a request that does not fit its type: which field, what was wrong with it, what would be right. Pure.

The decoder stops at the first fault, and says it in its own terms: "Invalid enum value 'LONG' - at `$[1].side`". Here
that is made "entry 2, side: 'LONG' is none of BUY, SELL; a long position is opened with BUY".
"""

from __future__ import annotations

import difflib
import re
from enum import Enum
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec

FAULT = re.compile(r"(?P<what>.*?)(?: - at `(?:key in )?\$(?P<path>.*)`)?", re.DOTALL)
ENUM = re.compile(r"Invalid enum value (?P<value>.*)", re.DOTALL)
UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>.*)`", re.DOTALL)
MISSING = re.compile(r"Object missing required field `(?P<name>\w+)`")
TYPE = re.compile(r"Expected `(?P<wanted>[^`]+)`, got `(?P<got>\w+)`")

SHOWN_MAX = 60
"""Characters of a value that are repeated."""

NO_BODY = "the request needs a body of JSON"

KINDS = {
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "object": "an object, {...}",
    "array": "a list, [...]",
    "null": "null",
}
SIDES = {
    "LONG": "a long position is opened with BUY",
    "SHORT": "a short position is opened with SELL",
    "CLOSE": "a long position is closed with SELL, a short one with BUY; reduce_only opens nothing",
    "B": "BUY",
    "S": "SELL",
}
OTHER_NAMES = {
    "type": "order_type",
    "ordertype": "order_type",
    "qty": "quantity",
    "size": "quantity",
    "amount": "quantity",
    "origqty": "quantity",
    "limit_price": "price",
    "stop_price": "trigger_price",
    "stopprice": "trigger_price",
    "trigger": "trigger_price",
    "tif": "time_in_force",
    "timeinforce": "time_in_force",
    "reduceonly": "reduce_only",
    "callbackrate": "callback_rate",
    "account": "account_id",
    "id": "account_id",
    "balance": "deposit",
    "value": "amount",
    "why": "reason",
    "text": "reason",
}
"""Names that other systems use for a field of ours."""
NEAR = 0.6
"""How alike two names must be to suggest one for the other, 1 is equal."""


def explain(text: str, body: Any, field: str = "") -> str:
    """The message for a client.

    Args:
        text: the decoder's message, with the path of the fault if it has one.
        body: the type that the request should have; None if it is not known.
        field: the name of the field, if the message has no path.
    """
    found = FAULT.fullmatch(text)
    what, path = (found["what"], found["path"] or "") if found else (text, "")
    steps = re.findall(r"\w+|\[[^]]*\]", path.removeprefix(".data") or field)
    kind = _walk(body, steps)
    name = ", ".join(_place(step) for step in steps)
    message = _message(what, kind, name)
    return f"{name}: {message}" if name else message


def _place(step: str) -> str:
    if not step.startswith("["):
        return step
    return f"entry {int(step[1:-1]) + 1}" if step[1:-1].isdigit() else "an entry"


def _walk(kind: Any, steps: list[str]) -> Any:
    """The type at the end of a path."""
    for step in steps:
        kind = _bare(kind)
        if step.startswith("["):
            kind = (get_args(kind) or (None,))[-1]
        elif isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            fields = {f.encode_name: f.type for f in msgspec.structs.fields(kind)}
            kind = fields.get(step)
        else:
            return None
    return _bare(kind)


def _bare(kind: Any) -> Any:
    """A type without its annotations, and without null."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) in {Union, UnionType}:
        left = [k for k in get_args(kind) if k is not type(None)]
        return _bare(left[0]) if len(left) == 1 else kind
    return kind


def _message(what: str, kind: Any, name: str) -> str:
    if fault := ENUM.fullmatch(what):
        return _of_enum(fault["value"], kind)
    if fault := UNKNOWN.fullmatch(what):
        return _no_such_field(fault["name"], kind)
    if fault := MISSING.fullmatch(what):
        return f"{fault['name']} is missing"
    if fault := TYPE.fullmatch(what):
        return _of_type(fault["wanted"].split(" | ")[0], fault["got"], name)
    return NO_BODY if what == "'data'" else what


def _of_enum(value: str, kind: Any) -> str:
    shown = value[:SHOWN_MAX]
    if not (isinstance(kind, type) and issubclass(kind, Enum)):
        return f"{shown} is none of those that there are"
    values = [str(member.value) for member in kind]
    text = f"{shown} is none of {', '.join(values)}"
    typed = value.strip("'").upper()
    if typed in values:
        return f"{text}; write it as {typed}"
    return f"{text}; {SIDES[typed]}" if "BUY" in values and typed in SIDES else text


def _no_such_field(name: str, kind: Any) -> str:
    shown = name[:SHOWN_MAX]
    if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        return f"there is no field {shown!r}"
    fields = list(kind.__struct_encode_fields__)
    snake = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", shown).lower()
    meant = next(
        (n for n in (snake, OTHER_NAMES.get(snake), OTHER_NAMES.get(shown.lower())) if n in fields), None
    )
    near = [meant] if meant else difflib.get_close_matches(snake, fields, 1, NEAR)
    cure = f"did you mean {near[0]}?" if near else f"there are {', '.join(fields)}"
    return f"there is no field {shown!r}; {cure}"


def _of_type(wanted: str, got: str, name: str) -> str:
    if wanted == "str" and got in {"int", "float"}:
        last = [n for n in name.split(", ") if n.isidentifier()] or ["quantity"]
        return (
            "a number here is written as text, in quotes, so that no digit is lost on the way: "
            f'"{last[-1]}": "0.01"'
        )
    return f"it must be {KINDS.get(wanted, wanted)}, not {KINDS.get(got, got)}"
