-- Our own schema, version 9: what people read. Every change of a balance as an entry of a ledger, and what operators must hear of.

-- One row for each change of an account's balance, in Binance's vocabulary of income (TRANSFER, REALIZED_PNL, COMMISSION,
-- FUNDING_FEE, INSURANCE_CLEAR). position: of the decision in the journal; part: counts the entries of one decision from 0.
-- amount and balance, which is the account's after the entry, are in quote asset. asset: in which a commission was taken,
-- empty for the quote asset; asset_amount: how much of it. info: what it was for, in our words or the operator's.
CREATE TABLE bulkhead.ledger (
    position bigint NOT NULL,
    part integer NOT NULL,
    account_id text NOT NULL,
    wall_ms bigint NOT NULL,
    income_type text NOT NULL,
    amount numeric NOT NULL CHECK (amount <> 0 AND amount <> 'NaN'),
    balance numeric NOT NULL CHECK (balance <> 'NaN'),
    asset text NOT NULL,
    asset_amount numeric,
    symbol text NOT NULL,
    trade_id bigint,
    client_order_id text,
    info text NOT NULL,
    cause text NOT NULL,
    CONSTRAINT ledger_once PRIMARY KEY (position, part)
);
CREATE INDEX ledger_account_idx ON bulkhead.ledger (account_id, position, part);

-- Where in the journal an alert of an account is: fact counts the facts of a decision from 0.
CREATE TABLE bulkhead.alert (
    position bigint NOT NULL,
    fact integer NOT NULL,
    account_id text NOT NULL,
    wall_ms bigint NOT NULL,
    kind text NOT NULL,
    symbol text NOT NULL,
    CONSTRAINT alert_once PRIMARY KEY (position, fact)
);
CREATE INDEX alert_account_idx ON bulkhead.alert (account_id, position, fact);

-- capture: what the failure can be repeated with, as 'bulkhead rerun' reads it; empty where that is not known.
ALTER TABLE bulkhead.dead_letter ADD COLUMN capture bytea NOT NULL DEFAULT '';

-- The state of a stream after its first decision of a UTC day (days since 1970-01-01, by the decision's wall_ms), for looks
-- into the past. Nothing needs it: any row may be deleted. Never ahead of the projection.
CREATE TABLE bulkhead.snapshot_day (
    stream text NOT NULL,
    day integer NOT NULL,
    sequence bigint NOT NULL,
    hash bytea NOT NULL,
    version smallint NOT NULL,
    state bytea NOT NULL,
    CONSTRAINT snapshot_day_once PRIMARY KEY (stream, day)
);
CREATE INDEX snapshot_day_idx ON bulkhead.snapshot_day (day);

-- Rows of the journal that were moved into a file (persistence/archive/): positions first to last, of commits whose roots go
-- on from root_before to root. first_ms and last_ms: earliest and latest wall_ms. sha256 and bytes: of the file.
CREATE TABLE bulkhead.archive (
    first bigint CONSTRAINT archive_first PRIMARY KEY,
    last bigint NOT NULL,
    commits integer NOT NULL,
    first_ms bigint NOT NULL,
    last_ms bigint NOT NULL,
    root_before bytea NOT NULL,
    root bytea NOT NULL,
    file text NOT NULL CONSTRAINT archive_file UNIQUE,
    sha256 text NOT NULL,
    bytes bigint NOT NULL,
    archived_ms bigint NOT NULL
);

-- Of each stream that has rows in such files: its first row and its last one there, the latest wall_ms of all of them, and the
-- state after the last one, folded from those rows.
CREATE TABLE bulkhead.archived_stream (
    stream text CONSTRAINT archived_stream_once PRIMARY KEY,
    first_position bigint NOT NULL,
    first_sequence bigint NOT NULL,
    first_ms bigint NOT NULL,
    first_cause text NOT NULL,
    position bigint NOT NULL,
    sequence bigint NOT NULL,
    wall_ms bigint NOT NULL,
    cause text NOT NULL,
    latest_ms bigint NOT NULL,
    hash bytea NOT NULL,
    version smallint NOT NULL,
    state bytea NOT NULL
);

INSERT INTO bulkhead.migration (version) VALUES (9);
