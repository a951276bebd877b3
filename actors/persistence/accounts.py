"""Accounts to create: checked, and their limits completed. Pure."""

from __future__ import annotations

from decimal import Decimal

from actors.core.errors import BadInput
from actors.core.names import checked_id, checked_text
from actors.core.records import NewAccount
from actors.limits.model import RiskLimits

NAME_MAX = 200


def check_new(account: NewAccount) -> None:
    """Refuse what no account can be.

    Raises:
        BadInput: naming the account and the value.
    """
    checked_id(account.account_id, "account_id")
    checked_text(account.name, f"{account.account_id}: name", NAME_MAX)
    if not account.deposit.is_finite() or account.deposit < 0:
        raise BadInput(
            f"{account.account_id}: deposit {account.deposit} must be a finite number of at least 0"
        )
    if not account.maintenance_rate.is_finite() or not 0 < account.maintenance_rate < 1:
        raise BadInput(
            f"{account.account_id}: maintenance rate {account.maintenance_rate} must be between 0 and 1"
        )
    for value in rule(account, RiskLimits()):
        if not value.is_finite() or value <= 0:
            raise BadInput(f"{account.account_id}: limit {value} must be a finite number above 0")


def has_rule(account: NewAccount) -> bool:
    """Whether the account brings limits of its own."""
    names = ("max_leverage", "max_notional_per_trade", "max_total_exposure", "liquidation_threshold")
    return any(getattr(account, name) is not None for name in names)


def rule(account: NewAccount, defaults: RiskLimits) -> tuple[Decimal, ...]:
    """Its limits, the defaults where it names none."""
    return (
        account.max_leverage or defaults.max_leverage,
        account.max_notional_per_trade or defaults.max_notional_per_trade,
        account.max_total_exposure or defaults.max_total_exposure,
        account.liquidation_threshold or defaults.liquidation_threshold,
    )
