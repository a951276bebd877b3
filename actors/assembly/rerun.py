"""``bulkhead rerun``: the decisions of a capture made again, and compared with those recorded. Pure.

A decision is the same if its facts are, byte for byte as the journal has them, and its answer. One that failed is the same
if it fails with the same error at the same lines: frames before the decision itself, of the program that called it, differ.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import PurePath
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from actors.core.errors import InputMissing
from actors.subaccount.capture import Capture, CapturedDecision, facts_of, reply_of
from actors.subaccount.fold import folded
from actors.subaccount.recording import decide_again
from actors.subaccount.state import AccountState
from actors.subaccount.state_codec import state_hash

CALLERS = ("subaccount/actor.py:", "assembly/rerun.py:")
LAST_CALLERS = (" decide_again", " decide_in")
"""Frames that lead to a decision, by file or by function; those behind the last of them belong to it."""


class Verdict(StrEnum):
    """How a decision compares with the recorded one."""

    SAME = "SAME"
    SAME_ERROR = "SAME_ERROR"
    DIFFERENT = "DIFFERENT"


class Rerun(NamedTuple):
    """One decision that was made again. ``difference`` says what differs, empty if nothing does."""

    number: int
    recorded: CapturedDecision
    verdict: Verdict
    facts: bytes
    reply: bytes
    error: str
    traceback: str
    difference: str


Step = Callable[[int, CapturedDecision, AccountState, Any], None]
"""Called before each decision: its number from 1, what was recorded, the state and the message."""


def _no_step(_number: int, _recorded: CapturedDecision, _state: AccountState, _message: Any) -> None:
    """Do not stop."""


def rerun(capture: Capture, step: Step = _no_step) -> Iterator[Rerun]:
    """Make the decisions of a capture again, in order.

    Each begins with its recorded state, and must end with that of the next where no decision lies between.

    Raises:
        BadInput: a state, message or fact in the file cannot be read.
    """
    after = None
    for number, recorded in enumerate(capture.decisions, 1):
        state, message = recorded.before(), recorded.told()
        found = _again(number, recorded, state, message, step)
        if (
            after is not None
            and after.sequence == state.sequence
            and state_hash(after) != recorded.state_hash
        ):
            text = f"the decision before it ends with the state {state_hash(after)}, and this one began with {recorded.state_hash}"
            found = found._replace(verdict=Verdict.DIFFERENT, difference=text)
        yield found
        after = None if recorded.error else _ended(state, recorded)


def _ended(state: AccountState, recorded: CapturedDecision) -> AccountState:
    """The state after the recorded facts."""
    facts = recorded.decided()
    return replace(folded(state, facts), sequence=recorded.sequence) if facts else state


def _again(number: int, recorded: CapturedDecision, state: AccountState, message: Any, step: Step) -> Rerun:
    facts, reply, error, text = b"[]", b"null", "", ""
    step(number, recorded, state, message)
    try:
        decision = decide_again(state, message, recorded.inputs, recorded.action)
        facts, reply = bytes(facts_of(decision.facts)), bytes(reply_of(decision.reply))
        what = _difference(recorded, facts, reply)
    except InputMissing as missing:
        error, what = str(missing), str(missing)
    except Exception as failure:  # noqa: BLE001 - whatever a decision raises is its outcome
        error, text = f"{type(failure).__name__}: {failure}", "".join(traceback.format_exception(failure))
        what = _difference_of_errors(recorded, error, text)
    verdict = Verdict.DIFFERENT if what else Verdict.SAME_ERROR if error else Verdict.SAME
    return Rerun(number, recorded, verdict, facts, reply, error, text, what)


def _difference(recorded: CapturedDecision, facts: bytes, reply: bytes) -> str:
    if recorded.error:
        return f"it failed when it was recorded ({recorded.error}), and does not fail now"
    if facts != bytes(recorded.facts):
        return _first_difference(bytes(recorded.facts), facts)
    if reply != bytes(recorded.reply):
        return f"the facts are the same, the answer is not: {_said(reply)} instead of {_said(bytes(recorded.reply))}"
    return ""


def _first_difference(recorded: bytes, now: bytes) -> str:
    """Which fact differs first, and in what."""
    was: list[dict[str, Any]] = msgspec.json.decode(recorded)
    is_: list[dict[str, Any]] = msgspec.json.decode(now)
    for number, (one, other) in enumerate(zip(was, is_, strict=False), 1):
        if one == other:
            continue
        kind, now_kind = one.get("fact"), other.get("fact")
        if kind != now_kind:
            return f"fact {number} is {now_kind} instead of {kind}"
        return f"fact {number}, {kind}: {_field(one, other)}"
    if len(was) != len(is_):
        kinds = ", ".join(str(fact.get("fact")) for fact in (was[len(is_) :] or is_[len(was) :]))
        return f"{len(is_)} facts instead of {len(was)}: {'without' if len(is_) < len(was) else 'besides'} {kinds}"
    return "the facts say the same in other bytes"


def _field(was: dict[str, Any], is_: dict[str, Any], path: str = "") -> str:
    """The first field that differs, of a fact or of what is in it."""
    for name in {**was, **is_}:
        one, other = was.get(name), is_.get(name)
        if isinstance(one, dict) and isinstance(other, dict) and one != other:
            return _field(one, other, f"{path}{name}.")
        if one != other:
            return f"{path}{name} is {_json(other)} instead of {_json(one)}"
    return "it is the same"


def _difference_of_errors(recorded: CapturedDecision, error: str, text: str) -> str:
    if not recorded.error:
        return f"it fails now, and did not when it was recorded: {error}"
    if error != recorded.error:
        return f"it fails with another error: {error} instead of {recorded.error}"
    was, now = own_frames(recorded.traceback), own_frames(text)
    if was != now:
        return f"it fails elsewhere: at {' > '.join(now)} instead of {' > '.join(was)}"
    return ""


def own_frames(text: str) -> list[str]:
    """The frames of a traceback that belong to the decision, as ``file:line function``."""
    found: list[str] = []
    for line in text.splitlines():
        if line.startswith('  File "') and ", line " in line:
            file, _, rest = line.removeprefix('  File "').partition('", line ')
            number, _, function = rest.partition(", in ")
            found.append(f"{'/'.join(PurePath(file).parts[-2:])}:{number} {function}")
    last = max(
        (n for n, f in enumerate(found) if f.startswith(CALLERS) or f.endswith(LAST_CALLERS)), default=-1
    )
    return found[last + 1 :]


def _said(reply: bytes) -> str:
    return reply.decode(errors="replace")


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
