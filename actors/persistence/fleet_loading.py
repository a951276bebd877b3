"""All accounts at a start, folded by several processes at once.

Folding is work for the processor, and Python gives one process no more than one of them. So the accounts are cut into
chunks, and whoever is free takes the next: this process, and workers that ask Postgres on connections of their own. They
fold with the same function, and hand back states as snapshots keep them, which are read back as they were. A worker that
fails costs time and nothing else: what it had is folded here.

I/O: runs SQL on the connection that it is given; starts processes, which run this file.
"""

from __future__ import annotations

import gc
import os
import queue
import struct
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Self

import msgspec
import psycopg
import structlog

from actors.core.errors import StateCorrupt, StoreUnreachable
from actors.persistence import loading
from actors.persistence.connection import connect, one_line
from actors.persistence.loading import Connection, Failed, Kept
from actors.subaccount import state_codec

log = structlog.get_logger("store")

CHUNK = 250
"""Accounts: 10 ms of work, so that nobody waits long for who is last, and an answer that fits into a pipe."""

AHEAD = 2
"""So many chunks a worker has at a time: the next one is there before the answer to the last one was taken."""

PIPE_BYTES = 1 << 20
"""As much as Linux lets everybody have: a worker need not wait until its answer is read."""

WORTH_A_WORKER = 10_000
"""Accounts. A worker's start takes 0.2 s of a processor, as to fold half as many does."""

WORKERS_MAX = 3
"""To read back what more of them fold would take all of this process's time."""

PATIENCE_SECONDS = 60.0
"""How long to wait for a worker's answer; Postgres has given a statement up long before."""

END_SECONDS = 5.0
"""How long a worker may take to end by itself."""

Folded = tuple[str, int, bytes, bytes]
"""Account, sequence, hash and encoded state, as a worker hands them back."""


class Answer(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a worker made of a chunk, or why it made nothing."""

    folded: list[Folded] = []
    error: str = ""


Chunk = list[str]
Chunks = queue.SimpleQueue[Chunk]
Worker = subprocess.Popen[bytes]

_ENCODER = msgspec.msgpack.Encoder()
_CHUNK = msgspec.msgpack.Decoder(Chunk)
_ANSWER = msgspec.msgpack.Decoder(Answer)
_LENGTH = struct.Struct("<Q")


def all_states(
    connection: Connection, dsn: str, streams: Sequence[str], failed: Failed, workers: int | None = None
) -> dict[str, Kept]:
    """The states of very many accounts, as ``loading.states_of`` gives them; no limits below.

    Args:
        connection: for what is folded here.
        dsn: of the same database, for workers.
        streams: the accounts' ids.
        failed: informed of accounts that cannot be read.
        workers: how many processes beside this one; by default as many as the accounts are worth on this machine.
    """
    chunks: Chunks = queue.SimpleQueue()
    for at in range(0, len(streams), CHUNK):
        chunks.put(list(streams[at : at + CHUNK]))
    states: dict[str, Kept] = {}
    with _Team(dsn, chunks, _worth(len(streams)) if workers is None else workers) as team:
        while (chunk := _next(chunks)) is not None or team.at_work:
            if chunk is not None:
                loading.add_usual(connection, chunk, states)
            for answer in team.answers(wait=chunk is None):
                _read_back(answer.folded, states)
    # What is not as it nearly always is, and what a worker had that failed.
    others = [stream for stream in streams if stream not in states]
    states.update(loading.states_of(connection, others, failed) if others else {})
    return states


def _worth(accounts: int) -> int:
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(processors - 1, WORKERS_MAX, accounts // WORTH_A_WORKER)


def _read_back(folded: list[Folded], states: dict[str, Kept]) -> None:
    """Add what a worker folded to ``states``, if it is what it should be."""
    for stream, sequence, hash_, data in folded:
        with suppress(StateCorrupt):
            state = state_codec.decode(state_codec.VERSION, data)
            if (state.account_id, state.sequence) == (stream, sequence):
                states[stream] = Kept(state, sequence, hash_)


def _next(chunks: Chunks) -> Chunk | None:
    try:
        return chunks.get_nowait()
    except queue.Empty:
        return None


class _Team:
    """Workers, each with a thread here that gives it chunks and takes its answers."""

    def __init__(self, dsn: str, chunks: Chunks, workers: int) -> None:
        self._dsn, self._chunks = dsn, chunks
        self._answers: queue.SimpleQueue[Answer | None] = queue.SimpleQueue()
        self._processes = [process for process in (_started() for _ in range(workers)) if process is not None]
        self.at_work = len(self._processes)

    def __enter__(self) -> Self:
        for process in self._processes:
            threading.Thread(target=self._attend, args=[process], name="fold-worker", daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        while _next(self._chunks) is not None:
            pass  # after an error here nobody goes on
        for process in self._processes:
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def answers(self, *, wait: bool) -> Iterator[Answer]:
        """Those that are there; with ``wait``, where none is, the next one, or none when a worker ends."""
        while True:
            try:
                answer = self._answers.get(wait, PATIENCE_SECONDS)
            except queue.Empty:
                if wait:
                    log.warning("processes that help to read accounts do not answer")
                    for process in self._processes:
                        process.kill()
                return
            wait = False
            if answer is None:
                self.at_work -= 1
            else:
                yield answer

    def _attend(self, process: Worker) -> None:
        given: deque[Chunk] = deque()
        try:
            # It reads its input to the end, and then ends.
            with _pipe(process.stdout) as answers, _pipe(process.stdin) as asked:
                _write(asked, self._dsn.encode())
                while self._give(asked, given):
                    self._answers.put(_answer_to(given[0], _read(answers)))
                    given.popleft()
        except (OSError, EOFError, msgspec.MsgspecError) as error:
            log.warning("a process that helps to read accounts failed", error=one_line(error))
        finally:
            self._answers.put(None)

    def _give(self, asked: IO[bytes], given: deque[Chunk]) -> bool:
        """Give a worker chunks until it has enough; whether it has one."""
        while len(given) < AHEAD and (chunk := _next(self._chunks)) is not None:
            given.append(chunk)
            _write(asked, _ENCODER.encode(chunk))
        return bool(given)


def _started() -> Worker | None:
    """A worker, or None if there can be none now."""
    # It runs the code that we run, whatever lies in the folder that we were started in.
    command = [sys.executable, "-P", "-m", __name__]
    ours = {"PYTHONPATH": str(Path(__file__).parents[2])}
    try:
        return subprocess.Popen(  # noqa: S603 - our own program
            command,
            env={**os.environ, **ours},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pipesize=PIPE_BYTES,
            process_group=0,  # Ctrl-C is for the engine, with which this ends
        )
    except OSError as error:
        log.warning("no process to help to read accounts", error=one_line(error))
        return None


def _pipe(end: IO[bytes] | None) -> IO[bytes]:
    if end is None:
        raise OSError("it has no pipe")
    return end


def _answer_to(chunk: Chunk, data: bytes) -> Answer:
    answer = _ANSWER.decode(data)
    if answer.error:
        raise OSError(answer.error)
    if not {folded[0] for folded in answer.folded} <= set(chunk):
        raise OSError("it answered what it was not asked")
    return answer


def _write(pipe: IO[bytes], data: bytes) -> None:
    pipe.write(_LENGTH.pack(len(data)))
    pipe.write(data)
    pipe.flush()


def _read(pipe: IO[bytes]) -> bytes:
    """What ``_write`` was given at the other end.

    Raises:
        EOFError: the other end is closed.
    """
    head = pipe.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        raise EOFError("it has ended")
    (length,) = _LENGTH.unpack(head)
    data = pipe.read(length)
    if len(data) < length:
        raise EOFError("it has ended in the middle of an answer")
    return data


# -- the worker


def serve(source: IO[bytes], sink: IO[bytes]) -> None:
    """Answer chunks until there are no more. What is read first is the DSN."""
    try:
        with connect(_read(source).decode()) as connection:
            connection.execute("SET default_transaction_read_only = on")
            while True:
                _write(sink, _ENCODER.encode(_answer(connection, _CHUNK.decode(_read(source)))))
    except (EOFError, BrokenPipeError):
        return  # there are no more, or whoever asks has ended
    except (psycopg.Error, StoreUnreachable) as error:
        _write(sink, _ENCODER.encode(Answer(error=one_line(error))))


def _answer(connection: Connection, chunk: Chunk) -> Answer:
    states: dict[str, Kept] = {}
    loading.add_usual(connection, chunk, states)
    return Answer([(id_, k.sequence, k.hash, state_codec.encode(k.state)) for id_, k in states.items()])


if __name__ == "__main__":
    gc.disable()
    serve(sys.stdin.buffer, sys.stdout.buffer)
    os._exit(0)  # who asks waits for the end, and to take Python apart takes time
