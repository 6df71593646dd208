"""Rows of schedules as scripts and older versions may have left them."""

from django_celery_beat.models import PeriodicTask

from jobs.schedules.rows import TIMINGS


def kept_past_every_guard(row: PeriodicTask) -> PeriodicTask:
    """The row and its timing in the tables, whatever they hold: bulk_create asks nobody."""
    for field in TIMINGS:
        timing = getattr(row, field)
        if timing is not None and timing.pk is None:
            [made] = type(timing).objects.bulk_create([timing])
            setattr(row, field, made if made.pk else type(timing).objects.latest("pk"))
    PeriodicTask.objects.bulk_create([row])
    return PeriodicTask.objects.get(name=row.name)
