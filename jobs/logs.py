"""Logs as one JSON object a line, each with the job, task and attempt it belongs to."""

import contextvars
import logging
from typing import Any

from pythonjsonlogger.json import JsonFormatter

#: (job id, task, attempt) of the job this thread is running.
running: contextvars.ContextVar[tuple[str, str, int] | None] = contextvars.ContextVar("running", default=None)


#: Whether that job's task declares secrets: Celery's own lines then don't say what it returned or raised.
secretive: contextvars.ContextVar[bool] = contextvars.ContextVar("secretive", default=False)
TELLTALES = ("return_value", "exc", "traceback", "args", "kwargs")


class JobFilter(logging.Filter):
    """Puts job_id, task and attempt on every record made while a job runs."""

    def filter(self, record: logging.LogRecord) -> bool:
        if job := running.get():
            record.job_id, record.task, record.attempt = job
        if secretive.get() and record.name == "celery.app.trace" and isinstance(record.args, dict):
            record.args = {**record.args, **dict.fromkeys(TELLTALES, "[redacted]")}
            record.exc_info = record.exc_text = None
        return True


class JobFormatter(JsonFormatter):
    """`{"time": ..., "level": ..., "logger": ..., "message": ..., "job_id": ...}`."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            "%(asctime)s %(levelname)s %(name)s %(message)s %(process)d",
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger", "process": "pid"},
            datefmt="%Y-%m-%dT%H:%M:%S%z",
            # Celery's tracer attaches the job's arguments here; they are not for logs.
            reserved_attrs=[*logging.makeLogRecord({}).__dict__, "message", "asctime", "taskName", "data"],
            **kwargs,
        )
