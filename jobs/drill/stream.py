"""The steady stream of jobs. Each is offered, then accepted once its enqueue has committed, and only then counts."""

import random
import threading
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from celery import chain, chord, group
from django.db import DatabaseError, InterfaceError, connections

from jobs.drill import tasks
from jobs.drill.journal import Journal
from jobs.queues import DRILL

#: Seconds between two posts.
PACE = 0.2
WHERE = {"queue": DRILL.name, "tags": ["drill"]}


@dataclass(frozen=True)
class Post:
    """What is enqueued at once: the ids, what becomes of each, after which it comes, and the call that does it."""

    jobs: tuple[tuple[str, str, tuple[str, ...]], ...]
    call: Callable[[], Any]


class Stream(threading.Thread):
    """Posts until it is told to end. A post that is refused is no promise; whether it took place is unknown."""

    def __init__(self, run: str, journal: Journal, seed: int) -> None:
        super().__init__(name="stream", daemon=True)
        self.run_name, self.journal = run, journal
        self.rng = random.Random(seed)  # noqa: S311  (to be repeated, not to be secret)
        self.over = threading.Event()
        self.accepted: list[str] = []
        #: What ended it before its time: a drill without jobs proves nothing.
        self.trouble: list[BaseException] = []

    def run(self) -> None:
        try:
            while not self.over.wait(PACE):
                self.post(self.draw())
        except BaseException as error:  # noqa: BLE001  (the main thread raises it again)
            self.trouble.append(error)
        finally:
            connections.close_all()

    def post(self, post: Post) -> None:
        """Journal the offer, enqueue, journal the acceptance."""
        self._tell("offered", post)
        try:
            post.call()
        except (DatabaseError, InterfaceError) as error:
            self._tell("refused", post)
            self.journal.write("error", type(error).__name__)
            connections.close_all()
            return
        self._tell("accepted", post)
        self.accepted += [id for id, _, after in post.jobs if not after]

    def draw(self) -> Post:
        """The next post, by the seed."""
        kinds, weights = zip(*KINDS, strict=True)
        kind: Callable[[Stream], Post] = self.rng.choices(kinds, weights)[0]
        return kind(self)

    def end(self) -> None:
        self.over.set()
        self.join(timeout=60)

    # --- the kinds ---

    def short(self) -> Post:
        return self._one("work", tasks.work, seconds=self._seconds(0, 0.2))

    def long(self) -> Post:
        return self._one("work", tasks.work, seconds=self._seconds(1, 4))

    def delayed(self) -> Post:
        return self._one("work", tasks.work, countdown=self._seconds(0.5, 5), seconds=self._seconds(0, 0.2))

    def flaky(self) -> Post:
        return self._one("work", tasks.flaky, failures=self.rng.randint(1, 2))

    def failing(self) -> Post:
        return self._one("fail", tasks.fail)

    def chain(self) -> Post:
        ids = [self._id() for _ in range(3)]
        jobs = [(id, "work", tuple(ids[:place])) for place, id in enumerate(ids)]
        return Post(tuple(jobs), chain(self._works(ids)).apply_async)

    def chord(self) -> Post:
        members, body = [self._id() for _ in range(3)], self._id()
        last = tasks.collect.s(run=self.run_name, members=len(members)).set(task_id=body, **WHERE)
        jobs = [*((id, "work", ()) for id in members), (body, "work", tuple(members))]
        return Post(tuple(jobs), chord(group(self._works(members)), last).apply_async)

    def _one(self, kind: str, task: Any, countdown: float | None = None, **arguments: Any) -> Post:
        id = self._id()
        named = {"run": self.run_name, **arguments}
        return Post(((id, kind, ()),), lambda: task.apply_async(kwargs=named, task_id=id, countdown=countdown, **WHERE))

    def _works(self, ids: Sequence[str]) -> list[Any]:
        return [tasks.work.si(self.run_name, self._seconds(0, 0.5)).set(task_id=id, **WHERE) for id in ids]

    def _seconds(self, least: float, most: float) -> float:
        return round(self.rng.uniform(least, most), 3)

    def _id(self) -> str:
        return f"{self.run_name}.{uuid.UUID(int=self.rng.getrandbits(128)).hex[:12]}"

    def _tell(self, event: str, post: Post) -> None:
        for id, kind, after in post.jobs:
            self.journal.write(event, id, kind, ",".join(after) or "-")


#: How often each kind is drawn.
KINDS = (
    (Stream.short, 45),
    (Stream.long, 15),
    (Stream.delayed, 10),
    (Stream.flaky, 10),
    (Stream.failing, 6),
    (Stream.chain, 7),
    (Stream.chord, 7),
)
