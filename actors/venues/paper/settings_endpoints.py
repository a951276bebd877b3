"""Endpoints for account settings and listen keys. No network; the time is an argument."""

from __future__ import annotations

from actors.venues.paper import wire_account as wire
from actors.venues.paper.brackets import max_notional
from actors.venues.paper.codes import missing
from actors.venues.paper.requests import Params, int_param
from actors.venues.paper.settings import margin_type_name, required_bool
from actors.venues.paper.user_events import AccountConfigUpdate, LeverageBody, ModeBody
from actors.venues.paper.venue import PaperVenue, Reply, answer
from actors.venues.paper.wire_orders import Done


class SettingsEndpoints:
    """Endpoints for leverage, margin type, modes and listen keys."""

    def __init__(self, venue: PaperVenue) -> None:
        self._venue, self._settings = venue, venue.exchange.settings

    # -- by symbol

    def set_leverage(self, params: Params, now_ms: int) -> Reply:
        """Change a symbol's leverage."""
        symbol, leverage = self._venue.symbol(params), int_param(params, "leverage")
        if leverage is None:
            raise missing("leverage")
        exchange = self._venue.exchange
        notional = abs(exchange.positions[symbol].amount * exchange.mark(symbol))
        self._settings.set_leverage(symbol, leverage, notional)
        self._settings.updated_ms = now_ms
        event = AccountConfigUpdate(E=now_ms, T=now_ms, ac=LeverageBody(symbol, leverage))
        return answer(wire.ChangedLeverage(symbol, leverage, str(max_notional(leverage))), [event])

    def set_margin_type(self, params: Params, now_ms: int) -> Reply:
        """Change a symbol's margin type."""
        symbol, exchange = self._venue.symbol(params), self._venue.exchange
        self._settings.set_margin_type(
            symbol,
            params.get("marginType", ""),
            orders=bool(exchange.orders.open_of(symbol) or exchange.algo.open_of(symbol)),
            position=bool(exchange.positions[symbol].amount),
        )
        self._settings.updated_ms = now_ms
        return answer(Done())

    def symbol_config(self, params: Params, _now_ms: int) -> Reply:
        """Leverage and margin type of one symbol, or of all."""
        settings = self._settings
        return answer(
            [
                wire.SymbolConfig(
                    symbol=s,
                    marginType=margin_type_name(settings, s),
                    isAutoAddMargin=False,
                    leverage=settings.leverage_of(s),
                    maxNotionalValue=str(max_notional(settings.leverage_of(s))),
                )
                for s in self._venue.symbols(params)
            ]
        )

    # -- account

    def account_config(self, _params: Params, _now_ms: int) -> Reply:
        """Account modes and permissions."""
        return answer(
            wire.AccountConfig(
                feeTier=0,
                canTrade=True,
                canDeposit=True,
                canWithdraw=True,
                dualSidePosition=self._settings.dual_side,
                multiAssetsMargin=self._settings.multi_assets,
                updateTime=self._settings.updated_ms,
                tradeGroupId=-1,
            )
        )

    def dual_side(self, _params: Params, _now_ms: int) -> Reply:
        """Whether hedge mode is on."""
        return answer(wire.DualSide(self._settings.dual_side))

    def set_dual_side(self, params: Params, now_ms: int) -> Reply:
        """Switch between one-way and hedge mode."""
        exchange = self._venue.exchange
        self._settings.set_dual_side(
            required_bool(params, "dualSidePosition"),
            orders=bool(exchange.orders.open_of(None) or exchange.algo.open_of(None)),
            position=any(p.amount for p in exchange.positions.values()),
        )
        self._settings.updated_ms = now_ms
        return answer(Done())

    def multi_assets(self, _params: Params, _now_ms: int) -> Reply:
        """Whether multi-assets mode is on."""
        return answer(wire.MultiAssets(self._settings.multi_assets))

    def set_multi_assets(self, params: Params, now_ms: int) -> Reply:
        """Change between single-asset and multi-assets mode."""
        self._settings.set_multi_assets(required_bool(params, "multiAssetsMargin"))
        self._settings.updated_ms = now_ms
        event = AccountConfigUpdate(E=now_ms, T=now_ms, ai=ModeBody(self._settings.multi_assets))
        return answer(Done(), [event])

    def fee_burn(self, _params: Params, _now_ms: int) -> Reply:
        """Whether BNB fee burn is on."""
        return answer(wire.FeeBurn(self._settings.fee_burn))

    def set_fee_burn(self, params: Params, now_ms: int) -> Reply:
        """Switch BNB fee burn on or off."""
        self._settings.fee_burn = required_bool(params, "feeBurn")
        self._settings.updated_ms = now_ms
        return answer(Done())

    # -- listen keys

    def get_listen_key(self, _params: Params, now_ms: int) -> Reply:
        """Get the valid listen key, or a new one; its validity starts again now."""
        return answer(wire.ListenKeyAnswer(self._venue.listen_keys.get(now_ms)))

    def extend_listen_key(self, _params: Params, now_ms: int) -> Reply:
        """Extend the validity of the listen key."""
        return answer(wire.ListenKeyAnswer(self._venue.listen_keys.extend(now_ms)))

    def close_listen_key(self, _params: Params, _now_ms: int) -> Reply:
        """Invalidate the listen key. Open streams stay connected and receive nothing more, as on Binance."""
        self._venue.listen_keys.close()
        return Reply()
