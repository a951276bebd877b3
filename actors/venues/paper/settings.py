"""Settings of the master account: leverage and margin type per symbol, modes, BNB fee burn. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from actors.core.units import Symbol
from actors.venues.paper.brackets import LEVERAGE_DEFAULT, LEVERAGE_MAX, max_notional
from actors.venues.paper.codes import ExchangeRefusal, PaperCode

MARGIN_TYPES = frozenset({"CROSSED", "ISOLATED"})


class AccountSettings:
    """Account settings, with the exchange's checks on each change."""

    def __init__(self) -> None:
        self.leverage: dict[Symbol, int] = {}
        self.isolated: set[Symbol] = set()
        self.dual_side = False
        self.multi_assets = False
        self.fee_burn = False
        self.updated_ms = 0

    def leverage_of(self, symbol: Symbol) -> int:
        """A symbol's leverage; 20 by default."""
        return self.leverage.get(symbol, LEVERAGE_DEFAULT)

    def set_leverage(self, symbol: Symbol, leverage: int, notional: Decimal) -> None:
        """Change a symbol's leverage.

        Raises:
            ExchangeRefusal: out of range, or too high for the open position.
        """
        if not 1 <= leverage <= LEVERAGE_MAX:
            raise ExchangeRefusal(PaperCode.INVALID_LEVERAGE, f"Leverage {leverage} is not valid")
        if notional > max_notional(leverage):
            raise ExchangeRefusal(PaperCode.MAX_LEVERAGE_RATIO)
        self.leverage[symbol] = leverage

    def set_margin_type(self, symbol: Symbol, kind: str, *, orders: bool, position: bool) -> None:
        """Change a symbol's margin type.

        Raises:
            ExchangeRefusal: unknown, unchanged, or there are open orders or a position.
        """
        if kind not in MARGIN_TYPES:
            raise ExchangeRefusal(
                PaperCode.MANDATORY_PARAM_EMPTY_OR_MALFORMED, f"Invalid marginType: {kind!r}."
            )
        isolated = kind == "ISOLATED"
        if isolated == (symbol in self.isolated):
            raise ExchangeRefusal(PaperCode.NO_NEED_TO_CHANGE_MARGIN_TYPE)
        if isolated and self.multi_assets:
            raise ExchangeRefusal(PaperCode.ISOLATED_WITH_MULTI_ASSETS)
        if orders:
            raise ExchangeRefusal(PaperCode.THERE_EXISTS_OPEN_ORDERS)
        if position:
            raise ExchangeRefusal(PaperCode.THERE_EXISTS_QUANTITY)
        (self.isolated.add if isolated else self.isolated.discard)(symbol)

    def set_dual_side(self, wanted: bool, *, orders: bool, position: bool) -> None:  # noqa: FBT001 - the setting itself
        """Change between one-way and hedge mode.

        Raises:
            ExchangeRefusal: unchanged, or there are open orders or positions.
        """
        if wanted == self.dual_side:
            raise ExchangeRefusal(PaperCode.NO_NEED_TO_CHANGE_POSITION_SIDE)
        if orders:
            raise ExchangeRefusal(PaperCode.POSITION_SIDE_OPEN_ORDERS)
        if position:
            raise ExchangeRefusal(PaperCode.POSITION_SIDE_OPEN_POSITIONS)
        self.dual_side = wanted

    def set_multi_assets(self, wanted: bool) -> None:  # noqa: FBT001 - as above
        """Change between single-asset and multi-assets mode.

        Raises:
            ExchangeRefusal: unchanged, or a symbol is isolated.
        """
        if wanted == self.multi_assets:
            raise ExchangeRefusal(PaperCode.NO_NEED_TO_CHANGE_JOINT_MARGIN)
        if wanted and self.isolated:
            raise ExchangeRefusal(PaperCode.MULTI_ASSETS_WITH_ISOLATED)
        self.multi_assets = wanted

    def check_side(self, position_side: str) -> None:
        """Check a new order's position side against the position mode.

        Raises:
            ExchangeRefusal: invalid, or it does not fit the mode.
        """
        if position_side not in {"BOTH", "LONG", "SHORT"}:
            raise ExchangeRefusal(PaperCode.INVALID_POSITION_SIDE)
        if (position_side != "BOTH") != self.dual_side:
            raise ExchangeRefusal(PaperCode.POSITION_SIDE_NOT_MATCH)
        if self.dual_side:
            raise ExchangeRefusal(
                PaperCode.UNKNOWN, "The paper exchange keeps one-way positions; it has no hedge-mode trading."
            )


def margin_type_name(settings: AccountSettings, symbol: Symbol) -> str:
    """Margin type as in symbolConfig."""
    return "ISOLATED" if symbol in settings.isolated else "CROSSED"


def required_bool(params: Mapping[str, str], name: str) -> bool:
    """A mandatory boolean parameter.

    Raises:
        ExchangeRefusal: missing, or neither true nor false.
    """
    text = params.get(name, "").lower()
    if text not in {"true", "false"}:
        raise ExchangeRefusal(
            PaperCode.MANDATORY_PARAM_EMPTY_OR_MALFORMED,
            f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.",
        )
    return text == "true"
