"""Logs: which job a line belongs to, and what Celery's own lines must not say."""

import logging

from jobs import logs
from jobs.logs import JobFilter, JobFormatter


def line(name: str = "celery.app.trace") -> logging.LogRecord:
    """As Celery's tracer tells an end."""
    told = {"id": "j1", "name": "login", "return_value": "'hunter2'", "exc": "ValueError('hunter2')", "runtime": 0.1}
    text = "Task %(name)s[%(id)s] succeeded in %(runtime)ss: %(return_value)s %(exc)s"
    return logging.makeLogRecord({"name": name, "msg": text, "args": (told,), "levelname": "INFO"})


def said(record: logging.LogRecord) -> str:
    JobFilter().filter(record)
    return JobFormatter().format(record)


def test_a_line_of_a_running_job_names_it() -> None:
    token = logs.running.set(("j1", "login", 2))
    try:
        text = said(logging.makeLogRecord({"name": "app", "msg": "hello"}))
    finally:
        logs.running.reset(token)
    assert '"job_id": "j1"' in text
    assert '"task": "login"' in text
    assert '"attempt": 2' in text


def test_what_a_task_with_secrets_returned_or_raised_is_not_logged() -> None:
    record = logging.LogRecord("celery.app.trace", logging.INFO, "", 0, line().msg, line().args, None)
    assert "hunter2" in said(record)
    token = logs.secretive.set(True)
    try:
        record = logging.LogRecord("celery.app.trace", logging.ERROR, "", 0, line().msg, line().args, None)
        assert "hunter2" not in said(record)
    finally:
        logs.secretive.reset(token)
