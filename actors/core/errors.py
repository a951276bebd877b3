"""What can go wrong, drawn as a tree.

BulkheadError
├── BadInput            the caller's fault: names the value and the cure
│   ├── BadConfig       a setting, an environment variable or a command-line flag
│   └── NotKept         what is asked for is older than what is kept; says from where on it is
├── Broken              our fault: an invariant does not hold; one actor dies of it
│   ├── StateCorrupt    a fact that does not fit the state that it meets
│   ├── StateLost       the database does not know the actor's state
│   └── BooksWrong      an account's entries do not add up; nothing is shown of them
├── OtherHistory        the journal is not the one that somebody read: a backup was restored; says where they part
├── NotStarted          an actor did not come up in time
├── Refused             a mailbox that is full or closed did not take the message
├── NotDurable          the writer could not store a decision; it never happened
│   └── Fenced          the database refused a stale epoch: another process owns the shard
├── Overtaken           another projector works on this database
├── StoreUnreachable    Postgres does not answer
├── StoreBusy           Postgres is there, but a lock or a slow statement kept us too long
├── RedisUnreachable    Redis does not answer
├── RedisRefused        Redis is there and refuses: a password, a role, memory, a key of another type; says which
├── Overloaded          too many wait for the same already; says when to come again
├── NotRecorded         an operator's action could not be kept in the data folder, so it was not done
├── ForeignDatabase     the DSN names a database that is neither empty, nor the platform's
├── ExchangeUnreachable the exchange does not answer
├── ExchangeBusy        not asked: our own budget of request weight is used up; says when it is not
├── VenueRefused        the exchange answers with an error of its own
├── MasterUnfit         the master account is set up in a way that the engine cannot trade with
├── InputMissing        a decision that is made again reads what the recorded one did not
└── FaultInjected       raised on purpose by the demo and by tests
"""

from __future__ import annotations


class BulkheadError(Exception):
    """Root of everything that we raise ourselves."""


class BadInput(BulkheadError):  # noqa: N818 - names read as in the tree above
    """The caller's fault. The text names the bad value and the cure."""


class BadConfig(BadInput):
    """A setting that cannot be used."""


class NotKept(BadInput):
    """What is asked for is older than what is kept. The text says from where on it is."""


class Broken(BulkheadError):  # noqa: N818 - as above
    """An invariant of ours does not hold."""


class StateCorrupt(Broken):
    """A fact does not fit the state that it meets."""


class StateLost(Broken):
    """The database does not know an actor's state, so no restart can bring it back."""


class BooksWrong(Broken):
    """An account's entries do not add up to its balance; names the first that does not fit."""


class OtherHistory(BulkheadError):  # noqa: N818 - as above
    """The journal has not the root that somebody read from it. The text says up to where both are the same."""


class NotStarted(BulkheadError):  # noqa: N818 - as above
    """An actor did not come up in time."""


class Refused(BulkheadError):  # noqa: N818 - as above
    """A mailbox is full or closed; the message was not taken."""


class NotDurable(BulkheadError):  # noqa: N818 - as above
    """The decision could not be stored, so it did not happen."""


class Fenced(NotDurable):
    """The database knows a newer epoch of the shard."""


class Overtaken(BulkheadError):  # noqa: N818 - as above
    """The projection's cursor is not where we left it: another process projects here."""


class StoreUnreachable(BulkheadError):  # noqa: N818 - as above
    """Postgres does not answer."""


class StoreBusy(BulkheadError):  # noqa: N818 - as above
    """Postgres is there, but this one statement took too long; others may not."""


class RedisUnreachable(BulkheadError):  # noqa: N818 - as above
    """Redis does not answer; nothing depends on it but who reads there."""


class RedisRefused(BulkheadError):  # noqa: N818 - as above
    """Redis is there, and does not do what it was asked; the text says why, and the cure."""


class Overloaded(BulkheadError):  # noqa: N818 - as above
    """Too many wait for the same already; the text says for what."""


class NotRecorded(BulkheadError):  # noqa: N818 - as above
    """An operator's action could not be kept in the data folder, so it was not done."""


class ForeignDatabase(BulkheadError):  # noqa: N818 - as above
    """The database holds something else than the platform's tables."""


class ExchangeUnreachable(BulkheadError):  # noqa: N818 - as above
    """The exchange does not answer."""


class ExchangeBusy(BulkheadError):  # noqa: N818 - as above
    """The exchange was not asked, because others need the request weight; the text says when to try again."""


class VenueRefused(BulkheadError):  # noqa: N818 - as above
    """The exchange answers with an error of its own; ``code`` is its number."""

    def __init__(self, text: str, code: int = 0) -> None:
        super().__init__(text)
        self.code = code


class MasterUnfit(BulkheadError):  # noqa: N818 - as above
    """The master account's settings do not fit; names each, and what would change it."""


class InputMissing(BulkheadError):  # noqa: N818 - as above
    """A recorded decision cannot be made again: it asks for what was never read. Names it."""


class FaultInjected(BulkheadError):  # noqa: N818 - as above
    """Raised on purpose."""
