"""For Python under libfaketime, which spoils `time.sleep`: it moves the moment until which that sleeps, though told not
to fake the clock that tells it."""

import select
import time
from typing import Any


def sleep(seconds: Any, /) -> None:
    select.select([], [], [], seconds)


time.sleep = sleep
