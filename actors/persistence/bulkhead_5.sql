-- Our own schema, version 5: fees that were taken in another asset than the quote asset; why an order was refused.

ALTER TABLE bulkhead.account_risk ADD COLUMN last_refusal text NOT NULL DEFAULT '';

-- fee stays in quote asset. Without an asset it was taken in it; with one it is fee_amount x fee_rate, the rate
-- being of fee_rate_ms. While a row of pending_fee names the trade, fee is 0 and not the last word.
ALTER TABLE bulkhead.fill
    ADD COLUMN fee_asset text,
    ADD COLUMN fee_amount numeric CHECK (fee_amount <> 'NaN'),
    ADD COLUMN fee_rate numeric CHECK (fee_rate > 0 AND fee_rate <> 'NaN'),
    ADD COLUMN fee_rate_ms bigint,
    ADD CONSTRAINT fill_fee_follows CHECK (fee_rate IS NULL OR fee = fee_amount * fee_rate);

CREATE TABLE bulkhead.pending_fee (
    account_id text NOT NULL REFERENCES bulkhead.account (account_id),
    exchange text NOT NULL,
    symbol text NOT NULL,
    trade_id bigint NOT NULL,
    client_order_id text NOT NULL,
    exchange_order_id bigint NOT NULL,
    trade_ms bigint NOT NULL,
    quantity numeric NOT NULL CHECK (quantity > 0),
    price numeric NOT NULL CHECK (price > 0),
    closed_quantity numeric NOT NULL,
    position_id text NOT NULL,
    closed_id text NOT NULL,
    asset text NOT NULL,
    amount numeric,
    CONSTRAINT pending_fee_once PRIMARY KEY (exchange, symbol, trade_id),
    FOREIGN KEY (exchange, symbol, trade_id) REFERENCES bulkhead.fill (exchange, symbol, trade_id)
);
CREATE INDEX pending_fee_account_idx ON bulkhead.pending_fee (account_id);

-- The orders of the last minute, whoever decided them: the exchange still counts those of a life that was killed.
DROP INDEX bulkhead.intent_decided_idx;
CREATE INDEX intent_decided_idx ON bulkhead.intent (decided_ms);

INSERT INTO bulkhead.migration (version) VALUES (5);
