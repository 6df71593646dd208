"""The workers: one for each queue, each able to keep limits and to stop softly, each with the right time."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from django.conf import settings
from django.db.models import Count

from jobs.doctor.finding import About, Finding
from jobs.errors import UnknownQueue
from jobs.figures import queue_figures, workers_alive
from jobs.models import Job, Worker
from jobs.queues import declared
from jobs.routes import own_tasks, queue_of
from jobs.states import Hold, State

ABOUT = About("workers")
#: Seconds between the end of the soft shutdown and the container's SIGKILL.
GRACE = 4


@dataclass(frozen=True)
class Line:
    """One queue: jobs that wait in it, live workers that serve it, whether an operator paused it."""

    name: str
    depth: int
    workers: int
    paused: bool = False


@dataclass(frozen=True)
class Facts:
    lines: tuple[Line, ...]
    workers: tuple[Worker, ...]
    #: Queue -> tasks that are routed there and have a hard limit of their own.
    limited: dict[str, list[str]]
    #: Task -> jobs held because no live worker knows it.
    unknown: dict[str, int]


def examine() -> Iterator[Finding]:
    yield from findings(gather())


def gather() -> Facts:
    """Raises DatabaseError."""
    lines = [
        Line(q["name"], q["depth"], q["workers"], q["paused"])
        for q in queue_figures()
        if declared()[q["name"]].served or q["depth"]
    ]
    held = Job.objects.filter(state=State.QUEUED, hold=Hold.UNKNOWN_TASK).order_by().values_list("task")
    return Facts(tuple(lines), tuple(workers_alive()), _limited(), dict(held.annotate(number=Count("id"))))


def findings(facts: Facts) -> Iterator[Finding]:
    found = [*_queues(facts), *_unknown(facts), *(f for worker in facts.workers for f in _worker(worker, facts))]
    found += _twins(facts)
    yield from found
    if facts.workers and not any(f.severity in ("error", "warning") for f in found):
        yield ABOUT.fine(_summary(facts))


def _queues(facts: Facts) -> Iterator[Finding]:
    for line in facts.lines:
        start = f"Start one: celery -A config worker -Q {line.name}"
        if line.workers == 0 and line.depth:
            yield ABOUT.error("none", f"{line.depth:,} jobs wait in {line.name}, and no live worker serves it.", start)
        elif line.workers == 0:
            yield ABOUT.warning("none", f"No live worker serves the queue {line.name}.", start)
        if line.paused:
            says = f"The queue {line.name} is paused; {line.depth:,} jobs wait in it."
            yield ABOUT.info("paused", says, f"manage.py queues resume {line.name}")


def _unknown(facts: Facts) -> Iterator[Finding]:
    for task, number in sorted(facts.unknown.items()):
        says = f"{number:,} jobs are held: no live worker of their queue knows the task {task}."
        yield ABOUT.warning("unknown_task", says, "Start the version that has it, or set JOBS_TASK_MODULES.")


def _worker(worker: Worker, facts: Facts) -> Iterator[Finding]:
    yield from _pool(worker, facts)
    yield from _shutdown(worker)
    yield from ABOUT.skew(f"worker {worker.name}", float(worker.facts.get("skew", 0)))
    strange = set(worker.queues.split(",")) - declared().keys()
    if strange:
        says = f"{worker.name} serves {', '.join(sorted(strange))}, which is no declared queue here."
        yield ABOUT.warning("strange_queue", says, "Give every process the same JOBS_QUEUES.")


def _pool(worker: Worker, facts: Facts) -> Iterator[Finding]:
    """On any pool but prefork Celery ends no body that runs over its limit, and can't terminate one."""
    if worker.pool in ("prefork", ""):
        return
    tasks = sorted(task for queue in worker.queues.split(",") for task in facts.limited.get(queue, ()))
    says = f"{worker.name} uses the {worker.pool} pool, where no body is stopped at its time limit"
    if tasks:
        yield ABOUT.error("pool", f"{says}; {', '.join(tasks[:3])} has one of its own.", "Use --pool prefork for it.")
    else:
        yield ABOUT.warning("pool", f"{says}; the job is run again while it goes on.", "Use --pool prefork for it.")


def _shutdown(worker: Worker) -> Iterator[Finding]:
    drain = float(worker.facts.get("soft_shutdown", 0))
    if worker.facts.get("remap_sigterm") is False:
        yield ABOUT.warning(
            "remap_sigterm",
            f"{worker.name} takes SIGTERM as the warm shutdown: it waits for its jobs without end, and who kills it "
            "meanwhile puts a crash on their account.",
            "Set REMAP_SIGTERM=SIGQUIT in its environment.",
        )
    elif worker.facts and drain <= 0:
        says = f"{worker.name} hands its jobs back at once when it stops."
        yield ABOUT.warning("soft_shutdown", says, "Set SOFT_SHUTDOWN_TIMEOUT to some seconds.")


def _twins(facts: Facts) -> list[Finding]:
    names = Counter(worker.name for worker in facts.workers)
    return [
        ABOUT.warning("twins", f"{number} live workers have the name {name}.", "Name each its own: -n emails@%h")
        for name, number in sorted(names.items())
        if number > 1
    ]


def _limited() -> dict[str, list[str]]:
    limited = defaultdict(list)
    for task in own_tasks():
        if task.time_limit != settings.CELERY_TASK_TIME_LIMIT:
            with suppress(UnknownQueue):
                limited[queue_of(task)].append(task.name)
    return limited


def _summary(facts: Facts) -> str:
    drain = max(float(worker.facts.get("soft_shutdown", 0)) for worker in facts.workers)
    return (
        f"{len(facts.workers)} workers serve every queue. At SIGTERM they wait up to {drain:g} s for running jobs: "
        f"a container needs {drain + GRACE:g} s before its SIGKILL (Docker: stop_grace_period, 10 s if not set)."
    )
