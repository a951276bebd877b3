-- Our own schema, version 3: what risk limits remember, an account's own limits, conditional orders,
-- closed positions, funding.

ALTER TABLE bulkhead.intent
    ADD COLUMN strategy text NOT NULL DEFAULT '',
    ADD COLUMN reference_price numeric;
CREATE INDEX intent_decided_idx ON bulkhead.intent (decided_ms) WHERE purpose = 'USER';

ALTER TABLE bulkhead.position
    ADD COLUMN peak numeric NOT NULL DEFAULT 0,
    ADD COLUMN fees numeric NOT NULL DEFAULT 0,
    ADD COLUMN funding numeric NOT NULL DEFAULT 0,
    ADD COLUMN mae numeric NOT NULL DEFAULT 0 CHECK (mae <= 0),
    ADD COLUMN mfe numeric NOT NULL DEFAULT 0 CHECK (mfe >= 0),
    ADD COLUMN since bigint NOT NULL DEFAULT 0,
    ADD COLUMN funded_ms bigint NOT NULL DEFAULT 0,
    ADD COLUMN strategy text NOT NULL DEFAULT '',
    ADD COLUMN alerts text NOT NULL DEFAULT '';

CREATE TABLE bulkhead.account_risk (
    account_id text PRIMARY KEY REFERENCES bulkhead.account (account_id),
    day_start_ms bigint NOT NULL,
    day_equity numeric NOT NULL CHECK (day_equity <> 'NaN'),
    day_stopped boolean NOT NULL,
    losses integer NOT NULL,
    errors integer NOT NULL,
    breaker text NOT NULL,
    breaker_reason text NOT NULL,
    breaker_until_ms bigint NOT NULL,
    breaker_by_hand boolean NOT NULL,
    closing_out text NOT NULL
);

CREATE TABLE bulkhead.account_limit (
    account_id text NOT NULL REFERENCES bulkhead.account (account_id),
    name text NOT NULL,
    value text NOT NULL,
    set_ms bigint NOT NULL,
    PRIMARY KEY (account_id, name)
);

CREATE TABLE bulkhead.conditional (
    client_order_id text PRIMARY KEY,
    account_id text NOT NULL REFERENCES bulkhead.account (account_id),
    order_sequence bigint NOT NULL,
    kind text NOT NULL,
    symbol text NOT NULL,
    side text NOT NULL,
    quantity numeric NOT NULL CHECK (quantity > 0),
    trigger_price numeric,
    callback_rate numeric,
    activation_price numeric,
    first_extreme numeric,
    extreme numeric,
    due boolean NOT NULL DEFAULT false,
    reduce_only boolean NOT NULL,
    leverage numeric NOT NULL,
    margin_reserved numeric NOT NULL,
    strategy text NOT NULL,
    decided_ms bigint NOT NULL,
    moment bigint NOT NULL,
    cause text NOT NULL,
    attempt integer NOT NULL,
    not_before_ms bigint NOT NULL,
    status text NOT NULL,
    end_reason text,
    order_id text,
    CONSTRAINT conditional_one_per_sequence UNIQUE (account_id, order_sequence)
);
CREATE INDEX conditional_waiting_idx ON bulkhead.conditional (account_id) WHERE status = 'WAITING';

CREATE TABLE bulkhead.closed_position (
    position_id text PRIMARY KEY,
    account_id text NOT NULL REFERENCES bulkhead.account (account_id),
    symbol text NOT NULL,
    quantity numeric NOT NULL,
    entry_price numeric NOT NULL,
    realized numeric NOT NULL,
    fees numeric NOT NULL,
    funding numeric NOT NULL,
    mae numeric NOT NULL CHECK (mae <= 0),
    mfe numeric NOT NULL CHECK (mfe >= 0),
    strategy text NOT NULL,
    purpose text NOT NULL,
    opened_ms bigint NOT NULL,
    closed_ms bigint NOT NULL
);
CREATE INDEX closed_position_account_idx ON bulkhead.closed_position (account_id, closed_ms);

CREATE TABLE bulkhead.funding (
    account_id text NOT NULL REFERENCES bulkhead.account (account_id),
    symbol text NOT NULL,
    funding_ms bigint NOT NULL,
    rate numeric NOT NULL,
    mark numeric NOT NULL,
    amount numeric NOT NULL,
    PRIMARY KEY (account_id, symbol, funding_ms)
);

INSERT INTO bulkhead.migration (version) VALUES (3);
