"""One folder per actor, listed here in the order in which a price becomes an order.

feed            L1 in: websocket, REST fall-back, replay files
symbol_router   L1 -> which accounts must look, by trigger price
subaccount      what one account decides: checks, margin, ADL, fills
persistence     the writer: decisions made durable, then forwarded
gateway         intents -> exchange orders -> fills
api             how people reach the running engine
venues          exchanges behind the ports of feed and gateway: binance, and paper, which speaks its protocol
runtime         what an actor is: mailbox, dispatcher, clock, restart policy

Shared vocabulary, importing nothing of ours but each other:
units, errors, limits, messages, config.
"""
