"""The calls upward: those of a job's move are sent inside its transaction, so that the dead letter is part of it."""

from django.dispatch import Signal

#: deaths: list[jobs.lifecycle.Death], using: database alias.
job_died = Signal()
#: job_ids: list[str] of jobs requeued under their own id, replaced_by: {old id: new id} for changed ones, using: alias.
job_requeued = Signal()
#: raw: bytes of a message that names no job, queue: where it lay, error: class, message: what it said, using: alias.
message_undecodable = Signal()
