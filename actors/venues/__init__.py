"""Exchanges, one folder each, behind the two ports that feed and gateway declare."""
