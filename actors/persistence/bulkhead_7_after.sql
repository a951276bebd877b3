-- Our own schema, version 7, after what was there was carried into the journal (persistence/carrying.py): what is left are
-- tables that are made from the journal, and can be made from it once more.

-- An account's state holds these now; nothing reads them.
DROP TABLE bulkhead.pending_fee;
DROP TABLE bulkhead.held_until;
ALTER TABLE bulkhead.funding DROP COLUMN kept;

-- The journal says what belongs together. A reference between two tables that are both made from it proves nothing more,
-- costs a look for each row, and would not let them be emptied and made again.
ALTER TABLE bulkhead.position DROP CONSTRAINT position_account_id_fkey;
ALTER TABLE bulkhead.intent DROP CONSTRAINT intent_account_id_fkey;
ALTER TABLE bulkhead.fill DROP CONSTRAINT fill_client_order_id_fkey;
ALTER TABLE bulkhead.account_risk DROP CONSTRAINT account_risk_account_id_fkey;
ALTER TABLE bulkhead.account_limit DROP CONSTRAINT account_limit_account_id_fkey;
ALTER TABLE bulkhead.conditional DROP CONSTRAINT conditional_account_id_fkey;
ALTER TABLE bulkhead.closed_position DROP CONSTRAINT closed_position_account_id_fkey;
ALTER TABLE bulkhead.funding DROP CONSTRAINT funding_account_id_fkey;
ALTER TABLE bulkhead.quarantine DROP CONSTRAINT quarantine_account_id_fkey;

-- Rows that change with nearly every decision of their account: room for the next version on the same page.
ALTER TABLE bulkhead.account SET (fillfactor = 70);
ALTER TABLE bulkhead.position SET (fillfactor = 70);
ALTER TABLE bulkhead.account_risk SET (fillfactor = 70);
ALTER TABLE bulkhead.intent SET (fillfactor = 85);
