"""The operator's HTTP API over the running engine.

One file per noun, with its structs, its service and its routes: ``accounts``, ``orders``, ``limits``, ``breaker``,
``position_sizes``, ``actors``, ``quarantine``, ``deadletters``, ``engine`` (structs made of an account's state:
``account_views``, ``order_views``).

Shared by all: ``noun`` (what a noun is), ``lookup`` (look without waiting), ``asking`` and ``awaiting`` (ask actors
without a thread), ``pools`` (threads and bounds), ``errors`` and ``answers`` (status codes), ``parameters``, ``values``
and ``request_errors`` (what requests hold), ``metrics`` and ``mailbox_statistics``.

The server: ``server``, ``auth``, ``connections``, ``listening``, ``address``. The other end: ``client``.
"""
