"""One actor per symbol between writer and gateway: market orders that wait together go out as one block order."""
