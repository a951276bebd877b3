"""Our wire types, and what arrives, against the types of another hand. Pure.

A type of the SDK's is a word (``string``, ``integer``, ``boolean``, ``number``, ``any``), ``{"list": type}``,
``{"one_of": [types]}`` or ``{"model": name}``; ``models[name]`` are its fields.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec
from msgspec import inspect as shape

# What each of our types can read. Money travels as text; numbers of brackets do not.
READS = {
    str: {"string"},
    int: {"integer"},
    bool: {"boolean"},
    float: {"number", "integer"},
    Decimal: {"string", "number", "integer"},
}
REFUSAL = {"code", "msg"}
PYTHON = {"string": str, "integer": int, "boolean": bool, "number": (int, float)}


def kinds(theirs):
    """The possible types, flat."""
    if isinstance(theirs, dict) and "one_of" in theirs:
        return [kind for one in theirs["one_of"] for kind in kinds(one)]
    return [theirs]


def unreadable(ours, theirs, models, where, *, strict=True):
    """Why a message of their type could not be read as ours; ``strict`` names fields that only we know, too."""
    found = [_unreadable(ours, kind, models, where, strict=strict) for kind in kinds(theirs)]
    return min(found, key=len)


def _unreadable(ours, theirs, models, where, *, strict):
    if theirs == "any":
        return []
    if isinstance(ours, shape.StructType):
        if not isinstance(theirs, dict) or "model" not in theirs:
            return [f"{where}: {theirs} where we read {ours.cls.__name__}"]
        return _unreadable_struct(ours, models[theirs["model"]], models, where, strict=strict)
    if isinstance(ours, shape.VarTupleType | shape.ListType):
        if not isinstance(theirs, dict) or "list" not in theirs:
            return [f"{where}: {theirs} where we read a list"]
        return unreadable(ours.item_type, theirs["list"], models, f"{where}[]", strict=strict)
    if isinstance(ours, shape.UnionType):
        options = [o for o in ours.types if not isinstance(o, shape.NoneType)]
        return min((unreadable(o, theirs, models, where, strict=strict) for o in options), key=len)
    readable = READS[_plain(ours)]
    return [] if theirs in readable else [f"{where}: {theirs} where we read {_plain(ours).__name__}"]


def _unreadable_struct(ours, fields, models, where, *, strict):
    found = []
    for field in ours.fields:
        name = f"{where}.{field.encode_name}"
        if field.encode_name in fields:
            found += unreadable(field.type, fields[field.encode_name], models, name, strict=strict)
        elif field.required:
            found.append(f"{name}: we require it, they do not send it")
        elif strict:
            found.append(f"{name}: only we know it")
    return found


def _plain(ours):
    names = {
        shape.StrType: str, shape.IntType: int, shape.BoolType: bool, shape.FloatType: float, shape.DecimalType: Decimal
    }  # fmt: skip
    if type(ours) in names:
        return names[type(ours)]
    if isinstance(ours, shape.EnumType | shape.LiteralType):
        return str
    raise TypeError(f"no rule for {ours}; add one to READS")


class Leeway(msgspec.Struct, frozen=True):
    """Where an answer need not be as its model is: ``Model.field``, with the module before it where that is needed."""

    absent: frozenset[str]
    extra: frozenset[str]
    null: frozenset[str]


NONE = Leeway(frozenset(), frozenset(), frozenset())


def faults(value, theirs, models, where, leeway=NONE):
    """What is wrong with an answer that arrived: fields that are missing, unknown or of another type."""
    found = [_faults(value, kind, models, where, leeway) for kind in kinds(theirs)]
    return min(found, key=len)


def _faults(value, theirs, models, where, leeway):
    if theirs == "any":
        return []
    if isinstance(theirs, str):
        good = isinstance(value, PYTHON[theirs]) and (theirs == "boolean" or not isinstance(value, bool))
        return [] if good else [f"{where}: {value!r} is no {theirs}"]
    if "list" in theirs:
        if not isinstance(value, list):
            return [f"{where}: {type(value).__name__} is no list"]
        return [f for one in value for f in faults(one, theirs["list"], models, f"{where}[]", leeway)]
    if not isinstance(value, dict):
        return [f"{where}: {type(value).__name__} is no {theirs['model']}"]
    fields = models[theirs["model"]]
    if set(value) == REFUSAL and set(fields) >= REFUSAL:
        return []  # why one of a batch was refused, in its place

    def free(key, allowed):
        return bool({f"{theirs['model']}.{key}", f"{theirs['model'].split('.')[-1]}.{key}"} & allowed)

    found = [
        f"{where}.{key}: unknown to them"
        for key in value
        if key not in fields and not free(key, leeway.extra)
    ]
    for key, kind in fields.items():
        if key not in value:
            found += [] if free(key, leeway.absent) else [f"{where}.{key}: missing"]
        elif value[key] is not None or not free(key, leeway.null):
            found += faults(value[key], kind, models, f"{where}.{key}", leeway)
    return found


def type_of(ours):
    """A Python type as this module reads it."""
    return shape.type_info(ours)


def structs_of(module):
    """Every Struct that a module makes."""
    return [
        made for made in vars(module).values()
        if isinstance(made, type) and issubclass(made, msgspec.Struct) and made.__module__ == module.__name__
    ]  # fmt: skip
