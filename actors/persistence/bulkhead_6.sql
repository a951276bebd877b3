-- Our own schema, version 6: what a position cost, exactly, instead of a rounded average; what was held in the last
-- day, so that funding is booked for what was held at its time.

ALTER TABLE bulkhead.position ADD COLUMN cost numeric;
UPDATE bulkhead.position SET cost = abs(quantity) * entry_price;
ALTER TABLE bulkhead.position
    ALTER COLUMN cost SET NOT NULL,
    ADD CONSTRAINT position_cost CHECK (cost > 0 AND cost <> 'NaN'),
    DROP COLUMN entry_price,
    DROP COLUMN funded_ms;

-- quantity (signed) was held until the trade at until_ms, in the position of that id. Of the last 26 hours, and of
-- each of these the first changes: subaccount/holdings.py says which.
CREATE TABLE bulkhead.held_until (
    account_id text NOT NULL REFERENCES bulkhead.account (account_id),
    symbol text NOT NULL,
    until_ms bigint NOT NULL,
    quantity numeric NOT NULL CHECK (quantity <> 'NaN'),
    position_id text NOT NULL,
    CONSTRAINT held_until_once PRIMARY KEY (account_id, symbol, until_ms)
);
-- Nothing was held before what is open was opened. What closed before this version is not known any more.
INSERT INTO bulkhead.held_until (account_id, symbol, until_ms, quantity, position_id)
SELECT account_id, symbol, opened_ms, 0, '' FROM bulkhead.position
WHERE opened_ms > (extract(epoch FROM now()) * 1000)::bigint - 93600000;

-- amount is that of quantity, which was held at funding_ms; NULL in rows of earlier versions, which are final.
-- kept: of the last 26 hours, and so still told again; the account remembers it.
ALTER TABLE bulkhead.funding
    ADD COLUMN quantity numeric CHECK (quantity <> 'NaN'),
    ADD COLUMN position_id text NOT NULL DEFAULT '',
    ADD COLUMN kept boolean NOT NULL DEFAULT false;
UPDATE bulkhead.funding SET kept = true
WHERE funding_ms > (extract(epoch FROM now()) * 1000)::bigint - 93600000;
CREATE INDEX funding_kept_idx ON bulkhead.funding (account_id) WHERE kept;

INSERT INTO bulkhead.migration (version) VALUES (6);
