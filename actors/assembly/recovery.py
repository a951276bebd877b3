"""Orders of an earlier run, and orders to cancel without the database: what may not wait for new business.

An order of an earlier run may be at the exchange or not, and may have traded meanwhile. Before new risk is allowed
the gateway queries the fate of each that was not final, and the books are compared with the exchange.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from actors.assembly.build import Assembly
from actors.assembly.reconciliation import Difference, told_of
from actors.core.alarm_level import Critical
from actors.core.enums import Purpose
from actors.core.facts import CancelIntended
from actors.core.order_messages import Recover, Submit
from actors.core.records import Recovery
from actors.core.units import AccountId
from actors.subaccount.state import AccountState

RECOVERY_SECONDS = 30.0
SETTLE_SECONDS = 10.0
"""How long the books may differ before that is an alarm."""

PRICES_SECONDS = 3.0
"""A symbol without a market must not keep the others waiting for longer."""

LOOK_SECONDS = 0.05


def recover(
    assembly: Assembly,
    recovery: Recovery,
    reconcile: Callable[[float], Iterable[Difference]],
    on_progress: Callable[[str], None],
    book_lost: Callable[[], None] = lambda: None,
) -> None:
    """Resolve every order of an earlier run; what stays unknown, or differs, is an alarm.

    Args:
        assembly: with a running gateway.
        recovery: orders that were not final, from the database.
        reconcile: compares the books, with seconds that a difference may take to go away.
        on_progress: informed of what takes seconds.
        book_lost: books what the database does not know, before the books are compared (``lost_orders``).

    Raises:
        ExchangeUnreachable, ExchangeBusy, StoreUnreachable: the books cannot be compared.
    """
    if recovery.working:
        on_progress(f"asking the exchange after {len(recovery.working)} unfinished orders")
    alarm, gateway = assembly.runtime.alarm, assembly.actors["gateway"]
    gateway.tell(Recover(recovery))
    deadline = time.monotonic() + RECOVERY_SECONDS
    while time.monotonic() < deadline:
        if not gateway.cell.mailbox.depth() and not gateway.cell.actor.inspect_state().unknown:
            break
        time.sleep(LOOK_SECONDS)
    else:
        alarm(
            Critical("some orders of the last run are still of unknown fate; see 'bulkhead inspect gateway'")
        )
    book_lost()
    for text in told_of(reconcile(SETTLE_SECONDS)):
        alarm(text)


def wait_for_prices(assembly: Assembly) -> None:
    """Wait until each symbol that has a market has a price, so that no account's first order lacks one."""
    deadline = time.monotonic() + PRICES_SECONDS
    symbols = [s for s, i in assembly.context.instruments.items() if i.is_trading]
    while time.monotonic() < deadline and any(s not in assembly.book.ticks for s in symbols):
        time.sleep(LOOK_SECONDS)


def cancel_at_once(assembly: Assembly, account_id: AccountId, *, all_own: bool = False) -> int:
    """Have the gateway cancel what an account wants cancelled, before that is durable.

    A cancel only takes risk away, so it must not wait for Postgres. The gateway gets it again when it is
    durable, which changes nothing then; an order that is not durable yet is not at the exchange.

    Args:
        assembly: with a running gateway.
        account_id: whose orders.
        all_own: every order of the account's own, wanted or not, as in quarantine.

    Returns:
        How many.
    """
    ref, gateway = assembly.registry.find(account_id), assembly.actors.get("gateway")
    state = ref.cell.actor.inspect_state() if ref is not None else None
    if not isinstance(state, AccountState) or gateway is None:
        return 0
    cancels = tuple(
        CancelIntended(account_id, o.client_order_id, o.symbol, "at once")
        for o in state.orders
        if o.cancel_requested or (all_own and o.purpose is Purpose.USER)
    )
    for cancel in cancels:
        assembly.order_path(cancel.symbol).tell(Submit((), (cancel,)))
    return len(cancels)
