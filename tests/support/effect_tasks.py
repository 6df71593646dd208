"""Tasks that use what Stationmaster offers to bodies: effects done once, keys for outside services, progress."""

import os
import signal
import time
from functools import partial

from celery import Task, shared_task
from django.db import OperationalError

from jobs.ledger.current import report_progress
from jobs.ledger.once import idempotency_key, once
from jobs.work.models import Charge
from tests.plain_tasks import lines, write


@shared_task(bind=True, max_retries=3)
def charging(self: Task, order: str, trouble: str = "") -> str:
    """Charges the order once; then `trouble` strikes, the first time or always."""
    write(f"key {order} {idempotency_key()}")
    first = lines().count(f"strike {order}") == 0
    gateway_id: str = once(f"order:{order}", partial(_charge, order))
    if trouble and (first or trouble == "always"):
        write(f"strike {order}")
        if trouble == "retry":
            raise self.retry(countdown=0.1)
        if trouble == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        raise ValueError(trouble)
    return gateway_id


def _charge(order: str) -> str:
    write(f"charge {order}")
    Charge.objects.create(key=order, order_id=order, amount=1, gateway_id=f"ch_{order}")
    return f"ch_{order}"


@shared_task(autoretry_for=(OperationalError,), default_retry_delay=0.2, max_retries=30)
def writing(order: str, seconds: float = 0) -> str:
    """After a while it says how far it is, and writes a row."""
    write(f"start {order}")
    time.sleep(seconds)
    report_progress(1, 2, "half")
    write(f"told {order}")
    Charge.objects.create(key=order, order_id=order, amount=1)
    return order
