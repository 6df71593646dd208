"""What a worker's parent does around its forks: no connection crosses them, and no child outlives it."""

import ctypes
import os
import signal
import sys

from django.db import connections

_PR_SET_PDEATHSIG = 1


def prepare() -> None:
    """From now on, for every fork of this process."""
    parent = os.getpid()

    def close() -> None:
        """The parent's connections (a result that it looked up) are closed before a child is made."""
        if os.getpid() == parent:
            for connection in connections.all(initialized_only=True):
                if not connection.in_atomic_block:
                    connection.close()

    def end_with_parent() -> None:
        """A body whose parent was killed has nobody left who would stop it at its time limit (Linux only)."""
        if os.getppid() == parent and _libc is not None:
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)

    os.register_at_fork(before=close, after_in_child=end_with_parent)


_libc = ctypes.CDLL(None) if sys.platform == "linux" else None
