-- Our own schema, version 7: the journal. From here on a decision is one row of facts, and every other table of ours
-- is made from the journal, behind it. What earlier versions had written is kept as it was in the schema bulkhead_6,
-- when there was anything: see persistence/carrying.py.

-- shard: whose positions these are; one engine writes 0. position counts from 1, without a gap: the cursor of whoever
-- reads on. stream: who decided, an account's id. version: of the vocabulary of facts (core/fact_codec.py); facts: JSON
-- in UTF-8, byte for byte what was hashed. hash: over the hash of the stream's previous row and this row.
CREATE TABLE bulkhead.journal (
    shard smallint NOT NULL,
    position bigint NOT NULL,
    stream text NOT NULL,
    sequence bigint NOT NULL,
    wall_ms bigint NOT NULL,
    cause text NOT NULL,
    version smallint NOT NULL,
    facts bytea NOT NULL,
    hash bytea NOT NULL,
    CONSTRAINT journal_position PRIMARY KEY (shard, position),
    CONSTRAINT journal_once UNIQUE (stream, sequence)
);

-- One row for each commit: position is that of its last row, root is over the root of the commit before and its rows.
CREATE TABLE bulkhead.journal_commit (
    shard smallint NOT NULL,
    position bigint NOT NULL,
    rows integer NOT NULL,
    wall_ms bigint NOT NULL,
    root bytea NOT NULL,
    CONSTRAINT journal_commit_position PRIMARY KEY (shard, position)
);

-- Every trade of the exchange that is booked, once.
CREATE TABLE bulkhead.trade_key (
    exchange text NOT NULL,
    symbol text NOT NULL,
    trade_id bigint NOT NULL,
    CONSTRAINT trade_once PRIMARY KEY (exchange, symbol, trade_id)
);
INSERT INTO bulkhead.trade_key (exchange, symbol, trade_id) SELECT exchange, symbol, trade_id FROM bulkhead.fill;

-- The journal as people read it: one row for each fact, in order. Nothing in the program reads it.
CREATE VIEW bulkhead.journal_facts AS
    SELECT j.shard, j.position, f.number, j.stream, j.sequence, to_timestamp(j.wall_ms / 1000.0) AS at, j.cause, j.version,
        f.fact ->> 'fact' AS fact, f.fact - 'fact' AS content
    FROM bulkhead.journal j
    CROSS JOIN LATERAL jsonb_array_elements(convert_from(j.facts, 'UTF8')::jsonb) WITH ORDINALITY AS f (fact, number);

-- The state of a stream after its decision of that sequence, whose row has that hash. Never ahead of the projection.
CREATE TABLE bulkhead.snapshot (
    stream text CONSTRAINT snapshot_stream PRIMARY KEY,
    sequence bigint NOT NULL,
    hash bytea NOT NULL,
    version smallint NOT NULL,
    state bytea NOT NULL
);

-- Up to where the journal is in the tables made from it; and the streams that stopped there, with the reason.
CREATE TABLE bulkhead.projection (
    shard smallint CONSTRAINT projection_shard PRIMARY KEY,
    position bigint NOT NULL
);
INSERT INTO bulkhead.projection (shard, position) VALUES (0, 0);

CREATE TABLE bulkhead.parked (
    stream text CONSTRAINT parked_stream PRIMARY KEY,
    sequence bigint NOT NULL,
    position bigint NOT NULL,
    since_ms bigint NOT NULL,
    error text NOT NULL
);

-- What we wrote to the platform's row last: what differs from it there was written by the platform.
ALTER TABLE bulkhead.account
    ADD COLUMN platform_balance numeric,
    ADD COLUMN platform_status text,
    ADD COLUMN platform_mode text,
    ADD COLUMN platform_rate numeric;

INSERT INTO bulkhead.migration (version) VALUES (7);
