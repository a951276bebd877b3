"""Who watches the actors: registry, policies, breaker, gate."""
