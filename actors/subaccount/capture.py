"""A capture: decisions of one account with all that they were made of, as one file. Pure.

The file is one line in ASCII, ``bulkhead capture VERSION LENGTH HASH``, and behind it JSON: LENGTH is its bytes, HASH
their blake2b with 16 bytes in hex. Money is text, so that no digit is lost; facts are the very bytes of the journal.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec

from actors.core import fact_codec, replay_codec
from actors.core.errors import BadInput, StateCorrupt
from actors.core.facts import AnyFact
from actors.core.messages import Message
from actors.core.names import shown
from actors.limits.model import RiskLimits
from actors.subaccount import state_codec
from actors.subaccount.decide import AccountMessage, cause_of
from actors.subaccount.pipeline import Accepted, Rejected
from actors.subaccount.recording import Action, Inputs, Recorded
from actors.subaccount.state import AccountState

VERSION = 1
"""Of the file. A field that has a default which says what all files before it meant makes no new version."""

MAGIC = b"bulkhead capture "
HEAD_MAX = 100
"""Bytes of the first line: more are no capture's."""

HASH_BYTES = 16
NOTHING = msgspec.Raw(b"null")
NO_FACTS = msgspec.Raw(b"[]")


class CapturedDecision(msgspec.Struct, frozen=True, kw_only=True):
    """One decision: what it was made of, and what came of it.

    ``state`` is the account before it, as snapshots have it, and ``state_hash`` its hash; ``message`` is as dead letters
    have it. ``sequence`` is the account's after it, ``position`` that of its row in the journal, 0 while it is not there.
    ``is_look`` says that nobody made it: it is what the account would have decided when the capture was made. ``error``
    and ``traceback`` are of a decision that failed.
    """

    sequence: int
    cause: str
    action: Action
    state_version: int
    state: msgspec.Raw
    state_hash: str
    base_limits: RiskLimits
    message_kind: str
    message: msgspec.Raw
    inputs: Inputs | None
    facts_version: int = fact_codec.VERSION
    facts: msgspec.Raw = NO_FACTS
    reply: msgspec.Raw = NOTHING
    position: int = 0
    is_look: bool = False
    error: str = ""
    traceback: str = ""

    def before(self) -> AccountState:
        """The account as the decision met it.

        Raises:
            BadInput: it cannot be read, or is another than was captured.
        """
        try:
            state = state_codec.decode(self.state_version, self.state, self.base_limits)
        except StateCorrupt as error:
            raise BadInput(f"the state before decision {self.sequence}: {error}") from None
        if state_codec.state_hash(state) != self.state_hash:
            raise BadInput(
                f"the state before decision {self.sequence} reads as another one than was captured "
                f"({state_codec.state_hash(state)} instead of {self.state_hash}); use the release that made the file"
            )
        return state

    def told(self) -> Message:
        """The message.

        Raises:
            BadInput: it cannot be made again.
        """
        if self.message == NOTHING:
            raise BadInput(f"the {self.message_kind} of decision {self.sequence} could not be written down")
        return replay_codec.decode(self.message_kind, bytes(self.message).decode())

    def decided(self) -> tuple[AnyFact, ...]:
        """The facts, as they are read today.

        Raises:
            BadInput: they cannot be read.
        """
        try:
            return fact_codec.decode(self.facts_version, bytes(self.facts))
        except StateCorrupt as error:
            raise BadInput(f"the facts of decision {self.sequence}: {error}") from None


class Handled(msgspec.Struct, frozen=True, kw_only=True):
    """One of the last messages that the account handled, for people to read; see ``bulkhead trace``."""

    at_ms: int
    kind: str
    cause: str
    content: str
    took_us: int


class Capture(msgspec.Struct, frozen=True, kw_only=True):
    """What a file holds. ``made_ms`` is Unix time, ``dead_letter`` a number if it is of one."""

    account: str
    made_ms: int
    program: str = ""
    dead_letter: int = 0
    decisions: tuple[CapturedDecision, ...] = ()
    trace: tuple[Handled, ...] = ()


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Capture)


def captured(
    recorded: Recorded, error: str = "", traceback: str = "", *, is_look: bool = False
) -> CapturedDecision:
    """A recorded decision as a file has it. One that failed has no facts."""
    before = recorded.before
    return CapturedDecision(
        sequence=before.sequence + bool(recorded.facts),
        cause=_cause(recorded.message),
        action=recorded.action,
        state_version=state_codec.VERSION,
        state=msgspec.Raw(state_codec.encode(before)),
        state_hash=state_codec.state_hash(before),
        base_limits=before.base_limits,
        message_kind=type(recorded.message).__name__,
        message=msgspec.Raw(replay_codec.encode(recorded.message).encode() or b"null"),
        inputs=recorded.inputs,
        facts=facts_of(recorded.facts),
        reply=reply_of(recorded.reply),
        is_look=is_look,
        error=error,
        traceback=traceback,
    )


def facts_of(facts: Iterable[AnyFact]) -> msgspec.Raw:
    """Facts as the journal has them."""
    return msgspec.Raw(fact_codec.encode(tuple(facts)))


def reply_of(reply: Accepted | Rejected | None) -> msgspec.Raw:
    """What was answered, as JSON."""
    return msgspec.Raw(_ENCODER.encode(reply))


def _cause(message: Any) -> str:
    return cause_of(message) if isinstance(message, AccountMessage) else str(getattr(message, "cause", ""))


def encode(capture: Capture) -> bytes:
    """The file of a capture."""
    body = _ENCODER.encode(capture)
    return MAGIC + f"{VERSION} {len(body)} {_hash(body)}\n".encode() + body


def decode(data: bytes, name: str) -> Capture:
    """The capture of a file.

    Args:
        data: the whole file.
        name: of the file, for errors.

    Raises:
        BadInput: it is no capture, of another version, cut off or changed; says which.
    """
    head, newline, body = data[:HEAD_MAX].partition(b"\n")
    if not head.startswith(MAGIC):
        if MAGIC.startswith(data):
            raise BadInput(f"{name}: cut off after {len(data)} bytes; make it again")
        raise BadInput(f"{name}: not a capture; 'bulkhead capture ACCOUNT -o FILE' makes one")
    fields = head.removeprefix(MAGIC).decode("ascii", "replace").split(" ")
    if fields[0] != str(VERSION) and newline:
        raise BadInput(
            f"{name}: a capture of version {shown(fields[0], 20)}, and this release reads version {VERSION}; "
            "use the release that made it"
        )
    if not newline:
        raise BadInput(f"{name}: cut off inside its first line; make it again")
    body = data[len(head) + 1 :]
    if len(fields) != 3 or not fields[1].isdecimal():  # noqa: PLR2004 - version, length, hash
        raise BadInput(
            f"{name}: its first line is damaged: {shown(head.decode('ascii', 'replace'))}; make it again"
        )
    length = int(fields[1])
    if len(body) != length:
        how = "cut off" if len(body) < length else "longer than it was"
        raise BadInput(f"{name}: {how}: {len(body):,} bytes of {length:,}; make it again")
    if _hash(body) != fields[2]:
        raise BadInput(
            f"{name}: damaged: its bytes have the hash {_hash(body)} instead of {shown(fields[2], 40)}"
        )
    try:
        return _DECODER.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadInput(f"{name}: a capture of version {VERSION} that cannot be read: {error}") from None


def _hash(body: bytes) -> str:
    return hashlib.blake2b(body, digest_size=HASH_BYTES).hexdigest()
