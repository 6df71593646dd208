"""What the person (or the machine) asks by signals: to stop, then to stop at once."""

import signal
import time
from threading import Event
from types import FrameType

#: A terminal and make may both deliver the same wish; a second Ctrl-C counts only after this many seconds.
SAME_WISH = 1.0


class Wishes:
    """Listens to Ctrl-C, SIGTERM and the closing of the terminal."""

    def __init__(self) -> None:
        self.stop, self.hurry = Event(), Event()
        self._first = 0.0
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._heard)

    def _heard(self, number: int, frame: FrameType | None) -> None:
        if not self.stop.is_set():
            self._first = time.monotonic()
            self.stop.set()
        elif number == signal.SIGINT and time.monotonic() - self._first > SAME_WISH:
            self.hurry.set()
