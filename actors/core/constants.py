"""The engine's own bounds, each with its unit and its reason, checked against its neighbours at import.

What one account may do is in ``actors.limits.model``.
"""

from __future__ import annotations

from decimal import Decimal

from actors.core.units import NANOS_PER_MS, NANOS_PER_SECOND, Nanos

WARNING_DISTANCE = Decimal("0.10")
"""An account is warned this far below its first tier, as on the existing platform."""

TRACE_DEPTH = 8
"""Messages remembered per actor: enough to see what led to a crash, 1 KB at the most."""

COMMANDS_MAX = 256
"""Commands waiting in one mailbox. A bot that is 256 commands ahead of its account is broken."""

MAILBOX_HIGH = 1_000
"""Fills waiting in one account's mailbox above which that account takes no new risk."""

MAILBOX_LOW = 200
"""Fills waiting below which it may again."""

ORDER_WAIT_MAX = Nanos(10 * NANOS_PER_SECOND)
"""How long an order may wait in a mailbox. Its request has failed by then."""

TURN_MESSAGES = 64
"""Messages that one actor handles before the next one runs."""

TURN_NANOS = Nanos(2 * NANOS_PER_MS)
"""Time after which a turn ends even with messages left; half of the commit target."""

HIGHER_LANE_RUN = 16
"""Messages of higher lanes handled in a row before a waiting lower lane gets one."""

WRITER_BATCH_MAX = 512
"""Decisions in one transaction; the measured knee of group commit is between 100 and 1,000."""

WRITER_WAITING_HIGH = 20_000
"""Decisions waiting for the writer above which accounts take no new risk."""

WRITER_WAITING_LOW = 5_000
"""Decisions waiting below which new risk is allowed again."""

ADL_REFUSALS_MAX = 10
"""Refused liquidation steps in a row before the account is STUCK and a human is called."""

ADL_BACKOFF_FIRST = Nanos(200 * NANOS_PER_MS)
"""Wait after the first refused step; doubled after each further one."""

ADL_BACKOFF_MAX = Nanos(30 * NANOS_PER_SECOND)
"""The longest wait between two steps."""

ADL_STUCK_EVERY = Nanos(300 * NANOS_PER_SECOND)
"""How often a STUCK account tries once more: a thousand of them are three orders a second."""

ORDER_MAX_AGE_MS = 30_000
"""How old a decision may be when it is sent; the market that it was made for is gone after that."""

UNKNOWN_QUERY_EVERY = Nanos(500 * NANOS_PER_MS)
"""How often an order of unknown fate is queried."""

CONDITIONALS_MAX = 50
"""Conditional orders of one account. Each is looked at on every wake, and a wake must stay short."""

REARM_MAX = 10
"""How often a protective order that the exchange refused is sent again before only a human can help."""

REARM_FIRST_MS = 200
"""Wait before that; doubled each time."""

RETURNS_MIN = 30
"""Minute returns that correlation and value at risk need; fewer say nothing (seed 004 asks for more than 30)."""

FEE_ASK_FIRST = Nanos(2 * NANOS_PER_SECOND)
"""Wait before what a pending fee lacks is asked for again; doubled each time."""

FEE_ASK_MAX = Nanos(60 * NANOS_PER_SECOND)
"""The longest wait between two such questions."""

ORDER_RATE_WINDOW_MS = 60_000
"""What ``max_orders_per_minute`` counts over: a sliding minute."""

CLIENT_ORDER_ID_PREFIX = "bh"
"""Orders on the master account that start with this are of a fleet of ours; ``actors.core.order_ids`` says which."""

assert WRITER_WAITING_LOW < WRITER_WAITING_HIGH
assert MAILBOX_LOW < MAILBOX_HIGH
assert HIGHER_LANE_RUN < TURN_MESSAGES
assert ADL_BACKOFF_FIRST < ADL_BACKOFF_MAX < ADL_STUCK_EVERY
