-- Our own schema, version 4: whose orders on the master account are ours. The fleet's id is made here,
-- once; each start of an engine has an id of its own beside it. A copy of a database keeps the fleet.

CREATE TABLE bulkhead.fleet (
    fleet_id text PRIMARY KEY CHECK (fleet_id ~ '^[0-9a-hjkmnp-tv-z]{6}$'),
    is_ours boolean NOT NULL DEFAULT true UNIQUE CHECK (is_ours),
    made_at timestamptz NOT NULL DEFAULT now()
);

-- The first six bytes of a random UUID are random in every bit; the low five of each choose a digit.
INSERT INTO bulkhead.fleet (fleet_id)
SELECT string_agg(substr('0123456789abcdefghjkmnpqrstvwxyz', 1 + (get_byte(random, n) & 31), 1), '' ORDER BY n)
FROM (SELECT decode(replace(gen_random_uuid()::text, '-', ''), 'hex') AS random) drawn, generate_series(0, 5) AS n;

CREATE TABLE bulkhead.engine_start (
    start_id text PRIMARY KEY CHECK (start_id ~ '^[0-9a-hjkmnp-tv-z]{6}$'),
    started_at timestamptz NOT NULL DEFAULT now(),
    program text NOT NULL,
    host text NOT NULL
);

INSERT INTO bulkhead.migration (version) VALUES (4);
