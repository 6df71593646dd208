"""process_payment: an order charged once."""

from decimal import Decimal
from typing import Any

from celery import shared_task
from celery.exceptions import SoftTimeLimitExceeded

from jobs.conf import conf
from jobs.errors import TaskFailure
from jobs.work import payments


@shared_task(name="process_payment", bind=True, max_retries=3)
def process_payment(self: Any, order_id: str, amount: Decimal) -> dict[str, str]:
    """Charges the order by the gateway. `amount` is a number or decimal text; 0 and less fail for good."""
    try:
        return payments.charge(order_id, amount)
    except TaskFailure:
        raise
    except SoftTimeLimitExceeded as error:
        raise self.retry(exc=error, countdown=conf().retry_delay_after_limit) from error
    except Exception as error:
        raise self.retry(exc=error, countdown=conf().retry_delay) from error
