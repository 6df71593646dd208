"""The two calls upward: sent inside the transaction of the move, so that the dead letter is part of it."""

from django.dispatch import Signal

#: deaths: list[jobs.lifecycle.Death], using: database alias.
job_died = Signal()
#: job_ids: list[str] of jobs requeued under their own id, replaced_by: {old id: new id} for changed ones, using: alias.
job_requeued = Signal()
