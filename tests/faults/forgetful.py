"""A defect on purpose, loaded like a module of tasks: the rescuer forgets the jobs of dead workers."""

from jobs.clock import rescuer
from jobs.models import Job

assert hasattr(rescuer, "_end_attempt"), "the defect needs a new place"


def _forget(job: Job, using: str) -> None:
    Job.objects.using(using).filter(id=job.id).delete()


rescuer._end_attempt = _forget
