"""`manage.py schedules list|preview|sync|pause|resume|run`."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from celery import current_app
from django.core.management.base import CommandParser
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from jobs.api.schedules import shown
from jobs.management.command import StationCommand, add_json, add_reason, number, person, verbs
from jobs.management.schedule_lines import differs, facts, line, standing, told, warning, zone
from jobs.schedules import builtin, in_code, in_file, pressing
from jobs.schedules.declared import Declared, Problem
from jobs.schedules.pressing import Pressed
from jobs.schedules.preview import note, shown_ticks, simulate, words, zone_of
from jobs.schedules.rows import named, schedule_rows
from jobs.schedules.sync import Synced, SyncRefused, sync
from jobs.timing.plan import Outage
from jobs.timing.times import EmptySpan, moment, outage

MOST_TICKS = 10_000
#: Ticks shown when nobody says how many: the next ones; of a span of time.
SOME, OF_A_SPAN = 5, 200
DAY = timedelta(days=1)
LISTED = ("name", "state", "next", "last", "task", "words", "reason")
NEXT = ("tick", "utc", "clocks")
PLAYED = ("tick", "utc", "outcome", "clocks")


class Command(StationCommand):
    help = "Show schedules and their ticks, play an outage through, pause, resume and run them, load them from a file."

    def add_arguments(self, parser: CommandParser) -> None:
        verb = verbs(parser)
        add_json(verb.add_parser("list", help="every schedule: state, next tick, last tick"))
        _add_preview(verb)
        _add_sync(verb)
        pause = verb.add_parser("pause", help="no ticks until it is resumed")
        pause.add_argument("--until", metavar="TIME", help="it resumes by itself then")
        resume = verb.add_parser("resume", help="it ticks again from now on")
        run = verb.add_parser("run", help="enqueue its job once, now")
        for one in (pause, resume, run):
            one.add_argument("name")
            add_reason(one)

    def handle(self, **options: Any) -> None:
        self.run_verb(options)

    def list_(self, *, as_json: bool) -> None:
        rows = list(schedule_rows())
        found = shown(rows)
        lines = [line(one, zone(row)) for one, row in zip(found, rows, strict=True)]
        self.show(found if as_json else lines, LISTED, as_json=as_json)

    def preview_(
        self, *, name: str, since: str, until: str, outages: Sequence[str], count: int | None, as_json: bool
    ) -> None:
        row = named(name)
        played = bool(since or until or outages)
        ticks = _played(row, since, until, outages) if played else iter(shown_ticks(row, count or SOME))
        most = count or (OF_A_SPAN if until or outages else SOME)
        found = list(islice(ticks, most))
        if as_json:
            self.tell_json([facts(tick) for tick in found])
            return
        title = f"{row.name}: {words(row).rstrip('.')}. Zone {zone(row)}."
        for sentence in filter(None, (title, note(row), warning(row) if found else "")):
            self.tell(sentence)
        if not found:
            self.tell("No tick comes in that time." if played else f"{standing(row)}: no tick comes.")
            return
        self.show([told(tick) for tick in found], PLAYED if played else NEXT, as_json=False)
        if played and next(ticks, None):
            self.tell(f"There are more: --count shows as many as you like, now {most}.")

    def sync_(self, *, file: str | None, force: bool, dry_run: bool, as_json: bool) -> None:
        declared, unread = _declared(file)
        try:
            done = sync(declared, person(), unread=unread, force=force, dry_run=dry_run)
        except SyncRefused as refused:
            self._refuse_all(refused.problems, file, as_json)
            return
        if not file and not dry_run:
            builtin.enable_waiting()
        if as_json:
            self.tell_json(asdict(done))
        else:
            self._tell(done, force=force, dry_run=dry_run)

    def _tell(self, done: Synced, *, force: bool, dry_run: bool) -> None:
        for difference in done.drift:
            self.tell(differs(difference))
        written = f", {len(done.overwritten)} written over" if force else ""
        would = "Nothing is written; without --dry-run: " if dry_run else ""
        self.tell(f"{would}{len(done.added)} schedules added{written}, {len(done.unchanged)} left as they are.")
        if done.drift and not force:
            self.tell("Rows that differ are people's: --force writes what is declared over them.")

    def _refuse_all(self, problems: Sequence[Problem], file: str | None, as_json: bool) -> None:
        if as_json:
            self.tell_json({"problems": [asdict(problem) for problem in problems]})
        if len(problems) == 1:
            raise SyncRefused(problems)
        for problem in problems:
            self.stderr.write(str(problem))
        self.refuse([f"{len(problems)} problems in {file or 'the declared schedules'}. Nothing was written."])

    def pause_(self, *, name: str, reason: str, until: str | None) -> None:
        row = named(name)
        resume_at = moment(until, zone(row)) if until else None
        pressed = pressing.pause([row.pk], person(), reason, resume_at)
        ends = f" until {resume_at.isoformat()}" if resume_at else ""
        self._pressed(pressed, f"{name} is paused{ends}.", f"{name} was off already; nothing changed.")

    def resume_(self, *, name: str, reason: str) -> None:
        pressed = pressing.resume([named(name).pk], person(), reason)
        self._pressed(pressed, f"{name} is resumed.", f"{name} was on already; nothing changed.")

    def run_(self, *, name: str, reason: str) -> None:
        self.tell(pressing.run_now(named(name).pk, person(), reason))

    def _pressed(self, pressed: Pressed, done: str, unchanged: str) -> None:
        self.refuse(list(pressed.refused.values()))
        self.tell(done if pressed.done else unchanged)


def _add_preview(verb: Any) -> None:
    preview = verb.add_parser("preview", help="the next ticks of one; with an outage, what would run and what not")
    preview.add_argument("name")
    preview.add_argument("--from", dest="since", metavar="TIME", default="", help="now; without offset in its zone")
    preview.add_argument("--until", metavar="TIME", default="")
    preview.add_argument(
        "--outage", dest="outages", metavar="A..B", action="append", default=[], help="beat is down then; repeatable"
    )
    preview.add_argument("--count", type=number(MOST_TICKS), help="so many at most")
    add_json(preview)


def _add_sync(verb: Any) -> None:
    loading = verb.add_parser("sync", help="add what is declared and missing, and tell what differs")
    loading.add_argument("file", nargs="?", help="YAML; without it what the code declares")
    loading.add_argument("--force", action="store_true", help="write what is declared over rows that differ")
    loading.add_argument("--dry-run", action="store_true", help="write nothing, only tell")
    add_json(loading)


def _declared(file: str | None) -> tuple[list[Declared], list[Problem]]:
    if file:
        return in_file.declared(Path(file))
    in_beat, problems = in_code.declared(current_app)
    return list({one.name: one for one in (*builtin.declared(), *in_beat)}.values()), problems


def _played(row: PeriodicTask, since: str, until: str, texts: Iterable[str]) -> Any:
    """What becomes of the ticks of a span: from the first outage, or now, until a day after the last one."""
    own = zone_of(row)
    outages = [outage(text, own) for text in texts]
    begin = moment(since, own) if since else min((one.since for one in outages), default=timezone.now())
    end = _end(moment(until, own) if until else None, outages)
    if end and end <= begin:
        raise EmptySpan(begin.astimezone(own), end.astimezone(own))
    return simulate(row, begin, end, outages)


def _end(until: datetime | None, outages: Sequence[Outage]) -> datetime | None:
    """Ticks of an outage are looked at at its end, so that is shown too."""
    last = max((one.until for one in outages), default=None)
    if until is None:
        return last + DAY if last else None
    return max(until, last) if last else until
