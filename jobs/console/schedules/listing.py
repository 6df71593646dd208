"""What the list of schedules shows: how each is doing, its last ticks as a strip, and filters over their states."""

from datetime import timedelta
from typing import Any

from django.contrib.admin.views.main import ChangeList
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import Truncator

from jobs.clock.leader import NAME as BEAT
from jobs.conf import conf
from jobs.console.drawing import NONE, badge, moment
from jobs.console.filters import StaticFilter
from jobs.console.schedules.history import LAST, Kept, last_ticks
from jobs.models import Lease
from jobs.schedules.outlook import Outlook, State, outlooks

LOOKS = {
    State.ENABLED: ("✓", "good"),
    State.LATE: ("!", "bad"),
    State.BROKEN: ("✕", "bad"),
    State.PAUSED: ("‖", "warn"),
    State.PAUSED_UNTIL: ("‖", "warn"),
    State.DONE: ("●", ""),
    State.ENDED: ("■", ""),
    State.DISABLED: ("○", ""),
}


class NamedSchedules:
    """The model's options for our pages: a periodic task is called a schedule here.

    No copy: that would share the caches of the model, and fill them with relations that it does not know of.
    """

    verbose_name, verbose_name_plural = "schedule", "schedules"

    def __init__(self, opts: Any) -> None:
        self._opts = opts

    def __getattr__(self, name: str) -> Any:
        return getattr(self._opts, name)


class ScheduleList(ChangeList):
    """The rows of the page with how they are doing: a few statements for all of them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.opts: Any = NamedSchedules(self.opts)

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        found, ticks = outlooks(self.result_list), last_ticks([row.pk for row in self.result_list])
        for row in self.result_list:
            row.outlook, row.last_ticks = found[row.pk], ticks[row.pk]


class ScheduleStateFilter(StaticFilter):
    title = "state"
    parameter_name = "state"
    template = "admin/schedules/filter.html"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("enabled", "Enabled"), ("late", "Late"), ("broken", "Broken"), ("paused", "Paused"), ("off", "Off")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(_in_state(self.value())) if self.value() else queryset


def _in_state(name: str | None) -> Q:
    """Rows by what `outlook` says of them, as far as columns tell it."""
    on, sound = Q(enabled=True), Q(standing__broken="") | Q(standing=None)
    paused = Q(policy__paused_at__isnull=False)
    late = Q(standing__next_tick__lt=Now() - timedelta(seconds=conf().late_after))
    return {
        "enabled": on,
        "late": on & Q(standing__broken="") & late,
        "broken": on & ~sound,
        "paused": ~on & paused,
        "off": ~on & ~(paused & Q(policy__isnull=False)),
    }.get(name or "", Q(pk=None))


def state_badge(outlook: Outlook) -> SafeString:
    """Colour, icon and word."""
    icon, tone = LOOKS[outlook.state]
    return badge(outlook.state.label, icon, tone)


def state_and_reason(row: Any) -> SafeString:
    """The badge, until when, and the beginning of the reason; the whole of it on hover."""
    seen: Outlook = row.outlook
    until = moment(row.policy.resume_at) if seen.state == State.PAUSED_UNTIL else ""
    short = Truncator(seen.reason).chars(60)
    reason = format_html('<div class="quiet" title="{}">{}</div>', seen.reason, short) if seen.reason else ""
    return format_html("{} {}{}", state_badge(seen), until, reason)


def next_tick(outlook: Outlook) -> SafeString | str:
    return moment(outlook.next_tick) if outlook.next_tick else NONE


def last_outcomes(ticks: list[Kept]) -> SafeString | str:
    """The newest tick, what became of it and when; under it the last ones as a strip."""
    if not ticks:
        return NONE
    newest = ticks[0]
    said = badge(newest.word, newest.icon, newest.tone)
    return format_html("{} {}<br>{}", said, moment(newest.tick.at), strip(ticks))


def strip(ticks: list[Kept]) -> SafeString | str:
    """The last ticks as marks, the newest on the right; told as text too."""
    if not ticks:
        return NONE
    good, bad = (sum(kept.tone == tone for kept in ticks) for tone in ("good", "bad"))
    marks = format_html_join(
        "", '<i class="{}" title="{}"></i>', ((_class(kept), kept.title) for kept in reversed(ticks))
    )
    said = f"Last {len(ticks)} of at most {LAST} ticks: {good} succeeded, {bad} failed"
    return format_html('<span class="strip" role="img" aria-label="{}">{}</span>', said, marks)


def _class(kept: Kept) -> str:
    return kept.tone or ("skipped" if kept.word == "Skipped" else "plain")


def beat_is_away() -> bool:
    """Whether no beat leads, so that nothing will fire."""
    return not Lease.objects.filter(name=BEAT, until__gt=Now()).exists()
