"""A process with Django set up in a station's environment, that calls functions for the test.

Django reads its settings once a process, so a test talks to its station through one of these.
"""

import importlib
import pickle
import sys
import traceback
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from django.db import close_old_connections

from tests.support.processes import Process

P = ParamSpec("P")
T = TypeVar("T")


class RemoteError(AssertionError):
    """A called function raised `name` in the station; `text` is what it said."""

    def __init__(self, name: str, text: str, trace: str) -> None:
        super().__init__(f"{name}: {text}\n{trace}")
        self.name, self.text, self.trace = name, text, trace


class Console:
    """One such process; it serves one call at a time."""

    def __init__(self, name: str, log: Path, env: Mapping[str, str]) -> None:
        self._here, there = Pipe()
        command = [sys.executable, "-m", "tests.support.console", str(there.fileno())]
        self.process = Process(name, command, log, env=env, pass_fds=[there.fileno()])
        there.close()

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What a function at module level returns in the station. Its arguments and its value are pickled."""
        return self.within(60, function, *args, **kwargs)

    def within(self, timeout: float, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The same, with a limit in seconds."""
        name = f"{function.__module__}:{function.__qualname__}"
        try:
            self._here.send((name, args, kwargs))
            assert self._here.poll(timeout), f"{name} took longer than {timeout:g} s"
            value, error = self._here.recv()
        except (EOFError, BrokenPipeError) as ended:
            raise AssertionError(f"The console ended in {name}:\n{self.process.output()[-4000:]}") from ended
        if error is not None:
            raise RemoteError(*error)
        return value  # type: ignore[no-any-return]

    def stop(self) -> None:
        self._here.close()
        self.process.stop(grace=2)


def _serve(channel: Connection) -> None:
    while True:
        try:
            name, args, kwargs = channel.recv()
        except EOFError:
            return
        channel.send(_answer(name, args, kwargs))


def _answer(name: str, args: Any, kwargs: Any) -> tuple[Any, tuple[str, str, str] | None]:
    close_old_connections()  # as Django does before a request: one that broke is opened anew
    try:
        module, _, path = name.partition(":")
        target: Any = importlib.import_module(module)
        for part in path.split("."):
            target = getattr(target, part)
        value = target(*args, **kwargs)
        pickle.dumps(value)
    except Exception as error:
        return None, (type(error).__name__, str(error), traceback.format_exc())
    return value, None


if __name__ == "__main__":
    import django

    django.setup()
    _serve(Connection(int(sys.argv[1])))
