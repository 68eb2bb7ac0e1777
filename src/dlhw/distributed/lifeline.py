"""How the processes of one run end together: each learns at once when another has ended before its time.

Every rank holds a connection to the first one, which the system closes when a process ends, however it ends. A rank
that ends in order says so before, and one that fails says why.
"""

import os
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Client, Connection, Listener, wait
from typing import Any

from dlhw.errors import RunFailed, UserError, in_a_line

# What a rank says at its end, beside the words of an error.
DONE, INTERRUPTED, TOLD = "\0done", "interrupted", "\0told"  # told: to the user, by the first rank
KILLED = "it was killed, or ran out of memory"  # what is understood where it said nothing

NOTICE = 2.0  # seconds until a closed connection of torch's is understood
SETTLE = 0.3  # for the others' words to come in
GRACE = 8.0  # for a process to end by itself once another has


class Lifeline:
    """Watches the other ends in a thread of its own, since a rank that waits for a GPU hears no signal."""

    def __init__(self, rank: int, connections: dict[Connection, int]) -> None:
        """connections: the first rank's to each other, or another's to the first."""
        self.rank = rank
        self.connections = connections
        self.ended: dict[int, str] = {}  # ranks that ended before their time, and what they said
        self.noticed = threading.Event()
        self.left = threading.Event()  # this process has come out of the run by itself
        self.last_words: Callable[[str], None] = lambda line: None
        threading.Thread(target=self.watch, args=(list(connections),), daemon=True).start()

    def watch(self, waiting: list[Connection]) -> None:
        while waiting:
            for connection in wait(waiting):
                assert isinstance(connection, Connection)
                waiting.remove(connection)
                try:
                    words = connection.recv_bytes().decode()
                except (EOFError, OSError):
                    words = KILLED
                if words != DONE and not self.left.is_set():
                    self.ended[self.connections[connection]] = words
                    if not self.noticed.is_set():
                        threading.Thread(target=self.end_by_force, daemon=True).start()
                    self.noticed.set()

    def end_by_force(self) -> None:
        """End a process that does not come out by itself, as it may never where it waits for a rank that is gone."""
        if self.left.wait(GRACE):
            return
        if line := self.line():
            self.last_words(line)
            self.tell(line, first_too=True)
        os._exit(1)

    @contextmanager
    def guard(self, last_words: Callable[[str], None] | None = None) -> Iterator[None]:
        """Raise RunFailed where an error, or torchrun's SIGTERM, comes of another rank's end.

        last_words: called with its line where this process has to be ended by force.
        """
        self.last_words = last_words or self.last_words
        try:
            yield
        except BaseException as error:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # torchrun's would only keep this process from telling
            line = self.cause(error)
            if line is None:
                raise
            self.tell(line)
            raise RunFailed(line) from error

    def cause(self, error: BaseException) -> str | None:
        """The line that tells of another rank's end, if that is what the error comes of."""
        if isinstance(error, UserError | RunFailed):  # to which all ranks come alike
            return None
        if self.noticed.wait(NOTICE):
            time.sleep(SETTLE)
        return self.line(own=words_of(error))

    def line(self, own: str = "") -> str | None:
        """Of the rank whose end explains the others'; None where there is none, or it said what this one says."""
        ended = {rank: words for rank, words in self.ended.items() if words not in (own, TOLD)}
        order = sorted(ended, key=lambda rank: (ended[rank] != KILLED, ended[rank] == INTERRUPTED))
        return f"a process of this run ended (rank {order[0]}: {ended[order[0]]})" if order else None

    def tell(self, line: str, first_too: bool = False) -> None:
        """The first rank tells, or the second where the first is gone."""
        gone = self.ended.get(0) == KILLED
        if (self.rank == 1 and gone) or (self.rank == 0 and first_too):
            print(f"dlhw: {line}", file=sys.stderr, flush=True)

    def leave(self, error: BaseException | None = None) -> None:
        """Say how this rank ends. One that fails as all do leaves it to the first to tell, and waits for that."""
        words = DONE if error is None else words_of(error) if self.rank else TOLD
        for connection in self.connections:
            with suppress(OSError):
                connection.send_bytes(words.encode())
        if self.rank and isinstance(error, UserError | RunFailed):
            self.noticed.wait(GRACE)  # else torchrun, seeing this one end, would end the first before it has spoken
        self.left.set()


def words_of(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return INTERRUPTED
    return in_a_line(error)


Share = Callable[..., tuple[Any, ...]]


def connect(rank: int, world_size: int, one_machine: bool, address: str, share: Share) -> Lifeline:
    """Tie this rank to the first one, which is at `address`. share: hands the first rank's arguments to all."""
    if rank:
        host, port, key = share()
        connection = Client(("127.0.0.1" if host == socket.gethostname() else address, port), authkey=key)
        connection.send_bytes(str(rank).encode())
        return Lifeline(rank, {connection: 0})
    key = secrets.token_bytes(16)
    with Listener(("127.0.0.1" if one_machine else "", 0), backlog=world_size, authkey=key) as listener:
        share(socket.gethostname(), listener.address[1], key)
        connections = [listener.accept() for _ in range(world_size - 1)]
    return Lifeline(rank, {connection: int(connection.recv_bytes()) for connection in connections})
