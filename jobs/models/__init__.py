"""The rows: the ledger, the machine, people, and what is kept beside schedules."""

from jobs.models.ledger import Attempt, Effect, Job, JobTag
from jobs.models.machine import Lease, Queue, QueueSlot, Worker
from jobs.models.people import Activity, Replay, Token
from jobs.models.schedules import ScheduleEdit, SchedulePolicy, ScheduleStanding, ScheduleTick

__all__ = (
    "Activity",
    "Attempt",
    "Effect",
    "Job",
    "JobTag",
    "Lease",
    "Queue",
    "QueueSlot",
    "Replay",
    "ScheduleEdit",
    "SchedulePolicy",
    "ScheduleStanding",
    "ScheduleTick",
    "Token",
    "Worker",
)
