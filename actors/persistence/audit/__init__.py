"""The audit: a file of JSON lines for each day, chained by hashes, made from the journal and of what the journal does not have."""
