"""A person at the console of a running web, without a browser: signed in, presses the buttons of the lists."""

import httpx
from django.contrib.auth.models import User
from django.test import Client

from tests.support.station import Station

#: Django compares the cookie with the form's field; any secret will do.
SECRET = "s" * 32


def session_of(name: str) -> str:
    """The session of a superuser who has just signed in."""
    client = Client()
    client.force_login(User.objects.create_superuser(name))
    return str(client.cookies["sessionid"].value)


class Person:
    """One of a station, with every permission."""

    def __init__(self, station: Station, name: str = "ada") -> None:
        self.cookies = {"sessionid": station.call(session_of, name), "csrftoken": SECRET}
        self.base = f"http://127.0.0.1:{station.port}/admin"

    def press(self, action: str, job_id: str) -> httpx.Response:
        """The page that follows an action on one job of the list."""
        form = {"action": action, "_selected_action": job_id, "answered": "1", "csrfmiddlewaretoken": SECRET}
        url = f"{self.base}/jobs/job/"
        return httpx.post(url, data=form, cookies=self.cookies, timeout=90, follow_redirects=True)
