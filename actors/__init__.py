"""One folder per actor; the order is that of imports: each folder may import those above it.

core            shared vocabulary: units, enums, facts, messages, errors, constants
limits          the limits of one account
runtime         what an actor is: mailbox, dispatcher, clock
supervision     who watches actors: registry, restart policy, quarantine, gate, watchdog, alarms
symbol_router   L1 in; decides which accounts a price wakes
feed            funding and rates in
subaccount      what one account decides: checks, margin, ADL, fills
gateway         intents -> exchange orders -> fills
persistence     the writer: decisions made durable, then forwarded
venues          exchanges behind the ports of feed and gateway: binance, and paper, which speaks its protocol
assembly        where the parts are wired, for run, replay, simulation, benchmarks and tests
api             how people reach the running engine
cli             the command line, which asks the api
"""
