"""The verbs of a dead letter's life, and the only writer of `DeadLetter`.

Filing and closing follow the job's own moves, inside their transaction: a letter closes because its job was requeued,
whoever requeued it. One press writes one Activity row a letter (the job's own row is left out), in the same
transaction.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import router, transaction
from django.db.models import Exists, OuterRef
from django.db.models.functions import Now

from dlq.errors import LetterClosed, LetterWithoutJob, UnknownLetter
from dlq.fingerprint import fingerprint
from dlq.models import DeadLetter
from jobs import activity, operations
from jobs.errors import UnknownJob
from jobs.lifecycle import Death
from jobs.messages import storable
from jobs.models import Job
from jobs.queries import JobQuerySet
from jobs.states import Reason

Status = DeadLetter.Status
#: What a letter without a job has as its task.
NAMELESS = "?"
#: Bytes of an undecodable message that are kept: ours are at most as large as arguments may be.
RAW_KEPT = 1024 * 1024


@dataclass(frozen=True)
class Requeued:
    """A letter that was requeued, and the job that runs for it now: its own, or the changed successor."""

    letter_id: int
    job_id: str


def file(deaths: Sequence[Death], *, using: str) -> list[DeadLetter]:
    """One letter a death, each linked to the letter before it, in the transaction of the death."""
    earlier = _earlier(deaths, using)
    dying = {death.job.id for death in deaths}
    if still_open := [letter.pk for key, letter in earlier.items() if key in dying and letter.status == Status.OPEN]:
        # Whatever left it open, a death must never fail for it.
        _close(DeadLetter.objects.using(using).filter(pk__in=still_open), Status.REQUEUED, "", "Died again")
    return DeadLetter.objects.using(using).bulk_create([_letter(death, earlier) for death in deaths])


def file_undecodable(raw: bytes, *, queue: str, error: str, message: str = "", using: str) -> DeadLetter:
    """A letter of a message that names no job, with its bytes as they lay in the queue (the first MiB of them)."""
    size = f"The message had {len(raw):,} bytes; the first {RAW_KEPT:,} are kept." if len(raw) > RAW_KEPT else ""
    return DeadLetter.objects.using(using).create(
        task=NAMELESS,
        queue=queue[:100],
        raw=raw[:RAW_KEPT],
        reason=Reason.UNDECODABLE,
        error=error[:255],
        message=storable(f"{message} {size}".strip()),
        fingerprint=fingerprint(NAMELESS, error, ""),
        created_at=Now(),
    )


def close_requeued(
    job_ids: Sequence[str], *, replaced_by: dict[str, str], by: str, reason: str = "", using: str
) -> int:
    """Close the open letters of jobs that run again; how many there were."""
    open_letters = DeadLetter.objects.using(using).open()
    same = [job_id for job_id in job_ids if job_id not in replaced_by]
    closed = _close(open_letters.filter(job_id__in=same), Status.REQUEUED, by, reason) if same else 0
    for old, new in replaced_by.items():
        closed += _close(open_letters.filter(job_id=old), Status.REQUEUED, by, reason, replaced_by_id=new)
    return closed


def requeue(
    letter_ids: Sequence[int],
    *,
    by: str,
    reason: str = "",
    args: list[Any] | None = None,
    kwargs: dict[str, Any] | None = None,
) -> list[Requeued]:
    """Give the jobs of open letters one more attempt; with `args` or `kwargs`, each a changed, linked successor.

    Closed letters are skipped. A single letter is refused instead: UnknownLetter, LetterClosed, LetterWithoutJob; with
    arguments that the task does not accept, ArgumentsRefused.
    """
    with transaction.atomic(using=_using()):
        # The jobs first, as their own requeue locks them: two that meet must not block each other.
        of = DeadLetter.objects.filter(pk__in=letter_ids).values("job_id")
        list(Job.objects.select_for_update().filter(id__in=of).order_by("created_at", "id").values_list("id"))
        letters = _open(letter_ids, needs_job=True)
        if args is None and kwargs is None:
            return _requeue_unchanged(letters, by, reason)
        return [_requeue_changed(letter, by, reason, args, kwargs) for letter in letters]


def discard(letter_ids: Sequence[int], *, by: str, reason: str = "") -> list[int]:
    """Close open letters for good, keeping the record; the numbers of those that were open."""
    with transaction.atomic(using=_using()):
        ids = [letter.pk for letter in _open(letter_ids)]
        _close(DeadLetter.objects.open().filter(pk__in=ids), Status.DISCARDED, by, reason)
        for pk in ids:
            activity.record(by, "discard", "dead letter", str(pk), reason)
    return ids


def prune(before: datetime) -> dict[str, int]:
    """Delete letters that were closed before then; open ones stay for ever."""
    count, _ = DeadLetter.objects.exclude(status=Status.OPEN).filter(closed_at__lt=before).delete()
    return {"dead_letters": count}


def unneeded(jobs: JobQuerySet) -> JobQuerySet:
    """The jobs that no open letter waits for: the others may still be requeued, so they are not pruned."""
    return jobs.exclude(Exists(DeadLetter.objects.open().filter(job_id=OuterRef("pk"))))


def _using() -> str:
    return router.db_for_write(DeadLetter)


def _open(letter_ids: Sequence[int], *, needs_job: bool = False) -> list[DeadLetter]:
    """The open ones among these, locked: of two who press, the second finds them closed."""
    letters = list(DeadLetter.objects.select_for_update().open().light().filter(pk__in=letter_ids).order_by("pk"))
    if not letters and len(letter_ids) == 1:
        raise _closed_or_unknown(letter_ids[0])
    if needs_job and len(letter_ids) == 1 and letters[0].job_id is None:
        raise LetterWithoutJob(letter_ids[0])
    return [letter for letter in letters if letter.job_id or not needs_job]


def _closed_or_unknown(letter_id: int) -> UnknownLetter | LetterClosed:
    letter = DeadLetter.objects.light().filter(pk=letter_id).first()
    return LetterClosed(letter_id, letter.status, letter.closed_by) if letter else UnknownLetter(letter_id)


def _requeue_unchanged(letters: Sequence[DeadLetter], by: str, reason: str) -> list[Requeued]:
    running = set(operations.requeue([str(letter.job_id) for letter in letters], by=by, reason=reason, record=False))
    if len(letters) == 1 and not running:
        raise UnknownJob(str(letters[0].job_id))
    done = [letter for letter in letters if letter.job_id in running]
    for letter in done:
        activity.record(by, "requeue", "dead letter", str(letter.pk), reason, job=letter.job_id)
    return [Requeued(letter.pk, str(letter.job_id)) for letter in done]


def _requeue_changed(letter: DeadLetter, by: str, reason: str, args: Any, kwargs: Any) -> Requeued:
    new = operations.requeue_changed(str(letter.job_id), args=args, kwargs=kwargs, by=by, reason=reason, record=False)
    activity.record(by, "requeue changed", "dead letter", str(letter.pk), reason, job=letter.job_id, replaced_by=new)
    return Requeued(letter.pk, new)


def _close(letters: Any, status: Status, by: str, reason: str, **more: Any) -> int:
    count: int = letters.update(status=status, closed_at=Now(), closed_by=by, close_reason=reason[:500], **more)
    return count


def _earlier(deaths: Iterable[Death], using: str) -> dict[str, DeadLetter]:
    """The latest letter of each job that died, or that it was requeued from."""
    ids = {job_id for death in deaths for job_id in (death.job.id, death.job.requeued_from_id) if job_id}
    letters = DeadLetter.objects.using(using).light().filter(job_id__in=ids).order_by("pk")
    return {letter.job_id: letter for letter in letters}


def _letter(death: Death, earlier: dict[str, DeadLetter]) -> DeadLetter:
    job = death.job
    return DeadLetter(
        job_id=job.id,
        task=job.task,
        queue=job.queue,
        body=job.body,
        attempts=job.attempt,
        reason=death.reason,
        error=death.error[:255],
        message=storable(death.message),
        traceback=storable(death.traceback),
        fingerprint=fingerprint(job.task, death.error, death.traceback),
        created_at=Now(),
        previous=earlier.get(job.id) or earlier.get(job.requeued_from_id or ""),
    )
