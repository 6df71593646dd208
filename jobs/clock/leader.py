"""One beat leads: it holds a lease row, by the database's clock."""

import logging
import os
import socket
import time
import uuid

from django.db import DatabaseError, InterfaceError, connections

from jobs.conf import conf
from jobs.lifecycle.moment import moment

logger = logging.getLogger(__name__)
NAME = "beat"


class Leader:
    """This process' claim to the lead, renewed at a third of the lease; whoever stands by asks more often."""

    def __init__(self, using: str) -> None:
        self.using = using
        self.holder = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self.leads_until = 0.0
        self.ask_again = 0.0
        #: What was logged last: None before the first answer.
        self.told: bool | None = None

    def leads(self) -> bool:
        """Whether this process leads for sure at this moment (asks nobody)."""
        return time.monotonic() < self.leads_until

    def lead(self) -> bool:
        """Take or renew the lead when it is time to; whether this process leads. Raises DatabaseError."""
        now = time.monotonic()
        if now >= self.ask_again:
            lease = conf().leader_lease
            self.ask_again = now + conf().standby_every
            held = self._take(lease)
            if held != self.told:
                logger.info("This beat %s", "leads" if held else "stands by")
                self.told = held
            # Counted from before the question: never longer than the row says.
            self.leads_until = now + lease if held else 0.0
            if held:
                self.ask_again = now + lease / 3
        return self.leads()

    def resign(self) -> None:
        """Let the next beat lead at once."""
        self.leads_until = 0.0
        try:
            with connections[self.using].cursor() as cursor:
                now, at = moment(self.using)
                cursor.execute(
                    f"UPDATE jobs_lease SET until = {now} WHERE name = %s AND holder = %s", [*at, NAME, self.holder]
                )
        except (DatabaseError, InterfaceError) as error:
            logger.warning("The lead can't be given away (%s); its lease ends by itself", error)
        finally:
            connections[self.using].close()

    def _take(self, lease: float) -> bool:
        now, at = moment(self.using)
        until, until_at = moment(self.using, lease)
        with connections[self.using].cursor() as cursor:
            cursor.execute(
                f"INSERT INTO jobs_lease (name, holder, until) VALUES (%s, %s, {until}) "
                f"ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until "
                f"WHERE jobs_lease.holder = excluded.holder OR jobs_lease.until < {now}",
                [NAME, self.holder, *until_at, *at],
            )
            return bool(cursor.rowcount > 0)
