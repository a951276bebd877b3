"""A paper exchange that speaks the Binance USD-M protocol."""
