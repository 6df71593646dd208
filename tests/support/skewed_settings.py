"""The project's settings for a process under libfaketime, which spoils `time.sleep`: an absolute sleep on the monotonic
clock is moved by the offset even when that clock is told not to be faked."""

import select
import time

from config.settings import *  # noqa: F403


def sleep(seconds: float) -> None:
    select.select([], [], [], seconds)


time.sleep = sleep
