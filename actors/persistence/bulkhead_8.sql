-- Our own schema, version 8: clearing. One order at the exchange may be many accounts' now, and so may a trade.

-- member: empty for a trade of the exchange, which is used once, by one account or by one round of a block; for an
-- account's part of a round the id of its order, and trade_id is that of the round, its highest trade.
ALTER TABLE bulkhead.trade_key ADD COLUMN member text NOT NULL DEFAULT '';
ALTER TABLE bulkhead.trade_key
    DROP CONSTRAINT trade_once,
    ADD CONSTRAINT trade_once PRIMARY KEY (exchange, symbol, trade_id, member);

-- The streams of clearing, of which a start loads all: one entry for each. A stream's first row has sequence 1.
CREATE INDEX journal_clearing_idx ON bulkhead.journal (stream) WHERE sequence = 1 AND starts_with(stream, 'clearing:');

-- Orders that share a round book the same trade id.
ALTER TABLE bulkhead.fill
    DROP CONSTRAINT fill_once,
    ADD CONSTRAINT fill_once PRIMARY KEY (exchange, symbol, trade_id, client_order_id),
    ADD COLUMN quote_quantity numeric;

ALTER TABLE bulkhead.intent ADD COLUMN shortfall numeric NOT NULL DEFAULT 0;

-- Block orders, and whose they are. value is what was paid or received for it in quote asset; fee is in fee_asset, empty
-- for the quote asset, and '*' where a block paid in several, whose sum says nothing.
CREATE TABLE bulkhead.block (
    symbol text NOT NULL,
    block bigint NOT NULL,
    client_order_id text NOT NULL,
    side text NOT NULL,
    class text NOT NULL,
    quantity numeric NOT NULL,
    executed numeric NOT NULL,
    value numeric NOT NULL,
    fee numeric NOT NULL,
    fee_asset text NOT NULL,
    status text NOT NULL,
    code integer NOT NULL,
    reason text NOT NULL,
    formed_ms bigint NOT NULL,
    ended_ms bigint,
    CONSTRAINT block_once PRIMARY KEY (symbol, block)
);
CREATE UNIQUE INDEX block_client_order_id_idx ON bulkhead.block (client_order_id);
CREATE INDEX block_formed_ms_idx ON bulkhead.block (formed_ms);

CREATE TABLE bulkhead.block_member (
    symbol text NOT NULL,
    block bigint NOT NULL,
    client_order_id text NOT NULL,
    account_id text NOT NULL,
    order_id bigint NOT NULL,
    quantity numeric NOT NULL,
    allocated numeric NOT NULL,
    value numeric NOT NULL,
    fee numeric NOT NULL,
    CONSTRAINT block_member_once PRIMARY KEY (symbol, block, client_order_id)
);
CREATE INDEX block_member_client_order_id_idx ON bulkhead.block_member (client_order_id);

-- trades: how many of the exchange's were pooled.
CREATE TABLE bulkhead.block_round (
    symbol text NOT NULL,
    block bigint NOT NULL,
    round_id bigint NOT NULL,
    trades integer NOT NULL,
    quantity numeric NOT NULL,
    value numeric NOT NULL,
    fee numeric,
    fee_asset text NOT NULL,
    at_ms bigint NOT NULL,
    CONSTRAINT block_round_once PRIMARY KEY (symbol, block, round_id)
);
ALTER TABLE bulkhead.block SET (fillfactor = 70);
ALTER TABLE bulkhead.block_member SET (fillfactor = 70);

INSERT INTO bulkhead.migration (version) VALUES (8);
