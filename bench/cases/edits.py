"""Cases in which a schedule is edited under a running beat, with our shipped time constants."""

import time

from bench.cases.case import case
from bench.rows import Row
from bench.sides import Side

#: Seconds that an edit is given.
PATIENCE = 20.0
SECONDLY = {
    "save": "r = PeriodicTask.objects.get(name='daily'); r.crontab, r.interval_id = None, 1999; r.save()",
    "update": "PeriodicTask.objects.filter(name='daily').update(crontab=None, interval=1999)",
}
INTERVAL = (
    "INSERT INTO django_celery_beat_intervalschedule (id, every, period) VALUES (?, ?, ?)",
    [1999, 1, "seconds"],
)
SQL = "UPDATE django_celery_beat_periodictask SET crontab_id = NULL, interval_id = 1999 WHERE name = 'daily'"


@case("edit-save", "a daily row becomes one of every second, by `save()`", scale="1")
def by_save(side: Side) -> str:
    return _edited(side, SECONDLY["save"])


@case("edit-update", "the same by `queryset.update()`", scale="1")
def by_update(side: Side) -> str:
    return _edited(side, SECONDLY["update"])


@case("edit-sql", "the same by raw SQL", scale="1")
def by_sql(side: Side) -> str:
    return _edited(side, f"from django.db import connection; connection.cursor().execute({SQL!r})")


def _edited(side: Side, code: str) -> str:
    hour = (side.now().hour + 1) % 24
    side.add(Row("daily", cron=f"30 {hour} * * *"))
    side.sql(INTERVAL)
    side.beat()
    time.sleep(6)
    at = float(side.shell(f"{code}\nimport time; print(time.time())"))
    while time.time() < at + PATIENCE:
        if sent := side.arrivals.of("daily"):
            return f"first job {sent[0].host - at:.1f} s after it"
        time.sleep(0.05)
    return f"not seen within {PATIENCE:g} s"
