"""What is wrong with a schedule, field by field."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.core.exceptions import ValidationError
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from jobs.conf import conf
from jobs.errors import ArgumentsRefused, JobError
from jobs.figures import workers_alive
from jobs.messages import dumps, loads
from jobs.models import SchedulePolicy
from jobs.queues import declared
from jobs.redaction import is_plumbing
from jobs.registry import registered_tasks
from jobs.schedules.reading import timing_of
from jobs.schedules.rows import TIMINGS
from jobs.schedules.sending import MOST_PRIORITY
from jobs.signatures import signature_of
from jobs.timing.errors import BadTiming
from jobs.timing.once import Once
from jobs.timing.plan import MOST_TOGETHER

#: Headers that every job has a value of its own for: one for all of them would make them one job, or none.
OF_THE_JOB = frozenset({"id", "task", "eta", "expires", "retries"})
COUNTS = ("missed_limit", "max_lateness", "pause_after")
#: What keeps no row from running: a priority is clamped, and of two ends the time wins, as stock beat has it.
HARMLESS = frozenset({"priority", "expires", "expire_seconds"})
JSON = (("args", list, 'list, such as [1, "two"]'), ("kwargs", dict, 'object, such as {"number": 1}'))


@dataclass(frozen=True)
class Fault:
    """What is wrong with one field, and what to do about it."""

    #: A column of the row; of a timing that is missing or double, "timing".
    field: str
    message: str
    #: Of a timing the column of its own that is wrong (`hour`, `timezone`), when that is known.
    part: str = ""


class ScheduleRefused(JobError):
    """A schedule that can't be run as it is."""

    def __init__(self, name: str, faults: Collection[Fault]) -> None:
        self.name, self.faults = name, list(faults)
        said = " ".join(f"{fault.field}: {fault.message}" for fault in faults)
        super().__init__(f"{name} can't be run. {said}")


def faults(row: PeriodicTask, live: Callable[[], Collection[str]] | None = None) -> list[Fault]:
    """What is wrong with this row; nothing with a sound one. `live` names the tasks that live workers know."""
    return [*_task(row, live or live_tasks), *_options(row), *_arguments(row), *_times(row), *_timing(row)]


def hindrances(row: PeriodicTask, live: Callable[[], Collection[str]] | None = None) -> list[Fault]:
    """Those of its faults with which it can't be run at all."""
    return [fault for fault in faults(row, live) if fault.field not in HARMLESS]


def live_tasks() -> frozenset[str]:
    """The tasks that live workers know, perhaps of another version than this process."""
    return frozenset(name for worker in workers_alive() for name in worker.tasks.split("\n"))


def asked_once() -> Callable[[], Collection[str]]:
    """`live` of `faults` for many rows: the workers are asked at most once."""
    return cache(live_tasks)


def timing_fault(row: PeriodicTask, field: str) -> Fault | None:
    """Why its timing in this column can't be read or never comes; None of a sound one."""
    at = timezone.now()
    try:
        timing = timing_of(row, at)
        if not isinstance(timing, Once) and next(timing.after(at), None) is None:
            return Fault(field, "It never comes. Choose another place or time.")
    except BadTiming as error:
        return Fault(field, str(error), error.field)
    except JobError as error:
        return Fault(field, str(error))
    except Exception as error:  # noqa: BLE001  whatever a row holds that nobody can read is the fault
        return Fault(field, f"It can't be read ({' '.join(str(error).split())}). Correct it.")
    return None


def policy_faults(policy: SchedulePolicy) -> list[Fault]:
    """What no policy can be: an unknown choice, a negative number, a count of none."""
    found = [Fault(name, f"At least 1, not {value}.") for name in COUNTS if (value := getattr(policy, name)) == 0]
    if policy.missed_limit > MOST_TOGETHER:
        found.append(Fault("missed_limit", f"At most {MOST_TOGETHER:,}, not {policy.missed_limit:,}."))
    try:
        policy.clean_fields(exclude=["schedule"])
    except ValidationError as error:
        found += [Fault(name, " ".join(said)) for name, said in error.message_dict.items()]
    return found


def _task(row: PeriodicTask, live: Callable[[], Collection[str]]) -> Iterator[Fault]:
    if not row.task:
        yield Fault("task", "No task is named. Choose one.")
    elif row.task not in registered_tasks() and row.task not in live():
        yield Fault(
            "task",
            f"No loaded module registers the task {row.task!r}, and no live worker knows it. Correct the name, or add "
            "its module to the setting JOBS_TASK_MODULES.",
        )


def _options(row: PeriodicTask) -> Iterator[Fault]:
    if row.queue and row.queue not in declared():
        known = ", ".join(sorted(declared()))
        yield Fault(
            "queue", f"The queue {row.queue!r} is not declared. Take one of {known}, or set JOBS_QUEUES={row.queue}:4."
        )
    if row.priority is not None and not (isinstance(row.priority, int) and 0 <= row.priority <= MOST_PRIORITY):
        yield Fault("priority", f"{row.priority} is no priority. Take 0 to {MOST_PRIORITY}, which goes first.")
    headers = _read(row.headers or "{}")
    if not isinstance(headers, dict):
        yield Fault("headers", 'The headers are no JSON object. Write one, such as {"trace": "abc"}.')
    elif taken := OF_THE_JOB & headers.keys():
        yield Fault("headers", f"{', '.join(sorted(taken))}: each job has its own. Leave it out.")


def _arguments(row: PeriodicTask) -> Iterator[Fault]:
    found = list(_unread_arguments(row))
    yield from found
    task = registered_tasks().get(row.task)
    if found or task is None or is_plumbing(task):
        return
    args, kwargs = _read(row.args or "[]"), _read(row.kwargs or "{}")
    if (size := len(dumps([args, kwargs]))) > conf().arguments_max:
        most = conf().arguments_max
        yield Fault("kwargs", f"The arguments are {size:,} bytes, more than {most:,}. Pass a key instead.")
    try:
        signature_of(task).check(args, kwargs)
    except ArgumentsRefused as refused:
        for error in refused.errors:
            field, *path = error["loc"]
            yield Fault(str(field), _argument(path, error["msg"]))


def _argument(path: list[Any], msg: str) -> str:
    """`number 2: Missing.`, `options.size: Input should be a valid integer.`"""
    first, *deeper = path
    first = f"number {first + 1}" if isinstance(first, int) else first
    return f"{'.'.join(str(part) for part in (first, *deeper))}: {msg}."


def _unread_arguments(row: PeriodicTask) -> Iterator[Fault]:
    for field, kind, wanted in JSON:
        if getattr(row, field) and not isinstance(_read(getattr(row, field)), kind):
            yield Fault(field, f"The {field} are no JSON {wanted}. Correct the text.")


def _times(row: PeriodicTask) -> Iterator[Fault]:
    if row.expires and row.expire_seconds is not None:
        yield Fault("expire_seconds", "Both an end and seconds until a job expires are set. Keep one of them.")
    if row.start_time and row.expires and _aware(row.expires) < _aware(row.start_time):
        yield Fault("expires", "The schedule ends before it starts. Let it end later.")


def _timing(row: PeriodicTask) -> Iterator[Fault]:
    chosen = [field for field in TIMINGS if _has(row, field)]
    if len(chosen) == 1:
        fault = timing_fault(row, chosen[0])
        yield from [fault] if fault else []
    elif chosen:
        yield Fault("timing", f"It has more than one timing: {', '.join(chosen)}. Keep one of them.")
    else:
        yield Fault("timing", "It has no timing. Choose an interval, a crontab line, a time or an event of the sun.")


def _has(row: PeriodicTask, field: str) -> bool:
    """Also a timing that is not saved yet."""
    return getattr(row, f"{field}_id") is not None or row._state.fields_cache.get(field) is not None


def _aware(value: Any) -> Any:
    return timezone.make_aware(value) if timezone.is_naive(value) else value


def _read(text: str) -> Any:
    """The JSON value as beat reads it; None of what is no JSON."""
    try:
        return loads(text)
    except Exception:  # noqa: BLE001  kombu decodes {"__type__": ...} as it likes, and fails as it likes
        return None
