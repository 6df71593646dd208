"""A page that can't be shown without the database says so, with status 503; the API's own answers are problems."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from jobs.errors import DATABASE_DOWN, DatabaseAway

View = Callable[[HttpRequest], HttpResponse]


class OutageMiddleware:
    """Answers for views that met a dead or busy database."""

    def __init__(self, get_response: View) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, DATABASE_DOWN):
            return None
        page = render_to_string("503.html", {"sentence": DatabaseAway()})
        return HttpResponse(page, status=503, headers={"Retry-After": "5"})
