"""A whole engine in virtual time, against a store and an exchange that misbehave; the same seed, the same day."""
