"""An outside HTTP server that answers as a test tells it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Request:
    """What the server was asked."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Reply:
    """What it answers; `chunks` are sent one by one without a length."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    chunks: Iterator[bytes] | None = None


@dataclass
class Outside:
    """A running server: set `answer`, look at `requests`."""

    port: int
    answer: Callable[[Request], Reply]
    requests: list[Request] = field(default_factory=list)

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"


@contextmanager
def outside() -> Iterator[Outside]:
    """A server on a free port of 127.0.0.1 that answers 200 until it is told otherwise."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    _Handler.known[server.server_port] = Outside(server.server_port, lambda request: Reply(b"ok"))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield _Handler.known[server.server_port]
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


class _Handler(BaseHTTPRequestHandler):
    known: dict[int, Outside] = {}

    def do_GET(self) -> None:
        me = self.known[self.server.server_address[1]]  # type: ignore[index]
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = Request(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body)
        me.requests.append(request)
        self._send(me.answer(request))

    do_POST = do_GET

    def _send(self, reply: Reply) -> None:
        try:
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if reply.chunks is None:
                self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            for chunk in reply.chunks or [reply.body]:
                self.wfile.write(chunk)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the caller has seen enough

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""
