"""Settings: defaults < TOML file < ``BULKHEAD_*`` environment variables < command line.

The file's ``[risk]`` table and the ``RISK_*`` variables are the accounts' limits; see ``actors.limits.layers``.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import msgspec

from actors.core.constants import RECORDED_DECISIONS
from actors.core.errors import BadConfig
from actors.limits import layers
from actors.limits.layers import RiskConfig
from actors.limits.parse import hint
from actors.persistence.redis.address import check_url

DEFAULT_DATA_DIR = Path(".data") / "bulkhead"

ENVIRONMENT_PREFIX = "BULKHEAD_"
OF_THE_PAPER_EXCHANGE = "BULKHEAD_PAPER_"
"""These are not the engine's."""


TOKEN_LENGTH_MIN = 16

LEVERAGE_MAX = 125

CLEARING = ("on", "off")
AUDIT = ("on", "off")
AUDIT_DAYS_MAX = 36_500

RECORDED_MAX = 10_000_000

SPLIT_AT_DEPTH_MAX = 1_000_000

REDIS_STREAM_MAX = 10_000_000

REDIS_KEY = re.compile(r"[\w.:{}-]{1,200}", re.ASCII)

DAY_S = 86_400
"""The longest wait that can be asked for; far longer ones are more than the operating system takes."""

TYPE_FAULT = re.compile(r"Expected `(\w+)`.*, got `\w+` - at `\$\.(\w+)")

UNKNOWN_FIELD = re.compile(r"Object contains unknown field `(\w+)`")

KINDS = {
    "int": "a whole number",
    "bool": "true or false",
    "str": "a text in quotes",
    "array": 'a list, for example ["BNB"]',
    "object": "a table, for example { default = 20, BTCUSDT = 50 }",
}

RENAMED = {"exchange_ws": "it is exchange_ws_public and exchange_ws_private now"}

MARGIN_ASSETS = ("USDT", "USDC", "FDUSD")
"""What the platform's database can tell from a symbol's name as its quote asset."""


class Role(StrEnum):
    """What the holder of a token may do."""

    VIEWER = "viewer"
    """Look at everything."""
    OPERATOR = "operator"
    """Look, and change."""


class ApiToken(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A person's or a program's key to the API; ``name`` is what the audit calls them."""

    name: str
    role: Role
    token: str

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise BadConfig("api_tokens: each token needs a name, which the audit shows")
        if len(self.token) < TOKEN_LENGTH_MIN:
            raise BadConfig(
                f"api_tokens: the token of {self.name} has {len(self.token)} characters, at least {TOKEN_LENGTH_MIN} "
                "are needed; make one with: python3 -c 'import secrets; print(secrets.token_urlsafe(24))'"
            )


class Setting(msgspec.Struct, frozen=True):
    """The metadata of a field of ``EngineConfig``: its meaning, with the unit where the name does not say it."""

    text: str


class EngineConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every setting of ``bulkhead run``.

    ``deploy/bulkhead.toml`` is made from the fields and their texts; after a change run ``make settings``.
    """

    data_dir: Annotated[
        str, Setting("folder of the embedded database, and of the API's address and tokens")
    ] = str(DEFAULT_DATA_DIR)
    dsn: Annotated[
        str, Setting("empty: an embedded Postgres in data_dir (pip install 'bulkhead[embedded]')")
    ] = ""
    venue: Annotated[str, Setting("which exchange's protocol is spoken: binance")] = "binance"
    exchange: Annotated[str, Setting("REST base URL")] = "http://127.0.0.1:8790"
    exchange_ws_public: Annotated[
        str, Setting("base of public streams; empty: known for Binance, its test net and loopback")
    ] = ""
    exchange_ws_private: Annotated[str, Setting("base of the user stream, likewise")] = ""
    exchange_ws_orders: Annotated[
        str, Setting('URL for orders over a websocket, likewise; unknown or "off": by REST only')
    ] = ""
    api_key: Annotated[str, Setting("the master account's; better in BULKHEAD_API_KEY")] = "paper"
    api_secret: Annotated[str, Setting("better in BULKHEAD_API_SECRET")] = "paper-secret"  # noqa: S105 - the paper exchange's published key
    api_host: Annotated[str, Setting("where the operator's API listens")] = "127.0.0.1"
    api_port: Annotated[int, Setting("0 takes a free one")] = 8780
    api_hosts: Annotated[
        tuple[str, ...],
        Setting("names that the API is called by beside its address, localhost and this machine's"),
    ] = ()
    api_tokens: Annotated[
        tuple[ApiToken, ...],
        Setting(
            "keys to the API beside the two in api.json; role operator (may change) or viewer (may look); "
            'the audit shows the name; for example [{ name = "prometheus", role = "viewer", '
            'token = "at least 16 characters" }]'
        ),
    ] = ()
    symbols: Annotated[tuple[str, ...], Setting("empty: all that the exchange lists")] = ()
    fee_assets: Annotated[
        tuple[str, ...],
        Setting(
            "what fees may be taken in beside the quote asset; only their prices are read, also where their "
            "symbols are not traded"
        ),
    ] = ("BNB",)
    price_max_age_ms: Annotated[int, Setting("older L1 counts as missing")] = 10_000
    lease_seconds: Annotated[int, Setting("how long a dead engine keeps others out")] = 10
    stuck_halt_seconds: Annotated[
        int, Setting("a turn that takes longer halts the engine, to be started again")
    ] = 60
    funding_every_seconds: Annotated[int, Setting("how often settled funding rates are asked for")] = 60
    rules_every_seconds: Annotated[
        int, Setting("how often the exchange's rules are read again: new symbols, changed filters")
    ] = 300
    margin_asset: Annotated[
        str, Setting(f"quote and margin asset of all accounts: {', '.join(MARGIN_ASSETS)}")
    ] = "USDT"
    set_master: Annotated[
        bool,
        Setting(
            "true: set the master to one-way mode, single-asset mode and cross margin at start; false: say what "
            "does not fit and do not start"
        ),
    ] = False
    leverage: Annotated[
        dict[str, int],
        Setting(
            "the master's leverage, set at start; one number for all accounts, for example "
            "{ default = 20, BTCUSDT = 50 }; a symbol without one keeps what it has"
        ),
    ] = {}
    clearing: Annotated[
        str,
        Setting(
            "on: market orders and liquidations of one symbol that wait together go to the exchange as one block order; "
            "off: each by itself"
        ),
    ] = "on"
    block_split_at_depth: Annotated[
        int,
        Setting(
            "a block order is split at so many times the quantity that is shown at the best price; 0: only at the "
            "exchange's largest quantity"
        ),
    ] = 0
    audit: Annotated[
        str,
        Setting(
            "on: what happens is written to a file for each UTC day in data_dir/audit, each line chained to the one "
            "before, so that a change is found by 'bulkhead audit verify'; off: none is written"
        ),
    ] = "on"
    audit_days: Annotated[
        int, Setting("how many days' files of the audit are kept, of days that have lines; 0: all")
    ] = 0
    recorded_decisions: Annotated[
        int,
        Setting(
            "so many last decisions of all accounts are kept in memory with their inputs, some 1.5 KB each, for 'bulkhead "
            "capture'; 0: none"
        ),
    ] = RECORDED_DECISIONS
    daily_snapshots_days: Annotated[
        int,
        Setting(
            "for so many days the state of each account after its first decision of the day is kept, so that a look into the "
            "past is quick; 0: none"
        ),
    ] = 35
    archive_dir: Annotated[
        str,
        Setting(
            "folder of the files that 'bulkhead db archive' moved old rows of the journal to; empty: archive in data_dir"
        ),
    ] = ""
    redis: Annotated[
        str,
        Setting(
            'URL of a Redis for the platform, for example "redis://127.0.0.1:6379/0"; empty: none; one with a password '
            "better in BULKHEAD_REDIS"
        ),
    ] = ""
    redis_stream: Annotated[str, Setting("key of the event stream in it")] = "bulkhead:events"
    redis_stream_length: Annotated[int, Setting("about so many entries are kept in the stream")] = 20_000
    redis_stream_depth: Annotated[
        int,
        Setting(
            "where the stream is empty, it begins so many decisions before the newest one; 0: with the next one"
        ),
    ] = 20_000
    faults_allowed: Annotated[
        bool, Setting("let accounts be made to fail on purpose, for the demo and for tests")
    ] = False
    risk: RiskConfig = RiskConfig()

    def __post_init__(self) -> None:
        if not 0 <= self.api_port <= 65_535:  # noqa: PLR2004 - the range of TCP ports
            raise BadConfig(f"api_port: {self.api_port} is not a port, 0 to 65535")
        if len({t.token for t in self.api_tokens}) != len(self.api_tokens):
            raise BadConfig("api_tokens: two have the same token; each needs its own")
        self._check_master()
        self._check_clearing()
        self._check_audit()
        self._check_recorded()
        self._check_redis()
        for asset in self.fee_assets:
            if not (asset.isascii() and asset.isalnum() and asset == asset.upper()):
                raise BadConfig(
                    f"fee_assets: {asset!r} is no asset in the exchange's spelling, for example BNB"
                )
        self._check_times()

    def _check_clearing(self) -> None:
        if self.clearing not in CLEARING:
            raise BadConfig(f"clearing: {self.clearing!r} is none of {', '.join(CLEARING)}")
        depth = self.block_split_at_depth
        if not 0 <= depth <= SPLIT_AT_DEPTH_MAX:
            raise BadConfig(
                f"block_split_at_depth: {depth} must be 0 (never split by depth) to {SPLIT_AT_DEPTH_MAX:,}"
            )

    def _check_audit(self) -> None:
        if self.audit not in AUDIT:
            raise BadConfig(f"audit: {self.audit!r} is none of {', '.join(AUDIT)}")
        if not 0 <= self.audit_days <= AUDIT_DAYS_MAX:
            raise BadConfig(f"audit_days: {self.audit_days} must be 0 (all are kept) to {AUDIT_DAYS_MAX:,}")
        if not 0 <= self.daily_snapshots_days <= AUDIT_DAYS_MAX:
            raise BadConfig(
                f"daily_snapshots_days: {self.daily_snapshots_days} must be 0 (none is kept) to {AUDIT_DAYS_MAX:,}"
            )

    def _check_recorded(self) -> None:
        if not 0 <= self.recorded_decisions <= RECORDED_MAX:
            raise BadConfig(
                f"recorded_decisions: {self.recorded_decisions} must be 0 (none are kept) to {RECORDED_MAX:,}; each takes some "
                "1.5 KB of memory"
            )

    def _check_redis(self) -> None:
        check_url(self.redis)
        key, length, depth = self.redis_stream, self.redis_stream_length, self.redis_stream_depth
        if not REDIS_KEY.fullmatch(key):
            raise BadConfig(
                f"redis_stream: {key!r} is no name of a key: 1 to 200 letters, digits and . : _ - {{ }}"
            )
        if key.startswith("pms:"):
            raise BadConfig(f"redis_stream: {key!r} must not begin with pms:, whose keys are the platform's")
        if not 1 <= length <= REDIS_STREAM_MAX:
            raise BadConfig(f"redis_stream_length: {length} must be 1 to {REDIS_STREAM_MAX:,}")
        if not 0 <= depth <= REDIS_STREAM_MAX:
            raise BadConfig(f"redis_stream_depth: {depth} must be 0 to {REDIS_STREAM_MAX:,}")

    def _check_times(self) -> None:
        least = {
            "rules_every_seconds": (self.rules_every_seconds, 1, DAY_S),
            "funding_every_seconds": (self.funding_every_seconds, 1, DAY_S),
            "stuck_halt_seconds": (self.stuck_halt_seconds, 1, DAY_S),
            "price_max_age_ms": (self.price_max_age_ms, 1, DAY_S * 1_000),
            # A lease is renewed every second, and sending stops one before its end.
            "lease_seconds": (self.lease_seconds, 3, DAY_S),
        }
        for name, (value, low, high) in least.items():
            if value < low:
                raise BadConfig(f"{name}: {value} must be at least {low}")
            if value > high:
                raise BadConfig(f"{name}: {value} must be at most {high}, a day")

    def _check_master(self) -> None:
        if self.margin_asset not in MARGIN_ASSETS:
            raise BadConfig(f"margin_asset: {self.margin_asset!r} is none of {', '.join(MARGIN_ASSETS)}")
        for symbol, value in self.leverage.items():
            if not 1 <= value <= LEVERAGE_MAX:
                raise BadConfig(f"leverage: {symbol} = {value} is not a leverage, 1 to {LEVERAGE_MAX}")
            if symbol != "default" and (not symbol or symbol != symbol.upper()):
                raise BadConfig(f"leverage: {symbol!r} is neither a symbol such as BTCUSDT nor default")


def load(path: Path | None, environment: Mapping[str, str], overrides: Mapping[str, Any]) -> EngineConfig:
    """Merge all sources; ``overrides`` that are None do not count.

    Raises:
        BadConfig: naming the source, the setting, the bad value and the cure.
    """
    settings: dict[str, Any] = {}
    limits: Any = {}
    text = ""
    if path is not None:
        text = _text_of(path)
        found = _from_file(path, text)
        limits = found.pop("risk", {})
        if not isinstance(limits, dict):
            raise BadConfig(f"{path}: risk must be a table, [risk]")
        _convert(found, str(path))
        settings |= found
    set_there = _from_environment(environment)
    _convert(set_there, "", ENVIRONMENT_PREFIX)
    settings |= set_there
    settings |= {name: value for name, value in overrides.items() if value is not None}
    config = _convert(settings, "", "--")
    risk = layers.read(limits, environment, "" if path is None else str(path), text)
    return msgspec.structs.replace(config, risk=risk)


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadConfig(f"{path}: cannot be read ({error.strerror}); check --config") from None
    except UnicodeDecodeError as error:
        raise BadConfig(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from None


def _from_file(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise BadConfig(f"{path}: not valid TOML: {error}") from None


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    known = {
        f"{ENVIRONMENT_PREFIX}{field.upper()}": field
        for field in EngineConfig.__struct_fields__
        if field != "risk"
    }
    found: dict[str, Any] = {}
    for name, value in environment.items():
        if name.startswith(ENVIRONMENT_PREFIX) and not name.startswith(OF_THE_PAPER_EXCHANGE):
            if name not in known:
                now = RENAMED.get(name.removeprefix(ENVIRONMENT_PREFIX).lower())
                raise BadConfig(f"{name}: no such setting; {now or hint(name, known)}")
            field = known[name]
            if field == "api_tokens":
                raise BadConfig(f"{name}: tokens are set in the file of --config, as [[api_tokens]]")
            found[field] = _leverage_of(name, value) if field == "leverage" else _of_text(field, value)
    return found


def _leverage_of(name: str, text: str) -> dict[str, int]:
    """``default=20,BTCUSDT=50`` as a table."""
    found: dict[str, int] = {}
    for entry in filter(None, text.split(",")):
        symbol, _, value = entry.partition("=")
        if not (value.isascii() and value.isdigit()):
            raise BadConfig(f"{name}: {entry!r} does not look like BTCUSDT=50 or default=20")
        if symbol.strip() in found:
            raise BadConfig(f"{name}: {symbol.strip()} is named twice, in {text!r}")
        found[symbol.strip()] = int(value)
    return found


def _of_text(field: str, value: str) -> Any:
    """A variable's text; lists are separated by commas, and an empty text is an empty list."""
    if field in {"symbols", "fee_assets", "api_hosts"}:
        return tuple(value.split(",")) if value else ()
    return value


def _convert(settings: dict[str, Any], source: str, prefix: str = "") -> EngineConfig:
    """Settings as a whole; what is wrong is said with its source: a file, a variable, or an option."""
    where = f"{source}: " if source else ""
    try:
        return msgspec.convert(settings, EngineConfig, strict=False)
    except BadConfig as error:
        field, colon, rest = str(error).partition(": ")
        name = _typed(prefix, field) if field in EngineConfig.__struct_fields__ else field
        raise BadConfig(where + name + colon + rest) from None
    except msgspec.ValidationError as error:
        raise BadConfig(where + _in_words(str(error), settings, prefix)) from None


def _typed(prefix: str, field: str) -> str:
    """A setting as its source spells it."""
    if prefix == "--":
        return prefix + field.replace("_", "-")
    return prefix + field.upper() if prefix else field


def _in_words(text: str, settings: dict[str, Any], prefix: str) -> str:
    """The setting, its bad value and what it must be, where the decoder says which one it is."""
    fault = TYPE_FAULT.match(text)
    if fault:
        kind, field = fault.groups()
        value, name = settings[field], _typed(prefix, field)
        listed = isinstance(value, (dict, list, tuple))
        shown = msgspec.json.encode(value).decode() if listed else repr(value)
        if isinstance(value, Decimal):
            shown = str(value)
        inside = " inside" if f"`$.{field}`" not in text else ""
        return f"{name}: {shown} is not{' good;' if inside else ''} {KINDS.get(kind, kind)}{inside and ' is needed in it'}{_example(field, kind)}"
    for old, now in RENAMED.items():
        if f"unknown field `{old}`" in text:
            return f"{old}: no such setting; {now}"
    unknown = UNKNOWN_FIELD.match(text)
    if unknown and "- at" not in text:
        return f"{unknown[1]}: no such setting; {hint(unknown[1], EngineConfig.__struct_fields__)}"
    return text


def _example(field: str, kind: str) -> str:
    default = getattr(EngineConfig(), field, None)
    return f", for example {default}" if kind == "int" and isinstance(default, int) else ""


def environment() -> dict[str, str]:
    """The process's environment."""
    return dict(os.environ)
