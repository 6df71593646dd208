"""The network between processes and a server, on a bad day: connections fall silent, lose answers, or break."""

import selectors
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Network:
    """Listens on a free port and carries bytes to `target` and back, until it is told to swallow them, as a load
    balancer or PgBouncer may do it.

    Nothing is closed by `blackhole` and `silence`: both ends see a connection that is open, and hear nobody.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.listener.getsockname()[1])
        self.over = threading.Event()
        self.silent = False
        #: The other end of each, and those between which nothing is carried any more.
        self.other: dict[socket.socket, socket.socket] = {}
        self.dead: set[socket.socket] = set()
        #: Who has said the fatal words, and is answered no more.
        self.fatal = b""
        self.deaf: set[socket.socket] = set()
        self.cutting = threading.Event()
        self.selector = selectors.DefaultSelector()
        self.thread = threading.Thread(target=self._serve, name="network", daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def blackhole(self) -> None:
        """Every connection there is falls silent for good; new ones work."""
        self.dead.update(list(self.other))

    def silence(self) -> None:
        """Connections are accepted, nothing on any of them is answered."""
        self.silent = True

    def lose_answers(self, words: str) -> None:
        """Whoever says these words from now on is heard by the server, and hears nothing more from it."""
        self.fatal = words.encode()

    def cut(self) -> None:
        """Every connection is closed; new ones are carried whole."""
        self.fatal = b""
        self.cutting.set()
        while self.cutting.is_set():
            time.sleep(0.01)

    def mend(self) -> None:
        """New connections work again; those that were silent stay so."""
        self.blackhole()
        self.silent = False

    def close(self) -> None:
        self.over.set()
        self.thread.join(5)
        for end in (*self.other, self.listener):
            end.close()
        self.selector.close()

    def _serve(self) -> None:
        self.selector.register(self.listener, selectors.EVENT_READ)
        while not self.over.is_set():
            for key, _ in self.selector.select(timeout=0.05):
                end = key.fileobj
                assert isinstance(end, socket.socket)
                if end is self.listener:
                    self._accept()
                elif end.fileno() >= 0:
                    self._carry(end)
            if self.cutting.is_set():
                for end in list(self.other):
                    if end in self.other:
                        self._hang_up(end)
                self.deaf.clear()
                self.cutting.clear()

    def _accept(self) -> None:
        near, _ = self.listener.accept()
        try:
            far = socket.create_connection(("127.0.0.1", self.target), timeout=1)
        except OSError:
            near.close()
            return
        self.other.update({near: far, far: near})
        for end in (near, far):
            self.selector.register(end, selectors.EVENT_READ)

    def _carry(self, end: socket.socket) -> None:
        try:
            data = end.recv(65536)
            if self.fatal and self.fatal in data:
                self.deaf.add(end)
            if data and not (self.silent or end in self.dead or self.other[end] in self.deaf):
                self.other[end].sendall(data)
        except OSError:
            data = b""
        if not data:
            self._hang_up(end)

    def _hang_up(self, end: socket.socket) -> None:
        """One end is gone; the other learns it, unless nothing reaches it."""
        self.selector.unregister(end)
        if self.silent or end in self.dead:
            return
        other = self.other.pop(end)
        self.other.pop(other)
        self.selector.unregister(other)
        for one in (end, other):
            one.close()


@contextmanager
def network(target: int) -> Iterator[Network]:
    """A way to this port of 127.0.0.1; it ends with the block."""
    made = Network(target)
    try:
        yield made
    finally:
        made.close()
