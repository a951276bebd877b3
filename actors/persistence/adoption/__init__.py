"""Taking over the accounts that the platform runs: what there is, whether it adds up, and the facts that follow."""
