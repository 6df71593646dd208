"""Plain Celery as its documentation makes it durable; RESULTS names where the results go."""

import os

from celery import Celery

app = Celery("plain", broker=os.environ["REDIS_URL"], backend=os.environ["RESULTS"], include=["bench.noop"])
app.conf.update(
    task_default_queue="default",
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    task_track_started=True,
    result_extended=True,
    worker_hijack_root_logger=False,
)
