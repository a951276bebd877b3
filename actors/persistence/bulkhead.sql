-- Our own schema, version 1. Numbers here are exact whatever the platform's columns can hold.

CREATE SCHEMA bulkhead;

CREATE TABLE bulkhead.migration (
    version integer PRIMARY KEY,
    applied_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE bulkhead.shard (
    shard_id integer PRIMARY KEY,
    owner text,
    epoch bigint NOT NULL DEFAULT 0,
    lease_until timestamptz NOT NULL DEFAULT '-infinity'
);
INSERT INTO bulkhead.shard (shard_id) SELECT generate_series(0, 255);

CREATE TABLE bulkhead.account (
    account_id text PRIMARY KEY,
    shard_id integer NOT NULL REFERENCES bulkhead.shard (shard_id),
    sequence bigint NOT NULL,
    next_order_sequence bigint NOT NULL,
    next_position_sequence bigint NOT NULL,
    balance numeric NOT NULL,
    deposits numeric NOT NULL,
    realized numeric NOT NULL,
    fees numeric NOT NULL,
    funding numeric NOT NULL,
    bad_debt numeric NOT NULL,
    phase text NOT NULL,
    refusals integer NOT NULL,
    CONSTRAINT account_adds_up CHECK (balance = deposits + realized - fees + funding + bad_debt)
);

CREATE TABLE bulkhead.position (
    position_id text PRIMARY KEY,
    account_id text NOT NULL REFERENCES bulkhead.account (account_id),
    symbol text NOT NULL,
    quantity numeric NOT NULL CHECK (quantity <> 0),
    entry_price numeric NOT NULL CHECK (entry_price > 0),
    margin numeric NOT NULL,
    realized numeric NOT NULL,
    opened_ms bigint NOT NULL,
    CONSTRAINT position_one_per_symbol UNIQUE (account_id, symbol)
);

CREATE TABLE bulkhead.intent (
    client_order_id text PRIMARY KEY,
    account_id text NOT NULL REFERENCES bulkhead.account (account_id),
    order_sequence bigint NOT NULL,
    symbol text NOT NULL,
    side text NOT NULL,
    order_type text NOT NULL,
    quantity numeric NOT NULL CHECK (quantity > 0),
    price numeric,
    time_in_force text NOT NULL,
    reduce_only boolean NOT NULL,
    leverage numeric NOT NULL,
    margin_reserved numeric NOT NULL,
    purpose text NOT NULL,
    tier integer NOT NULL,
    decided_ms bigint NOT NULL,
    cause text NOT NULL,
    status text NOT NULL,
    exchange_order_id bigint,
    filled numeric NOT NULL DEFAULT 0,
    cancel_requested boolean NOT NULL DEFAULT false,
    end_code integer,
    end_reason text,
    CONSTRAINT intent_one_per_sequence UNIQUE (account_id, order_sequence),
    CONSTRAINT intent_not_overfilled CHECK (filled <= quantity)
);
CREATE INDEX intent_working_idx ON bulkhead.intent (account_id)
    WHERE status IN ('INTENDED', 'ACKNOWLEDGED');

CREATE TABLE bulkhead.fill (
    exchange text NOT NULL,
    symbol text NOT NULL,
    trade_id bigint NOT NULL,
    client_order_id text NOT NULL REFERENCES bulkhead.intent (client_order_id),
    account_id text NOT NULL,
    exchange_order_id bigint NOT NULL,
    side text NOT NULL,
    quantity numeric NOT NULL CHECK (quantity > 0),
    price numeric NOT NULL CHECK (price > 0),
    fee numeric NOT NULL,
    maker boolean NOT NULL,
    trade_ms bigint NOT NULL,
    closed_quantity numeric NOT NULL,
    realized numeric NOT NULL,
    CONSTRAINT fill_once PRIMARY KEY (exchange, symbol, trade_id)
);
CREATE INDEX fill_client_order_id_idx ON bulkhead.fill (client_order_id);

CREATE TABLE bulkhead.house_position (
    symbol text PRIMARY KEY,
    quantity numeric NOT NULL
);

CREATE TABLE bulkhead.dead_letter (
    dead_letter_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    actor text NOT NULL,
    message_kind text NOT NULL,
    message text NOT NULL,
    error text NOT NULL,
    traceback text NOT NULL,
    state text NOT NULL,
    at_ms bigint NOT NULL
);
CREATE INDEX dead_letter_actor_idx ON bulkhead.dead_letter (actor, dead_letter_id);

INSERT INTO bulkhead.migration (version) VALUES (1);
