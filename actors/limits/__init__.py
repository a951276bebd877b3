"""The limits of one account: what they are, and the layers they come from."""
