"""An actor that keeps what it is told."""

from __future__ import annotations

from actors.runtime.actor import DispatchedActor


class Sink(DispatchedActor):
    def __init__(self):
        super().__init__()
        self.got = []

    def on_receive(self, message):
        self.got.append(message)
