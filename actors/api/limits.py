"""Limits of one account: every limit in force with its source, and changes."""

from __future__ import annotations

import msgspec
from litestar import Controller, Response, get, post

from actors.api.answers import OUTCOMES, Outcome, outcome_response
from actors.api.errors import ERRORS
from actors.api.noun import Context, Noun
from actors.api.parameters import HttpRequest, who
from actors.api.values import ShortText
from actors.core.errors import BadInput
from actors.core.messages import SetLimits
from actors.core.units import AccountId
from actors.limits.layers import Layer, LimitRow, rule_layer
from actors.limits.model import LIMITS, RiskLimits
from actors.limits.parse import shown
from actors.supervision.operator_log import OperatorAction

CHANGES_MAX = 200


class LimitsBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """POST .../limits: value by name, as text. ``off`` switches a limit off; null removes the account's own value."""

    changes: dict[ShortText, ShortText | None]


class LimitService:
    """Reads and changes an account's limits. Runs in the API's event loop."""

    def __init__(self, context: Context) -> None:
        self._config, self._lookup, self._asker = context.engine.config, context.lookup, context.asker

    async def limits(self, account_id: str) -> list[LimitRow]:
        """Every limit of an account, and the layer that it comes from."""
        state = self._lookup.state(account_id)
        id_ = AccountId(account_id)
        rules = await self._lookup.read(lambda records: records.rules(id_))
        layers = list(self._config.risk.layers)
        layers += [rule_layer(row, is_global=is_global) for is_global, *row in rules[:1]]
        layers.append(Layer("account", dict(state.overrides)))
        return limit_rows(state.limits, layers)

    async def set_limits(self, account_id: str, body: LimitsBody, who: str) -> Outcome:
        """Change an account's own limits; all or none."""
        if not body.changes:
            raise BadInput('changes: name at least one limit, for example {"max_positions": "5"}')
        if len(body.changes) > CHANGES_MAX:
            raise BadInput(f"changes: {len(body.changes):,} are too many; at most {CHANGES_MAX} are taken")
        detail = ", ".join(f"{n} = {'(taken back)' if v is None else v}" for n, v in body.changes.items())
        message = SetLimits(tuple(body.changes.items()))
        act = OperatorAction(who, "limits", account_id, detail, message)
        return await self._asker.command(message, act)


def limit_rows(limits: RiskLimits, layers: list[Layer]) -> list[LimitRow]:
    """Every limit in force, and the highest layer that sets it.

    Args:
        limits: in force.
        layers: lowest first; a limit that none of them sets has its built-in default.
    """
    source_of = {name: layer.source for layer in layers for name in layer.values}
    return [
        LimitRow(name, shown(getattr(limits, name)), source_of.get(name, "built-in"), limit.unit, limit.text)
        for name, limit in LIMITS.items()
    ]


class LimitRoutes(Controller):
    """Limits of one account."""

    path = "/v1/accounts/{account_id:str}/limits"
    tags = ("risk",)

    @get(responses=ERRORS)
    async def limits(self, limits: LimitService, account_id: str) -> list[LimitRow]:
        """Every limit in force, and where it comes from."""
        return await limits.limits(account_id)

    @post(responses=OUTCOMES, status_code=200)
    async def set_limits(
        self, request: HttpRequest, limits: LimitService, account_id: str, data: LimitsBody
    ) -> Response[Outcome]:
        """Change the account's own limits, all or none; null takes one back. Acts at once."""
        return outcome_response(await limits.set_limits(account_id, data, who(request)))


NOUN = Noun({"limits": LimitService}, (LimitRoutes,))
