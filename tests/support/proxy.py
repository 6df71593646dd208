"""A relay in front of a server, as PgBouncer or a load balancer is one: it can lose answers and drop connections."""

import socket
import threading
from contextlib import suppress


class Proxy:
    """Relays 127.0.0.1:`port` to another port of this machine."""

    def __init__(self, target: int) -> None:
        self.target = target
        self._fatal = b""
        self._deaf: set[socket.socket] = set()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def lose_answers(self, words: str) -> None:
        """Whoever says these words from now on is heard by the server, and hears nothing more from it."""
        self._fatal = words.encode()

    def cut(self) -> None:
        """Every connection is closed, new ones are relayed whole."""
        self._fatal = b""
        pairs, self._pairs = self._pairs, []
        for pair in pairs:
            _close(*pair)
        self._deaf.clear()

    def stop(self) -> None:
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self.target))
                self._pairs.append((client, server))
                threading.Thread(target=self._relay, args=(client, server), daemon=True).start()
                threading.Thread(target=self._relay, args=(server, client), daemon=True).start()

    def _relay(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if self._fatal and self._fatal in data:
                    self._deaf.add(source)
                if target not in self._deaf:
                    target.sendall(data)
        _close(source, target)


def _close(*sockets: socket.socket) -> None:
    for each in sockets:
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()
