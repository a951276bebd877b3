"""L1 to the accounts that must look at it: price book, triggers, routes."""
