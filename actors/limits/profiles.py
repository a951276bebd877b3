"""Profiles: named sets of limits to begin with. What a profile does not name keeps its default."""

from __future__ import annotations

PROFILES: dict[str, dict[str, str]] = {
    "conservative": {"max_leverage": "1", "max_positions": "1", "fixed_order_size": "50"},
    "moderate": {"max_leverage": "3", "max_positions": "2", "fixed_order_size": "100"},
    "aggressive": {"max_leverage": "5", "max_positions": "5", "fixed_order_size": "200"},
    "paranoid": {
        "max_position_notional": "1000",
        "max_position_percent": "0.1",
        "max_order_notional": "5000",
        "max_open_orders": "10",
        "max_daily_loss": "500",
        "max_daily_loss_percent": "0.05",
        "max_consecutive_losses": "3",
        "max_total_exposure": "10000",
        "max_exposure_percent": "0.5",
        "max_positions": "5",
        "max_price_deviation": "0.05",
        "max_slippage_percent": "0.01",
        "max_consecutive_errors": "5",
        "breaker_cooldown_seconds": "1800",
        "max_orders_per_minute": "10",
    },
    "portfolio": {
        "max_position_percent": "0.10",
        "max_strategy_drawdown": "0.15",
        "max_leverage": "5",
        "max_correlation": "0.7",
        "min_liquidity": "10000",
        "max_daily_loss_percent": "0.05",
        "position_timeout_seconds": "3600",
        "excessive_loss_percent": "0.10",
        "breaker_loss_percent": "0.10",
        "breaker_profit_percent": "0.20",
        "breaker_cooldown_seconds": "300",
        "breaker_reset": "timed",
    },
}
"""Seed 002's three, seed 001's example, seed 004's defaults. Values are text, as everywhere outside the model."""
