"""Accounts to create: checked, their limits completed, their first facts, and the rows that stand beside those.

I/O: runs SQL on the connection that it is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import psycopg

from actors.core.errors import BadInput
from actors.core.facts import AccountOpened, AnyFact, BalanceAdjusted
from actors.core.names import checked_id, checked_text
from actors.core.records import NewAccount
from actors.limits.layers import differing, with_rule
from actors.limits.model import RiskLimits
from actors.persistence.projection.spelling import when
from actors.persistence.shards import shard_of

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


def opening(account: NewAccount, defaults: RiskLimits) -> tuple[AnyFact, ...]:
    """The first facts of an account, with ``defaults`` below what it brings of its own."""
    base = with_rule(defaults, rule(account, defaults)) if has_rule(account) else defaults
    opened = AccountOpened(account.mode, account.maintenance_rate, differing(base))
    return (opened, BalanceAdjusted(account.deposit, "DEPOSIT")) if account.deposit else (opened,)


def create(
    connection: psycopg.Connection[Any], accounts: Sequence[NewAccount], defaults: RiskLimits, wall_ms: int
) -> None:
    """The rows of accounts beside their first facts: the platform's, and ours that others refer to."""
    at = when(wall_ms)
    with connection.pipeline():
        cursor = connection.cursor()
        cursor.executemany(
            "INSERT INTO sub_accounts (id, name, initial_balance, current_balance, liquidation_mode, "
            "maintenance_rate, updated_at) VALUES (%s, %s, %s, %s, %s, %s, %s)",
            [(a.account_id, a.name, a.deposit, a.deposit, a.mode, a.maintenance_rate, at) for a in accounts],
        )
        cursor.executemany(
            "INSERT INTO bulkhead.account (account_id, shard_id, sequence, next_order_sequence, "
            "next_position_sequence, balance, deposits, realized, fees, funding, bad_debt, phase, refusals, "
            "platform_balance, platform_status, platform_mode, platform_rate) "
            "VALUES (%s, %s, 0, 1, 1, %s, %s, 0, 0, 0, 0, 'HEALTHY', 0, %s, 'ACTIVE', %s, %s)",
            [
                (a.account_id, shard_of(a.account_id), *[a.deposit] * 3, a.mode, a.maintenance_rate)
                for a in accounts
            ],
        )
        cursor.executemany(
            "INSERT INTO balance_logs (id, sub_account_id, balance_before, balance_after, change_amount, "
            "reason, \"timestamp\") VALUES (%s, %s, 0, %s, %s, 'DEPOSIT', %s)",
            [(f"deposit-{a.account_id}", a.account_id, a.deposit, a.deposit, at) for a in accounts],
        )
        rules = [(f"rule-{a.account_id}", a.account_id, *rule(a, defaults)) for a in accounts if has_rule(a)]
        if rules:
            cursor.executemany(
                "INSERT INTO risk_rules (id, sub_account_id, max_leverage, max_notional_per_trade, "
                "max_total_exposure, liquidation_threshold) VALUES (%s, %s, %s, %s, %s, %s)",
                rules,
            )
