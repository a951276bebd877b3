-- The existing platform's tables, made only on an empty database. Same names, columns, defaults,
-- nullability and index names as its own migrations give; money is numeric here, never binary.

CREATE TABLE users (
    id text NOT NULL CONSTRAINT users_pkey PRIMARY KEY,
    username text NOT NULL,
    password_hash text NOT NULL,
    role text NOT NULL DEFAULT 'USER',
    status text NOT NULL DEFAULT 'PENDING',
    api_key text,
    current_challenge text,
    created_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at timestamp(3) NOT NULL
);
CREATE UNIQUE INDEX users_username_key ON users (username);
CREATE UNIQUE INDEX users_api_key_key ON users (api_key);

CREATE TABLE sub_accounts (
    id text NOT NULL CONSTRAINT sub_accounts_pkey PRIMARY KEY,
    user_id text CONSTRAINT sub_accounts_user_id_fkey REFERENCES users (id) ON DELETE SET NULL ON UPDATE CASCADE,
    name text NOT NULL,
    type text NOT NULL DEFAULT 'USER',
    initial_balance numeric NOT NULL,
    current_balance numeric NOT NULL,
    status text NOT NULL DEFAULT 'ACTIVE',
    liquidation_mode text NOT NULL DEFAULT 'ADL_30',
    maintenance_rate numeric NOT NULL DEFAULT 0.005,
    created_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at timestamp(3) NOT NULL
);
CREATE INDEX sub_accounts_user_id_status_idx ON sub_accounts (user_id, status);
CREATE INDEX sub_accounts_status_idx ON sub_accounts (status);

CREATE TABLE virtual_positions (
    id text NOT NULL CONSTRAINT virtual_positions_pkey PRIMARY KEY,
    sub_account_id text NOT NULL CONSTRAINT virtual_positions_sub_account_id_fkey
        REFERENCES sub_accounts (id) ON DELETE RESTRICT ON UPDATE CASCADE,
    symbol text NOT NULL,
    side text NOT NULL,
    entry_price numeric NOT NULL,
    quantity numeric NOT NULL,
    notional numeric NOT NULL,
    leverage numeric NOT NULL,
    margin numeric NOT NULL,
    liquidation_price numeric NOT NULL,
    status text NOT NULL DEFAULT 'OPEN',
    realized_pnl numeric,
    babysitter_excluded boolean NOT NULL DEFAULT false,
    taken_over boolean NOT NULL DEFAULT false,
    taken_over_by text,
    taken_over_at timestamp(3),
    opened_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    closed_at timestamp(3)
);
CREATE INDEX virtual_positions_sub_account_id_status_idx ON virtual_positions (sub_account_id, status);
CREATE INDEX virtual_positions_symbol_status_idx ON virtual_positions (symbol, status);
CREATE INDEX virtual_positions_sub_account_id_symbol_side_status_idx
    ON virtual_positions (sub_account_id, symbol, side, status);

CREATE TABLE trade_executions (
    id text NOT NULL CONSTRAINT trade_executions_pkey PRIMARY KEY,
    sub_account_id text NOT NULL CONSTRAINT trade_executions_sub_account_id_fkey
        REFERENCES sub_accounts (id) ON DELETE RESTRICT ON UPDATE CASCADE,
    position_id text CONSTRAINT trade_executions_position_id_fkey
        REFERENCES virtual_positions (id) ON DELETE SET NULL ON UPDATE CASCADE,
    exchange_order_id text,
    client_order_id text,
    symbol text NOT NULL,
    side text NOT NULL,
    type text NOT NULL,
    price numeric NOT NULL,
    quantity numeric NOT NULL,
    notional numeric NOT NULL,
    fee numeric NOT NULL DEFAULT 0,
    realized_pnl numeric,
    action text NOT NULL,
    origin_type text NOT NULL DEFAULT 'MANUAL',
    status text NOT NULL DEFAULT 'FILLED',
    signature text NOT NULL,
    "timestamp" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX trade_executions_sub_account_id_timestamp_idx ON trade_executions (sub_account_id, "timestamp");
CREATE INDEX trade_executions_sub_account_id_status_timestamp_idx
    ON trade_executions (sub_account_id, status, "timestamp");
CREATE INDEX trade_executions_sub_account_id_symbol_timestamp_idx
    ON trade_executions (sub_account_id, symbol, "timestamp");
CREATE INDEX trade_executions_exchange_order_id_idx ON trade_executions (exchange_order_id);

CREATE TABLE balance_logs (
    id text NOT NULL CONSTRAINT balance_logs_pkey PRIMARY KEY,
    sub_account_id text NOT NULL CONSTRAINT balance_logs_sub_account_id_fkey
        REFERENCES sub_accounts (id) ON DELETE RESTRICT ON UPDATE CASCADE,
    balance_before numeric NOT NULL,
    balance_after numeric NOT NULL,
    change_amount numeric NOT NULL,
    reason text NOT NULL,
    trade_id text,
    "timestamp" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX balance_logs_sub_account_id_timestamp_idx ON balance_logs (sub_account_id, "timestamp");

CREATE TABLE pending_orders (
    id text NOT NULL CONSTRAINT pending_orders_pkey PRIMARY KEY,
    sub_account_id text NOT NULL CONSTRAINT pending_orders_sub_account_id_fkey
        REFERENCES sub_accounts (id) ON DELETE RESTRICT ON UPDATE CASCADE,
    symbol text NOT NULL,
    side text NOT NULL,
    type text NOT NULL DEFAULT 'LIMIT',
    price numeric NOT NULL,
    quantity numeric NOT NULL,
    leverage numeric NOT NULL,
    exchange_order_id text,
    status text NOT NULL DEFAULT 'PENDING',
    created_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    filled_at timestamp(3),
    cancelled_at timestamp(3)
);
CREATE INDEX pending_orders_exchange_order_id_idx ON pending_orders (exchange_order_id);
CREATE INDEX pending_orders_status_type_idx ON pending_orders (status, type);
CREATE INDEX pending_orders_sub_account_id_status_idx ON pending_orders (sub_account_id, status);

CREATE TABLE risk_rules (
    id text NOT NULL CONSTRAINT risk_rules_pkey PRIMARY KEY,
    sub_account_id text CONSTRAINT risk_rules_sub_account_id_fkey
        REFERENCES sub_accounts (id) ON DELETE SET NULL ON UPDATE CASCADE,
    is_global boolean NOT NULL DEFAULT false,
    max_leverage numeric NOT NULL DEFAULT 100,
    max_notional_per_trade numeric NOT NULL DEFAULT 200,
    max_total_exposure numeric NOT NULL DEFAULT 500,
    liquidation_threshold numeric NOT NULL DEFAULT 0.90
);
CREATE UNIQUE INDEX risk_rules_sub_account_id_key ON risk_rules (sub_account_id);
CREATE INDEX risk_rules_is_global_idx ON risk_rules (is_global);
