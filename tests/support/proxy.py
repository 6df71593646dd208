"""A relay in front of a server, as PgBouncer or a load balancer is one: it can lose answers and drop connections."""

import socket
import threading
from contextlib import suppress


class Proxy:
    """Relays 127.0.0.1:`port` to another port of this machine."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.mute = False
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def lose_answers(self) -> None:
        """What clients say arrives; what the server answers does not."""
        self.mute = True

    def cut(self) -> None:
        """Every connection is closed, new ones are relayed whole."""
        pairs, self._pairs = self._pairs, []
        for pair in pairs:
            _close(*pair)
        self.mute = False

    def stop(self) -> None:
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self.target))
                self._pairs.append((client, server))
                threading.Thread(target=self._relay, args=(client, server, False), daemon=True).start()
                threading.Thread(target=self._relay, args=(server, client, True), daemon=True).start()

    def _relay(self, source: socket.socket, target: socket.socket, answers: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if not (answers and self.mute):
                    target.sendall(data)
        _close(source, target)


def _close(*sockets: socket.socket) -> None:
    for each in sockets:
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()
