"""The writer: group commit, load, outbox, schema."""
