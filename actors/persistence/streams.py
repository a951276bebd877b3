"""What makes a stream's state of its rows: facts of accounts for accounts, of clearing for clearings. Pure.

The rest of this folder asks here instead of knowing both.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

from msgspec.structs import replace

from actors.clearing import fold as clearing_fold
from actors.clearing import state_codec as clearing_codec
from actors.clearing.state import ClearingState
from actors.core import clearing_fact_codec, fact_codec
from actors.core.clearing_facts import ClearingFact
from actors.core.clearing_messages import CLEARING_PREFIX, clearing_name, is_clearing
from actors.core.facts import AccountOpened, AnyFact, begins
from actors.core.units import AccountId, Symbol
from actors.subaccount import state_codec
from actors.subaccount.fold import folded
from actors.subaccount.state import AccountState

S = TypeVar("S", AccountState, ClearingState)
StreamState = AccountState | ClearingState


class Kind(Protocol[S]):
    """One kind of streams: how its rows are read. All functions raise ``StateCorrupt`` for what cannot be."""

    version: int
    """Of states as ``encode`` makes them."""

    def blank(self, stream: str) -> S:
        """The state before the stream's first row."""

    def facts(self, version: int, data: bytes) -> Any:
        """The facts of a row."""

    def begins(self, sequence: int, facts: Any) -> bool:
        """Whether a stream may begin with a decision of that number: with these facts."""

    def after(self, state: S, facts: Any, sequence: int) -> S:
        """The state after a row."""

    def decode(self, version: int, data: bytes) -> S:
        """A state as a snapshot has it."""

    def encode(self, state: S) -> bytes:
        """The way back."""

    def stream_of(self, state: S) -> str:
        """Whose state it is."""

    def hash_of(self, state: S) -> str:
        """Equal for equal states, in hex."""


class _Accounts:
    version = state_codec.VERSION

    def blank(self, stream: str) -> AccountState:
        return AccountState(account_id=AccountId(stream))

    def facts(self, version: int, data: bytes) -> tuple[AnyFact, ...]:
        return fact_codec.decode(version, data)

    def begins(self, sequence: int, facts: Any) -> bool:
        # One that was carried from older tables begins at the number that it had.
        return begins(facts) and (sequence == 0 or not isinstance(facts[0], AccountOpened))

    def after(self, state: AccountState, facts: Any, sequence: int) -> AccountState:
        return replace(folded(state, facts), sequence=sequence)

    def decode(self, version: int, data: bytes) -> AccountState:
        return state_codec.decode(version, data)

    def encode(self, state: AccountState) -> bytes:
        return state_codec.encode(state)

    def stream_of(self, state: AccountState) -> str:
        return state.account_id

    def hash_of(self, state: AccountState) -> str:
        return state_codec.state_hash(state)


class _Clearings:
    version = clearing_codec.VERSION

    def blank(self, stream: str) -> ClearingState:
        return ClearingState(symbol=symbol_of(stream))

    def facts(self, version: int, data: bytes) -> tuple[ClearingFact, ...]:
        return clearing_fact_codec.decode(version, data)

    def begins(self, sequence: int, facts: Any) -> bool:
        del facts  # its first block, whatever that is
        return sequence == 1

    def after(self, state: ClearingState, facts: Any, sequence: int) -> ClearingState:
        return replace(clearing_fold.folded(state, facts), sequence=sequence)

    def decode(self, version: int, data: bytes) -> ClearingState:
        return clearing_codec.decode(version, data)

    def encode(self, state: ClearingState) -> bytes:
        return clearing_codec.encode(state)

    def stream_of(self, state: ClearingState) -> str:
        return clearing_name(state.symbol)

    def hash_of(self, state: ClearingState) -> str:
        return clearing_codec.state_hash(state)


ACCOUNTS: Kind[AccountState] = _Accounts()
CLEARINGS: Kind[ClearingState] = _Clearings()


def symbol_of(stream: str) -> Symbol:
    """The symbol whose clearing it is."""
    return Symbol(stream.removeprefix(CLEARING_PREFIX))


def kind_of(stream: str) -> Kind[Any]:
    """How the rows of that stream are read."""
    return CLEARINGS if is_clearing(stream) else ACCOUNTS


def named_hash(state: StreamState) -> tuple[str, str]:
    """Whose state it is, and its hash in hex."""
    if isinstance(state, ClearingState):
        return CLEARINGS.stream_of(state), CLEARINGS.hash_of(state)
    return ACCOUNTS.stream_of(state), ACCOUNTS.hash_of(state)
