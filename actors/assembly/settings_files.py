"""The files that are made from the settings and limits: ``deploy/bulkhead.toml`` and ``docs/limits.md``.

``make settings`` writes both (``python -m actors.assembly.settings_files``); a test holds that they are up to date.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

from msgspec.structs import fields

from actors.assembly.config import EngineConfig, Setting
from actors.core.trading_day import DEFAULT_BEGINS, DEFAULT_ZONE
from actors.limits.model import LIMITS, SEED_TIERS, LimitField, Unit
from actors.limits.parse import OFF, shown
from actors.limits.profiles import PROFILES

ROOT = Path(__file__).parents[2]

COLUMN = 35
"""Where the comments of ``bulkhead.toml`` begin."""

WIDTH = 120

EXAMPLE = re.compile(r"\[\{.*?\}\]|\{.*?\}|\".*?\"|\(.*?\)")
"""What stays on one line, to be copied or read at once."""

NO_BREAK = "\u00a0"


def toml() -> str:
    """``deploy/bulkhead.toml``: every setting and every limit with its default and its meaning."""
    lines = ["# All settings of 'bulkhead run --config', with their defaults. Unknown ones are refused."]
    lines += ["# Made from actors/assembly/config.py and actors/limits/model.py by 'make settings'.", ""]
    for field in fields(EngineConfig):
        setting = next((m for m in getattr(field.type, "__metadata__", ()) if isinstance(m, Setting)), None)
        if setting is not None:
            # A default of ours in JSON is TOML, too: text, number, true or false, list, and an empty table.
            value = json.dumps(getattr(EngineConfig(), field.name))
            lines += _commented(f"{field.name} = {value}", setting.text)
    lines.append("")
    lines += _commented(
        "[risk]",
        "limits of all accounts; RISK_MAX_DAILY_LOSS=500 and the like go before it, the platform's risk_rules before "
        "that, an account's own before all ('bulkhead limits')",
    )
    lines += _commented('# profile = "paranoid"', f"{', '.join(PROFILES)}: values to begin with")
    lines += _commented(f'day_begins = "{DEFAULT_BEGINS}"', "local time at which the trading day begins")
    lines += _commented(f'day_zone = "{DEFAULT_ZONE}"', "IANA time zone")
    for limit in LIMITS.values():
        lines += _commented(f"# {limit.name} = {_toml_value(limit)}", _comment(limit))
    return "\n".join(lines) + "\n"


def markdown() -> str:
    """``docs/limits.md``: the table of limits, and what each profile sets."""
    lines = [
        "# Every limit of an account",
        "",
        "Made from `actors/limits/model.py` and `profiles.py` by `make settings`; do not edit. What the limits do is in",
        "[risk.md](risk.md); where a value comes from is shown by `bulkhead limits <account>`. *Source* says where the",
        "limit and its default come from: the documents that the engine was built from (seeds 000 to 004), the",
        "existing platform's table `risk_rules`, the exchange, or Bulkhead itself.",
        "",
        "| limit | default | unit and range | meaning | source |",
        "|---|---|---|---|---|",
    ]
    for limit in LIMITS.values():
        unit = f"{limit.range}; or `{OFF}`" if limit.optional else limit.range
        cells = (f"`{limit.name}`", f"`{shown(limit.default)}`", unit, limit.text, limit.source)
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "## Profiles", "", '`profile = "paranoid"` in `[risk]`, or `RISK_PROFILE=paranoid`.', ""]
    lines += ["| profile | sets |", "|---|---|"]
    for name, values in PROFILES.items():
        listed = ", ".join(f"`{limit} = {value}`" for limit, value in values.items())
        lines.append(f"| `{name}` | {listed} |")
    return "\n".join(lines) + "\n"


FILES = {"deploy/bulkhead.toml": toml, "docs/limits.md": markdown}


def _commented(line: str, text: str) -> Iterator[str]:
    """``line`` with ``text`` behind it, wrapped into lines of comment at the same column."""
    start = max(COLUMN, len(line) + 1)
    whole = EXAMPLE.sub(lambda found: found[0].replace(" ", NO_BREAK), text)
    first, *rest = (
        part.replace(NO_BREAK, " ")
        for part in textwrap.wrap(whole, WIDTH - start - 2, break_on_hyphens=False, break_long_words=False)
    )
    yield f"{line:<{start}}# {first}"
    yield from (f"{'':<{COLUMN}}# {part}" for part in rest)


def _toml_value(limit: LimitField) -> str:
    text = shown(limit.default)
    return f'"{text}"' if limit.default is None or limit.choice is not None else text


def _comment(limit: LimitField) -> str:
    if limit.unit is Unit.TIERS:
        return f'{limit.text}, for example "{shown(SEED_TIERS)}"'
    return f"{limit.text} ({limit.range})"


def main() -> None:
    """Write the files."""
    for name, make in FILES.items():
        (ROOT / name).write_text(make(), encoding="utf-8")


if __name__ == "__main__":
    main()
