"""From which addresses processes of this machine speak to others (Linux)."""

import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")


def known() -> bool:
    """Whether this machine tells."""
    return (PROC / "net" / "tcp").exists()


def addresses(pids: Iterable[int]) -> set[str]:
    """`127.0.0.1:50123` of every TCP connection of these processes."""
    mine = {inode for pid in pids for inode in _inodes(pid)}
    return {address for inode, address in _table() if inode in mine}


def _inodes(pid: int) -> Iterator[str]:
    with suppress(OSError):  # it has just ended
        for entry in (PROC / str(pid) / "fd").iterdir():
            with suppress(OSError):
                target = os.readlink(entry)
                if target.startswith("socket:["):
                    yield target[len("socket:[") : -1]


def _table() -> Iterator[tuple[str, str]]:
    for name, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        with suppress(OSError):
            for line in (PROC / "net" / name).read_text().splitlines()[1:]:
                words = line.split()
                yield words[9], _address(words[1], family)


def _address(text: str, family: int) -> str:
    """`0100007F:C3CB` as `127.0.0.1:50123`: words of four bytes, each little-endian."""
    host, _, port = text.partition(":")
    raw = bytes.fromhex(host)
    turned = b"".join(raw[start : start + 4][::-1] for start in range(0, len(raw), 4))
    said = socket.inet_ntop(family, turned).removeprefix("::ffff:")
    return f"[{said}]:{int(port, 16)}" if ":" in said else f"{said}:{int(port, 16)}"
