"""Ten thousand schedules that are not due for hours; 1,000 can be made due, and one gives the pulse."""

from datetime import datetime, timedelta

from bench.rows import CHANGED, Statement, insert
from bench.sides import Side

#: Ids of the timings that are made for it.
MINUTELY, SPREAD, PULSE = 9001, 9002, 9003
#: Seconds between two ticks of the schedules that are spread over a second.
SPREAD_EVERY = 20
#: Seconds after the full minute that they begin: far from the crons.
SPREAD_AT = 10

TASKS = """
INSERT INTO django_celery_beat_periodictask
    (id, name, task, args, kwargs, headers, enabled, one_off, total_run_count, description, date_changed,
     crontab_id, interval_id)
SELECT 10000 + n, CASE WHEN n <= {due} THEN 'minutely-' WHEN n <= 2 * {due} THEN 'spread-' ELSE 'far-' END || n,
    'bench.noop', '[]', '{{}}', '{{}}', true, false, 0, '', now(),
    CASE WHEN n <= 2 * {due} OR mod(n, 10) < 7 THEN 1000 + mod(n, 200) END,
    CASE WHEN n > 2 * {due} AND mod(n, 10) >= 7 THEN 1000 + mod(n, 20) END
FROM generate_series(1, {schedules}) AS n
"""


def fill(side: Side, schedules: int, due: int) -> None:
    """So many rows, all far from due, and a disabled one of every second, named `pulse`."""
    side.sql(("UPDATE django_celery_beat_periodictask SET enabled = false", []))
    side.sql(*_timings(side.now()), (TASKS.format(schedules=schedules, due=due), []), _pulse(), changed(side))


def feel(side: Side, on: bool) -> None:
    """Let the pulse beat, or stop it."""
    query = "UPDATE django_celery_beat_periodictask SET enabled = ?, last_run_at = NULL WHERE name = 'pulse'"
    side.sql((query, [on]), changed(side))


def make_due(side: Side, due: int, begin: datetime) -> None:
    """The minutely ones tick every minute, all at once; the spread ones every 20 s from `begin` on, within a second."""
    minutely = "UPDATE django_celery_beat_periodictask SET crontab_id = ? WHERE id <= 10000 + ? AND id > 10000"
    side.sql((minutely, [MINUTELY, due]), changed(side))
    if side.anchored:
        spread = (
            "UPDATE django_celery_beat_periodictask SET crontab_id = NULL, interval_id = ?, start_time = "
            "?::timestamptz + (id - 10001 - ?) * interval '1 s' / ? WHERE id > 10000 + ? AND id <= 10000 + ?"
        )
        at = (begin + timedelta(seconds=SPREAD_AT)).isoformat()
        side.sql((spread, [SPREAD, at, due, due, due, 2 * due]), changed(side))


def offset(name: str, due: int) -> float:
    """Seconds after the others' beginning that a spread one ticks."""
    return (int(name.partition("-")[2]) - due - 1) / due


def rest(side: Side) -> None:
    """Nothing is due any more: what was is disabled."""
    query = "UPDATE django_celery_beat_periodictask SET enabled = false WHERE crontab_id = ? OR interval_id = ?"
    side.sql((query, [MINUTELY, SPREAD]), changed(side))


def changed(side: Side) -> Statement:
    """The word that stock waits for."""
    return CHANGED, [side.now().isoformat()]


def _timings(now: datetime) -> list[Statement]:
    crons = [
        _cron(1000 + number, str(number * 7 % 60), str((now.hour + 3 + number % 17) % 24)) for number in range(200)
    ]
    intervals = [_interval(1000 + number, 6 * 3600 + number * 600) for number in range(20)]
    return [*crons, *intervals, _cron(MINUTELY, "*", "*"), _interval(SPREAD, SPREAD_EVERY), _interval(PULSE, 1)]


def _cron(id: int, minute: str, hour: str) -> Statement:
    days = {"day_of_month": "*", "month_of_year": "*", "day_of_week": "*", "timezone": "UTC"}
    return insert("django_celery_beat_crontabschedule", {"id": id, "minute": minute, "hour": hour, **days})


def _interval(id: int, every: int) -> Statement:
    return insert("django_celery_beat_intervalschedule", {"id": id, "every": every, "period": "seconds"})


def _pulse() -> Statement:
    columns = "id, name, task, args, kwargs, headers, enabled, one_off, total_run_count, description, date_changed"
    values = "9999, 'pulse', 'bench.noop', '[]', '{}', '{}', false, false, 0, '', now()"
    return f"INSERT INTO django_celery_beat_periodictask ({columns}, interval_id) VALUES ({values}, ?)", [PULSE]
