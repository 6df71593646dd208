"""Plain Celery with stock django-celery-beat: its beat reads the same tables as ours, its worker runs what it sends."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bench.stock_settings")

app = Celery("stock", broker=os.environ["REDIS_URL"], include=["bench.noop", "bench.slow"])
app.conf.update(
    beat_scheduler="django_celery_beat.schedulers:DatabaseScheduler",
    task_default_queue="default",
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
)
