"""The engine's own bounds, each with its unit and its reason; neighbours are checked against each other at import.

What one account may do is in ``actors.limits.model``, what an operator may set in ``actors.assembly.config``. A
constant that only one file needs stands in that file.
"""

from __future__ import annotations

from decimal import Decimal

from actors.core.units import NANOS_PER_MS, NANOS_PER_SECOND, Nanos

# -- accounts

WARNING_DISTANCE = Decimal("0.10")
"""Margin ratio: an account is warned this far below its first ADL tier, as on the existing platform."""

ADL_REFUSALS_MAX = 10
"""Refused liquidation steps in a row before the account is STUCK and an operator is called."""

ADL_BACKOFF_FIRST_MS = 200
"""Milliseconds of wait after the first refused step, doubled after each further one: a refusal never becomes a storm."""

ADL_UNSENT_MAX_MS = 2_000
"""Milliseconds: the longest wait after a step that the exchange never got, which is no refusal. It begins with
``ADL_BACKOFF_FIRST_MS`` and doubles; nothing is decided more often than an order that waits is called stale."""

ADL_BACKOFF_MAX_MS = 30_000
"""Milliseconds: the longest wait between two steps; prices move too far in a longer one."""

ADL_STUCK_EVERY_MS = 300_000
"""Milliseconds between two tries of a STUCK account: a thousand of them send three orders a second."""

CONDITIONALS_MAX = 50
"""Conditional orders of one account. Each is looked at on every wake, and a wake must stay short."""

REARM_MAX = 10
"""How many times a protective order that the exchange refused is sent again before only an operator can help."""

REARM_FIRST_MS = 200
"""Milliseconds of wait before that, doubled each time."""

RETURNS_MIN = 30
"""Minute returns that correlation and value at risk need; fewer say nothing (seed 004 asks for more than 30)."""

FEE_ASK_FIRST = Nanos(2 * NANOS_PER_SECOND)
"""Nanoseconds before what a pending fee lacks is asked for again, doubled each time: the exchange knows it by then."""

FEE_ASK_MAX = Nanos(60 * NANOS_PER_SECOND)
"""Nanoseconds: the longest wait between two such questions; a fee may stay pending for days without costing weight."""

ORDER_RATE_WINDOW_MS = 60_000
"""Milliseconds that ``max_orders_per_minute`` counts over: a sliding minute."""

# -- mailboxes and turns

TRACE_DEPTH = 8
"""Messages remembered per actor: enough to see what led to a crash, 1 KB at the most."""

RECORDED_DECISIONS = 10_000
"""Decisions whose inputs an engine remembers unless its settings say otherwise, of all accounts together: 15 MB however many
accounts there are."""

RECORDED_BYTES_EACH = 1_500
"""As measured: state and message are shared with the engine, what is kept beside them is not."""

COMMANDS_MAX = 256
"""Commands waiting in one mailbox. A bot that is 256 commands ahead of its account is broken."""

MAILBOX_HIGH = 1_000
"""Fills waiting in one account's mailbox above which that account takes no new risk."""

MAILBOX_LOW = 200
"""Fills waiting below which it takes new risk again; well below the high mark, so that it does not flicker."""

ORDER_WAIT_MAX = Nanos(10 * NANOS_PER_SECOND)
"""Nanoseconds that an order may wait in a mailbox. Its sender has been answered by then that it failed."""

TURN_MESSAGES = 64
"""Messages that one actor handles before the next one runs."""

TURN_NANOS = Nanos(2 * NANOS_PER_MS)
"""Nanoseconds after which a turn ends even with messages left; a fifth of what a commit may take (10 ms)."""

HIGHER_LANE_RUN = 16
"""Messages of higher lanes handled in a row before a waiting lower lane gets one, so that none starves."""

# -- storing and sending

WRITER_BATCH_FIRST = 512
"""Decisions in one transaction at the start; the measured knee of group commit is between 100 and 1,000."""

WRITER_BATCH_LEAST = 64
"""However slow a commit is, so many decisions share it."""

WRITER_BATCH_MOST = 2_048
"""However quick a commit is, no more wait for each other."""

WRITER_BATCH_BEHIND = 1_024
"""While many wait behind a batch it grows to so many, however slow commits are: at 0.1 ms each they take a tenth of a second."""

WRITER_WAITING_HIGH = 20_000
"""Decisions waiting for the writer above which accounts take no new risk: some seconds of a full writer's work."""

WRITER_WAITING_LOW = 5_000
"""Decisions waiting below which new risk is allowed again."""

PROJECTION_BATCH_MAX = 4_000
"""Decisions in one transaction of the projector: a tenth of a second's work, which a failure may have to do again."""

PROJECTION_LAG_HIGH = 20_000
"""Decisions not projected above which accounts take no new risk: what people and the platform see is too old."""

PROJECTION_LAG_LOW = 4_000
"""Decisions not projected below which new risk is allowed again."""

PROJECTION_AGE_HIGH = Nanos(10 * NANOS_PER_SECOND)
"""Nanoseconds that the oldest decision may wait for its projection before accounts take no new risk."""

PROJECTION_AGE_LOW = Nanos(2 * NANOS_PER_SECOND)
"""Nanoseconds below which new risk is allowed again."""

CROWD_BACKLOG = 200
"""Actors that wait for a turn above which they are a crowd, as after a price that many accounts must look at: what can be done
later leaves the interpreter, of which there is one, to their decisions."""

PROJECTION_WAIT_MAX = Nanos(3 * NANOS_PER_SECOND)
"""Nanoseconds that a decision may wait for its projection while a crowd decides."""

PROJECTION_WAIT_BEHIND = PROJECTION_LAG_HIGH // 2
"""Decisions not projected above which they wait for no crowd."""

HANDED_MAX = 20_000
"""Decisions that the projector keeps in memory; what comes on top it reads from the journal later."""

HANDED_WAITING = 200
"""Hand-overs, a commit each, that wait in the projector's mailbox; what comes on top it reads from the journal later."""

SNAPSHOT_EVERY = 64
"""Decisions of an account between two snapshots: a restart folds so many at the most, in a millisecond or two."""

STATES_KEPT = 250_000
"""States of accounts that the projector remembers, to read on from the journal and to write snapshots at a stop. They are
the accounts' own objects, so that each takes some 200 bytes more."""

PARKED_MAX = 100
"""Accounts that may be left out of the projection one by one. More is a fault of ours, and stops the projector."""

ORDER_MAX_AGE_MS = 30_000
"""Milliseconds: how old a decision that opens risk may be when it is sent; its market is gone after that."""

UNKNOWN_QUERY_EVERY = Nanos(500 * NANOS_PER_MS)
"""Nanoseconds between two queries of an order whose fate is unknown."""

CLIENT_ORDER_ID_PREFIX = "bh"
"""Orders on the master account that start with this are of a fleet of ours; ``actors.core.order_ids`` says which."""

assert WRITER_BATCH_LEAST < WRITER_BATCH_FIRST < WRITER_BATCH_MOST
assert WRITER_BATCH_LEAST < WRITER_BATCH_BEHIND <= WRITER_BATCH_MOST
assert WRITER_WAITING_LOW < WRITER_WAITING_HIGH
assert PROJECTION_BATCH_MAX <= PROJECTION_LAG_LOW < PROJECTION_LAG_HIGH
assert PROJECTION_AGE_LOW < PROJECTION_AGE_HIGH
assert PROJECTION_WAIT_MAX < PROJECTION_AGE_HIGH
assert MAILBOX_LOW < MAILBOX_HIGH
assert HIGHER_LANE_RUN < TURN_MESSAGES
assert ADL_BACKOFF_FIRST_MS < ADL_BACKOFF_MAX_MS < ADL_STUCK_EVERY_MS
assert FEE_ASK_FIRST < FEE_ASK_MAX

RECOVERED_FROM = "recovered:"
"""How the cause of an order begins that was learned from the exchange, as the journal that had it is lost."""
