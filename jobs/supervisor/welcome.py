"""What the person at the terminal needs to know, once everything answers."""

import http.client
from contextlib import suppress

from django.conf import settings

from jobs.supervisor.first_run import Keys


def url() -> str:
    """Where the console is, as a browser on this machine reaches it."""
    return f"http://{settings.OWN_HOST}:{settings.PORT}/"


def web_answers() -> bool:
    """Whether the web gives any answer at all."""
    connection = http.client.HTTPConnection(settings.OWN_HOST.strip("[]"), settings.PORT, timeout=5)
    with suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/healthz")
        return connection.getresponse().status > 0
    return False


def block(keys: Keys) -> str:
    """The welcome; a password and a token only on the run that made them."""
    lines = [f"  Console    {url()}", f"  Sign in    {keys.username} / {_password(keys)}"]
    if keys.token:
        lines += [f"  API token  {keys.token}   (scope admin, shown only now)"]
    lines += [f"  API docs   {url()}docs", "", "  Post a first job:", *_example(keys), "", "  Ctrl-C stops everything."]
    rule = "-" * 78
    return "\n".join(["", rule, "  Stationmaster is running.", "", *lines, rule, ""])


def _password(keys: Keys) -> str:
    if keys.password is None:
        return f"password as before (forgotten: manage.py changepassword {keys.username})"
    return "the password of ADMIN_PASSWORD" if settings.ADMIN_PASSWORD else f"{keys.password}   (shown only now)"


def _example(keys: Keys) -> list[str]:
    token = keys.token or "TOKEN"
    body = '{"to": "ann@example.com", "subject": "Hello", "body": "It works."}'
    hint = [] if keys.token else ["  (a new token: .venv/bin/python manage.py create_token NAME --scope operate)"]
    return [
        f"  curl {url()}tasks/email -H 'Authorization: Bearer {token}' \\",
        f"       -H 'Content-Type: application/json' -d '{body}'",
        *hint,
    ]
