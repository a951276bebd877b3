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

INSERT INTO bulkhead.migration (version) VALUES (9);
