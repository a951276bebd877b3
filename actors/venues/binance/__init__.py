"""Binance USD-M wire protocol as data; no I/O."""
