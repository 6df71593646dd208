"""A crontab line in people's words, from what it means: `*/15` and `0,15,30,45` are said alike."""

from calendar import day_name, month_name
from collections.abc import Iterable, Sequence

from cron_descriptor import Options, get_description

from jobs.timing.cron import Cron, Line

#: So many are named one by one.
MOST_NAMED = 6
WEEKDAYS, WEEKEND = (1, 2, 3, 4, 5), (0, 6)
#: Monday first, as people count them; Sunday is 0.
WEEK = (1, 2, 3, 4, 5, 6, 0)


def cron_words(cron: Cron) -> str:
    """When it ticks, in lower case and without its zone; a line too odd for us as cron-descriptor says it."""
    line = cron.line
    times, days = _times(line), _days(line)
    if times is None or days is None:
        return _described(cron)
    if not days:
        return f"every day {times}" if times.startswith("at ") else times
    return f"{days} {times}"


def _times(line: Line) -> str | None:
    """`at 03:00`, `every hour at :30`, `every 15 min, 08:00 to 18:59`; None for what fits no pattern."""
    minutes = sorted({second // 60 % 60 for second in line.seconds})
    hours = sorted({second // 3600 for second in line.seconds})
    step = _step(minutes, 60)
    if step:
        return _through_hours(step, hours)
    at = f"at {_listed(_clock(second) for second in line.seconds)}"
    if len(line.seconds) <= 2:
        return at
    return _in_hours(minutes, hours) or (at if len(line.seconds) <= MOST_NAMED else None)


def _in_hours(minutes: Sequence[int], hours: Sequence[int]) -> str | None:
    """Some minutes of all hours, of every second or third one, or of a row of them."""
    step = _step(hours, 24)
    if step and step <= 8 and len(minutes) <= MOST_NAMED:
        return f"{_every(step, 'hour')}{_past(minutes)}"
    if len(minutes) == 1 and _is_range(hours):
        return f"every hour, {hours[0]:02}:{minutes[0]:02} to {hours[-1]:02}:{minutes[0]:02}"
    if step == 1 and minutes == list(range(0, 60, minutes[1])):
        return f"every {minutes[1]} minutes from :00 of every hour"
    return None


def _through_hours(step: int, hours: Sequence[int]) -> str | None:
    """Every `step` minutes, in all hours or in a row of them."""
    if len(hours) == 24:
        return _every(step, "minute")
    if len(hours) > 1 and not _is_range(hours):
        return None
    every = "every minute" if step == 1 else f"every {step} min"
    return f"{every}, {hours[0]:02}:00 to {hours[-1]:02}:59"


def _days(line: Line) -> str | None:
    """`weekdays`, `Mondays in May`, `1st of the month`, `on the 13th of the month if it is a Friday,`; "" for all."""
    all_days, whole_week = len(line.days) == 31, len(line.weekdays) == 7
    if all_days and whole_week:
        return "" if len(line.months) == 12 else f"every day in {_months(line)}"
    if all_days:
        return _weekdays(line) + ("" if len(line.months) == 12 else f" in {_months(line)}")
    days = _days_of_month(line)
    if days is None or whole_week:
        return days
    return f"on {'' if days.startswith('every') else 'the '}{days} if it is {_a_weekday(line)},"


def _days_of_month(line: Line) -> str | None:
    step = _step(line.days, 31, 1)
    if step:
        days = f"every {_ordinal(step)} day from the 1st"
    elif len(line.days) > 2 and _is_range(line.days):
        days = f"{_ordinal(line.days[0])} to {_ordinal(line.days[-1])}"
    elif len(line.days) <= MOST_NAMED:
        days = _listed(_ordinal(day) for day in line.days)
    else:
        return None
    if len(line.days) == len(line.months) == 1 and len(line.weekdays) == 7:
        return f"on {line.days[0]} {month_name[line.months[0]]}"
    return f"{days} of {'the month' if len(line.months) == 12 else _months(line)}"


def _weekdays(line: Line) -> str:
    if line.weekdays == set(WEEKDAYS):
        return "weekdays"
    if line.weekdays == set(WEEKEND):
        return "weekends"
    if len(line.weekdays) == 6:
        return f"every day but {_listed(_weekday(day) for day in WEEK if day not in line.weekdays)}"
    return _listed(f"{_weekday(day)}s" for day in WEEK if day in line.weekdays)


def _a_weekday(line: Line) -> str:
    if line.weekdays == set(WEEKDAYS):
        return "a weekday"
    return f"a {_listed((_weekday(day) for day in WEEK if day in line.weekdays), 'or')}"


def _months(line: Line) -> str:
    if len(line.months) > 2 and _is_range(line.months):
        return f"{month_name[line.months[0]]} to {month_name[line.months[-1]]}"
    return _listed(month_name[month] for month in line.months)


def _described(cron: Cron) -> str:
    options = Options()
    options.use_24hour_time_format = True
    text = " ".join(field.replace(" ", "") for field in cron.fields)
    try:
        said = str(get_description(text, options))
    except Exception:  # noqa: BLE001 - it reads less than Celery does, and fails in many ways: then the line says it
        return text
    return said[0].lower() + said[1:]


def _step(values: Sequence[int], number: int, least: int = 0) -> int | None:
    """n, when the values are all that `*/n` names and n divides the whole (31 days: any n); 1 for all of them."""
    step = values[1] - values[0] if len(values) > 1 else 0
    is_even = step and (number % step == 0 or number == 31)
    return step if is_even and list(values) == list(range(least, least + number, step)) else None


def _is_range(values: Sequence[int]) -> bool:
    return len(values) > 1 and values[-1] - values[0] == len(values) - 1


def _every(step: int, unit: str) -> str:
    return f"every {unit}" if step == 1 else f"every {step} {unit}s"


def _past(minutes: Sequence[int]) -> str:
    return "" if minutes == [0] else f" at {_listed(f':{minute:02}' for minute in minutes)}"


def _clock(second: int) -> str:
    return f"{second // 3600:02}:{second // 60 % 60:02}"


def _weekday(day: int) -> str:
    return day_name[(day - 1) % 7]


def _ordinal(number: int) -> str:
    if number in (11, 12, 13):
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"


def _listed(names: Iterable[str], last: str = "and") -> str:
    *first, end = names
    return f"{', '.join(first)} {last} {end}" if first else end
