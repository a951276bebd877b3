"""What is projected of what an account's limits remember. Pure."""

from __future__ import annotations

from typing import Any

from actors.persistence.projection.batch import Batch
from actors.persistence.projection.decided import Decided
from actors.persistence.projection.tables import Table
from actors.subaccount.risk_state import INITIAL_RISK_STATE, RiskState

RISK = Table(
    "bulkhead.account_risk",
    ("account_id",),
    """account_id day_start_ms day_equity day_stopped losses errors breaker breaker_reason breaker_until_ms
    breaker_by_hand closing_out last_refusal""",
)


def project_state(batch: Batch, decided: Decided) -> None:
    """An account's risk after a decision that may have changed it.

    An account that nothing ever happened to has no row. One that is as at its begin again keeps its row: whether there is
    one depends on the decisions alone, and not on how they came in batches.
    """
    rows, values = batch.of(RISK), _values(decided.state.risk)
    write = rows.change if values == _INITIAL else rows.put
    write(decided.state.account_id, **values)


def _values(risk: RiskState) -> dict[str, Any]:
    return {
        "day_start_ms": risk.day_start_ms,
        "day_equity": risk.day_equity,
        "day_stopped": risk.day_stopped,
        "losses": risk.losses,
        "errors": risk.errors,
        "breaker": risk.breaker,
        "breaker_reason": risk.breaker_reason,
        "breaker_until_ms": risk.breaker_until_ms,
        "breaker_by_hand": risk.breaker_by_hand,
        "closing_out": risk.close_out_reason,
        "last_refusal": risk.last_refusal,
    }


_INITIAL = _values(INITIAL_RISK_STATE)
