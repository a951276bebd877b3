-- Our own schema, version 2: dead letters that can be replayed, quarantine, audit, causes.

ALTER TABLE bulkhead.dead_letter
    ADD COLUMN payload text NOT NULL DEFAULT '',
    ADD COLUMN cause text NOT NULL DEFAULT '',
    ADD COLUMN status text NOT NULL DEFAULT 'OPEN' CHECK (status IN ('OPEN', 'REPLAYED', 'DROPPED')),
    ADD COLUMN resolved_ms bigint,
    ADD COLUMN resolved_by text;
CREATE INDEX dead_letter_open_idx ON bulkhead.dead_letter (dead_letter_id) WHERE status = 'OPEN';

CREATE TABLE bulkhead.quarantine (
    account_id text PRIMARY KEY REFERENCES bulkhead.account (account_id),
    since_ms bigint NOT NULL,
    reason text NOT NULL,
    error text NOT NULL,
    traceback text NOT NULL,
    state text NOT NULL
);

CREATE TABLE bulkhead.audit (
    audit_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at_ms bigint NOT NULL,
    who text NOT NULL,
    action text NOT NULL,
    target text NOT NULL,
    detail text NOT NULL
);
CREATE INDEX audit_target_idx ON bulkhead.audit (target, audit_id);

CREATE INDEX intent_cause_idx ON bulkhead.intent (cause);

-- NaN equals NaN in Postgres, so the sum alone would let it in.
ALTER TABLE bulkhead.account ADD CONSTRAINT account_is_finite CHECK (balance <> 'NaN');

INSERT INTO bulkhead.migration (version) VALUES (2);
