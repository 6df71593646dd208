"""The site: its name, its navigation, and the summary on its first page."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.admin.apps import AdminConfig
from django.http import HttpRequest
from django.template.response import TemplateResponse

#: The navigation: its headings, and the models under each in order; what is named nowhere comes last.
SECTIONS = (
    ("Work", ("Job", "DeadLetter", "Queue", "Worker", "PeriodicTask", "Activity")),
    ("Timings", ("CrontabSchedule", "IntervalSchedule", "ClockedSchedule", "SolarSchedule")),
    ("Results", ("TaskResult", "GroupResult")),
    ("Access", ("User", "Group", "Token")),
)


@dataclass(frozen=True)
class Figure:
    """One number of the summary, and the list that it counts."""

    label: str
    value: str
    url: str
    #: "", "good" or "bad".
    tone: str = ""


class ConsoleConfig(AdminConfig):
    """Makes ours the default admin site, so that every app registers with it."""

    default_site = "jobs.console.site.ConsoleSite"


class ConsoleSite(AdminSite):
    site_header = site_title = "Stationmaster"
    index_title = "Overview"
    site_url = None
    empty_value_display = "–"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._figures: list[Callable[[HttpRequest], Iterable[Figure]]] = []

    def summarise(self, figures: Callable[[HttpRequest], Iterable[Figure]]) -> None:
        """Adds the figures that this function gives to the summary."""
        self._figures.append(figures)

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        figures = [figure for summary in self._figures for figure in summary(request)]
        return super().index(request, {"figures": figures, **(extra_context or {})})

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        apps = super().get_app_list(request, app_label)
        return apps if app_label else list(_in_sections(apps))


def _in_sections(apps: Iterable[Any]) -> Iterable[dict[str, Any]]:
    models = {model["object_name"]: model for app in apps for model in app["models"]}
    models.get("PeriodicTask", {})["name"] = "Schedules"
    for heading, names in SECTIONS:
        yield from _section(heading, [models.pop(name) for name in names if name in models])
    yield from _section("More", list(models.values()))


def _section(heading: str, models: list[Any]) -> Iterable[dict[str, Any]]:
    if models:
        label = heading.lower()
        yield {"name": heading, "app_label": label, "app_url": "", "has_module_perms": True, "models": models}
