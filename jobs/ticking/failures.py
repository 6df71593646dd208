"""Failures in a row: what the last jobs of a schedule's ticks came to."""

from collections.abc import Sequence
from typing import Any

from django.db import connections

from jobs.lifecycle.moment import adapted
from jobs.policies import Outcome
from jobs.states import State
from jobs.ticking.turns import Turn

_LAST = (
    "SELECT * FROM (SELECT tick.schedule_id, job.state, job.error, job.message FROM jobs_scheduletick AS tick "
    "JOIN jobs_job AS job ON job.id = tick.job_id WHERE tick.schedule_id = %s AND tick.at >= %s "
    f"AND tick.outcome = '{Outcome.RUN}' AND tick.by = '' AND job.state IN ('{State.DEAD}', '{State.SUCCEEDED}') "
    "ORDER BY tick.at DESC LIMIT %s) AS last_{}"
)


def failing(turns: Sequence[Turn], using: str) -> dict[int, str]:
    """Of these schedules, those whose last `pause_after` ended jobs are all dead: the reason for a pause."""
    asked = [turn for turn in turns if turn.policy.pause_after and turn.standing.armed_at]
    if not asked:
        return {}
    params: list[Any] = []
    for turn in asked:
        armed = adapted(connections[using], turn.standing.armed_at)
        params += [turn.row.pk, armed, turn.policy.pause_after]
    with connections[using].cursor() as cursor:
        cursor.execute(" UNION ALL ".join(_LAST.format(number) for number in range(len(asked))), params)
        found = cursor.fetchall()
    reasons = {}
    for turn in asked:
        ended = [row[1:] for row in found if row[0] == turn.row.pk]
        if len(ended) == turn.policy.pause_after and all(state == State.DEAD for state, _, _ in ended):
            reasons[turn.row.pk] = _sentence(len(ended), *ended[0][1:])
    return reasons


def _sentence(number: int, error: str, message: str) -> str:
    said = f"{error}: {message}" if message else error
    return f"{number} failures in a row, the last: {said}"[:500]
