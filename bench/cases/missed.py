"""Cases in which beat was down across ticks. The clock leaps: beat's years take seconds."""

from bench.cases.case import case, often, times, utc
from bench.rows import Row
from bench.sides import Side


@case("down-interval", "beat down 02:00 to 06:10, three hourly intervals; ours skip, once, all")
def down_across_ticks(side: Side) -> str:
    side.turn(utc(10, 2))
    rows = [Row(name, every=(1, "hours"), policy={"missed": name}) for name in ("skip", "once", "all")]
    side.add(*rows)
    side.up(utc(10, 2, 0, 1), 6)
    side.up(utc(10, 6, 10), 8)
    return "4 missed each; " + ", ".join(f"{row.name}: {often(len(side.arrivals.of(row.name)))}" for row in rows)


@case("down-daily", "beat down from midnight to 13:00, daily rows of 12:00, 10:00 and 03:00")
def daily_rows(side: Side) -> str:
    side.turn(utc(10, 0, 30))
    hours = {"12": "1 h ago", "10": "3 h ago", "3": "10 h ago"}
    side.add(*(Row(f"at-{hour}", cron=f"0 {hour} * * *") for hour in hours))
    side.up(utc(10, 0, 30, 1), 6)
    side.up(utc(10, 13), 8)
    return "; ".join(f"missed {ago}: {often(len(side.arrivals.of(f'at-{hour}')))}" for hour, ago in hours.items())


@case("ghost-run", "a daily 03:00 row; beat down 02:00 to 06:00, started again at 01:00 the next day")
def ghost_run(side: Side) -> str:
    side.turn(utc(10, 1, 59, 50))
    side.add(Row("daily", cron="0 3 * * *"))
    side.up(utc(10, 1, 59, 51), 6)
    side.up(utc(10, 6), 6)
    side.up(utc(11, 1), 6)
    side.up(utc(11, 2, 59, 53), 10)
    return times(side.arrivals.of("daily"), "%d June %H:%M")


@case("expired-while-down", "an hourly row that expired at 03:30 while beat was down from 02:00 to 06:00")
def expired(side: Side) -> str:
    side.turn(utc(10, 2))
    side.add(Row("hourly", every=(1, "hours"), columns={"expires": "2026-06-10 03:30:00"}))
    side.up(utc(10, 2, 0, 1), 6)
    side.up(utc(10, 6), 8)
    (row,) = side.sql(("SELECT enabled FROM django_celery_beat_periodictask WHERE name = 'hourly'", []))
    return f"{often(len(side.arrivals.of('hourly')))}, {'still enabled' if row['enabled'] else 'disabled'}"
