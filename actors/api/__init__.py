"""The operator's HTTP API over the running engine."""
