"""Django's system checks, ours among them, as findings."""

from collections.abc import Iterator

from django.conf import settings
from django.core import checks

from jobs.checks import ALLOWED
from jobs.conf import conf
from jobs.doctor.finding import About, Finding

ABOUT = About("settings")
#: Of `check --deploy`: what is unsafe wherever the web stands. The rest depends on the proxy before it.
DEPLOY = {"security.W009", "security.W020"}


def examine() -> Iterator[Finding]:
    found = [_finding(message) for message in _messages()]
    if conf().allow_unsafe_broker:
        says = "JOBS_ALLOW_UNSAFE_BROKER is on: worker and beat start with a broker that can lose hints."
        found.append(ABOUT.warning("allow_unsafe_broker", says, "Unset it when the broker is mended."))
    if settings.JOBS["ALLOW_DRILL"] and not settings.DEBUG:
        says = "JOBS_ALLOW_DRILL is on: manage.py drill may break things here on purpose."
        found.append(ABOUT.warning("allow_drill", says, "Unset it in production."))
    yield from found or [ABOUT.fine("Limits, queues, serializers and the cuts into Celery are as they must be.")]


def _messages() -> list[checks.CheckMessage]:
    messages = checks.run_checks(include_deployment_checks=not settings.DEBUG)
    return [m for m in messages if not m.is_silenced() and (not str(m.id).startswith("security.") or m.id in DEPLOY)]


def _finding(message: checks.CheckMessage) -> Finding:
    # What the operator allowed is refused no more, and stays an error here.
    say = ABOUT.error if message.level >= checks.ERROR or message.id == ALLOWED else ABOUT.warning
    finding = say("", message.msg, message.hint or "")
    return Finding(finding.severity, finding.subject, str(message.id), finding.says, finding.do)
