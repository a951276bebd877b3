"""Benchmarks, each against a peer in the same run; ``python -m bench`` runs all."""
