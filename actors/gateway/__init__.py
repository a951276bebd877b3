"""Intents to exchange orders to fills; request budget, unknown orders."""
