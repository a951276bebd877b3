"""Pykka actors without a thread each.

``DispatchedActor`` is a ``pykka.Actor`` through Pykka's documented seam for new actor types
(inbox, future, start loop); ``tell``, ``ask``, ``proxy`` and ``stop`` work unchanged. What
differs from ``pykka.ThreadingActor``: every failure reaches the supervisor, nothing queued is
lost silently, ``stop`` overtakes a backlog, and a restart keeps the ref and the mailbox.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, NoReturn

import pykka

from actors.core.messages import Message, Ping
from actors.runtime.cell import Cell, CrashReport, Status
from actors.runtime.dispatcher import Dispatcher
from actors.runtime.mailbox import Serving

_NO_KEYWORDS: Mapping[str, Any] = MappingProxyType({})


class StoppedFlag:
    """What Pykka calls ``actor_stopped``: the part of ``threading.Event`` that it uses."""

    __slots__ = ("_cell",)

    def __init__(self, cell: Cell) -> None:
        self._cell = cell

    def is_set(self) -> bool:
        """Whether the actor takes no more messages."""
        return self._cell.mailbox.is_closed

    def set(self) -> None:
        """Stop the actor."""
        self._cell.dispatcher.stop_cell(self._cell)


class Inbox:
    """What Pykka calls ``actor_inbox``: ``put`` also schedules the actor."""

    __slots__ = ("_cell",)

    def __init__(self, cell: Cell) -> None:
        self._cell = cell

    def put(self, envelope: Any) -> None:
        """Take an envelope of Pykka's own making."""
        self._cell.dispatcher.post(self._cell, envelope.message, envelope.reply_to)

    def get(self) -> NoReturn:
        """Never called: the dispatcher hands messages out."""
        raise NotImplementedError("a dispatcher hands out this actor's messages")

    def empty(self) -> bool:
        """Whether nothing waits."""
        return self._cell.mailbox.depth() == 0


class Ref(pykka.ActorRef[Any]):
    """A ref that stays valid across restarts."""

    def __init__(self, cell: Cell) -> None:
        # Pykka's own constructor reads an actor's attributes; ours outlives an instance.
        self.cell = cell

    @property
    def name(self) -> str:
        """The actor's name, unique among the running ones."""
        return self.cell.name

    @property
    def actor_urn(self) -> str:  # type: ignore[override]
        """The name; Pykka's random URN would break repeatable runs."""
        return self.cell.name

    @property
    def actor_class(self) -> type[Any]:  # type: ignore[override]
        """The class of the present instance."""
        return type(self.cell.actor)

    @property
    def actor_inbox(self) -> Any:  # type: ignore[override]
        """Pykka's view of the mailbox."""
        return Inbox(self.cell)

    @property
    def actor_stopped(self) -> Any:  # type: ignore[override]
        """Pykka's view of the stopped flag."""
        return StoppedFlag(self.cell)

    @property
    def _actor_weakref(self) -> Any:  # type: ignore[override]
        return weakref.ref(self.cell.actor)

    def is_alive(self) -> bool:
        """Whether the actor takes messages; a crashed one that waits for its restart does."""
        return not self.cell.mailbox.is_closed

    def tell(self, message: Any) -> None:
        """Send a message without waiting.

        Raises:
            pykka.ActorDeadError: the actor was stopped; the message was not taken.
            Refused: its commands lane is full; the message was not taken.
        """
        cell = self.cell
        dispatcher = cell.dispatcher
        try:
            if cell.mailbox.put((message, None, dispatcher.now_ns())):
                dispatcher.ready(cell)
        except BrokenPipeError:
            raise pykka.ActorDeadError(f"{cell.name} is stopped") from None


class DispatchedActor(pykka.Actor):
    """An actor that shares a dispatcher's thread. Subclasses implement ``on_receive``."""

    GOES_FIRST: ClassVar[bool] = False
    """Whether all others wait for it, so that it has its turns before theirs."""

    _cell: Cell

    def __init__(self) -> None:
        # Pykka's constructor makes a UUID, an Event and a queue for each actor: 6 KB that
        # the cell replaces. The cell was attached by ``start`` before this runs.
        if not hasattr(self, "_cell"):
            raise TypeError(f"start it with {type(self).__name__}.start(name, dispatcher, ...)")

    @classmethod
    def start(cls, name: str, dispatcher: Dispatcher, *args: Any, held: bool = False, **kwargs: Any) -> Ref:
        """Create the actor under ``name`` and schedule its ``on_start``.

        ``held`` creates it quarantined: it starts with its first restart.

        Raises:
            ValueError: the dispatcher has a running actor of that name.
        """
        return Ref(dispatcher.add(Cell(name, dispatcher, (cls, args, kwargs or _NO_KEYWORDS)), held=held))

    @staticmethod
    def _create_actor_inbox() -> Any:
        raise NotImplementedError("the cell owns the inbox")

    @staticmethod
    def _create_future() -> pykka.Future[Any]:
        return pykka.ThreadingFuture()

    def _start_actor_loop(self) -> None:
        raise NotImplementedError("the dispatcher runs the loop")

    @property
    def actor_urn(self) -> str:  # type: ignore[override]
        """The actor's name."""
        return self._cell.name

    @property
    def actor_inbox(self) -> Any:  # type: ignore[override]
        """Pykka's view of the mailbox."""
        return Inbox(self._cell)

    @property
    def actor_ref(self) -> Any:
        """A ref to this actor."""
        return Ref(self._cell)

    @property
    def actor_stopped(self) -> Any:  # type: ignore[override]
        """Pykka's view of the stopped flag."""
        return StoppedFlag(self._cell)

    def _stop(self) -> None:
        self._cell.dispatcher.stop_cell(self._cell)

    def handle(self, message: Any) -> Any:
        """Route one message: ours to ``on_receive``, Pykka's own (proxies, stop) to Pykka."""
        if isinstance(message, Message):
            return True if type(message) is Ping else self.on_receive(message)
        return self._handle_receive(message)

    def defer_reply(self) -> Any:
        """Take over the duty to answer the message that is being handled.

        Returns:
            The future to set later, or None when no answer is expected.
        """
        envelope = self._cell.busy_with
        if envelope is None or envelope[1] is None:
            return None
        message, future, at_ns = envelope
        self._cell.busy_with = (message, None, at_ns)
        return future

    def hold(self) -> None:
        """Serve only the control lane until ``unhold``: the state is still on its way."""
        self._cell.status = Status.LOADING
        self._cell.mailbox.serve(Serving.CONTROL_ONLY)

    def unhold(self) -> None:
        """Serve all lanes again."""
        self._cell.status = Status.RUNNING
        self._cell.mailbox.serve(Serving.ALL)

    def inspect_state(self) -> Any:
        """What ``inspect`` and crash reports show as the actor's state."""
        return None

    def evidence(self, message: Any, report: CrashReport) -> bytes:
        """What the failure on ``message`` can be repeated with; nothing if it cannot."""
        del message, report
        return b""
